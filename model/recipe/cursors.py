"""Cursors as editors have them, out of source files: what `cinnabar eval` measures and what the end row is fitted to.

    python cursors.py --chosen CORPUS/chosen.jsonl.gz --out SET.jsonl.gz --count 1000 [--only REPOSITORY ...] [--without REPOSITORY ...]

Four kinds, equally often: the rest of a line, a span inside a line, a whole line behind its indentation, and a block of
lines of one depth. A case holds prefix, middle and suffix; languages are drawn as often as the table says.
"""

import argparse
import collections
import gzip
import json
import random
from pathlib import Path

from select_files import open_lines

KINDS = ["line-rest", "span", "line-full", "block"]
LANGUAGES = {"python": 20, "typescript": 20, "rust": 17, "go": 13, "java": 10, "javascript": 10, "cpp": 7, "c": 3}
BEFORE, AFTER = 6000, 3000  # characters kept of prefix and suffix
NEIGHBOUR = 20_000  # and of another file


def indentation(line):
    return len(line) - len(line.lstrip())


def place(rng, lines, kind):
    """(line, first column, last line, last column) of a middle of that kind around a random line, or None."""
    n = rng.randrange(3, len(lines) - 1) if len(lines) > 8 else 0
    line = lines[n]
    start, end = indentation(line), len(line.rstrip())
    if not n or end - start < 4:
        return None
    if kind == "line-full":
        return n, start, n, len(line)
    if kind == "line-rest":
        return n, rng.randrange(start + 1, end), n, len(line)
    if kind == "span":
        if end - start < 8:
            return None
        a = rng.randrange(start + 1, end - 1)
        closers = [i for i in range(a + 1, end) if line[i] in ")]}\"',;:"]
        b = rng.choice(closers) if closers and rng.random() < 0.5 else rng.randrange(a + 1, end)
        return n, a, n, b
    last = n + rng.randrange(1, 6)
    block = lines[n : last + 1]
    deeper = all(line.strip() and indentation(line) >= start for line in block)
    ends = last + 1 < len(lines) and (not lines[last + 1].strip() or indentation(lines[last + 1]) < start)
    return (n, start, last, len(lines[last])) if deeper and ends and len(block) > 1 else None


def cursor(rng, document, kind, whole):
    lines = document["text"].split("\n")
    found = place(rng, lines, kind)
    if found is None:
        return None
    first, column, last, end = found
    starts = lambda n: sum(len(line) + 1 for line in lines[:n])
    a, b = starts(first) + column, starts(last) + end
    text = document["text"]
    before, after = (len(text), len(text)) if whole else (BEFORE, AFTER)
    return {
        "lang": document["language"], "repo": document["repository"], "path": document["path"], "line": first + 1, "kind": kind,
        "prefix": text[max(0, a - before) : a], "middle": text[a:b], "suffix": text[b : b + after],
    }  # fmt: skip


def sample(documents, count, seed, whole=False):
    """`count` cursors, no two of them in the same file unless there are more cursors than files."""
    rng = random.Random(seed)
    files = collections.defaultdict(list)
    for document in documents:
        if document["language"] in LANGUAGES:
            files[document["language"]].append(document)
    for one in files.values():
        rng.shuffle(one)
    weights = [LANGUAGES[language] for language in files]
    drawn = collections.Counter()
    cases = []
    while len(cases) < count:
        (language,) = rng.choices(list(files), weights)
        document = files[language][drawn[language] % len(files[language])]
        drawn[language] += 1
        case = cursor(rng, document, KINDS[len(cases) % len(KINDS)], whole)
        if case:
            cases.append({"id": f"{language}-{len(cases):05}", **case})
    return cases


def with_neighbours(cases, documents, count):
    """Adds to each case `count` other files of its repository and language, the nearest by their folders first."""
    files = collections.defaultdict(list)
    for document in documents:
        files[document["repository"], document["language"]].append(document)
    for case in cases:
        own = case["path"].split("/")
        shared = lambda path: next((n for n, (a, b) in enumerate(zip(own, path.split("/"))) if a != b), len(own))
        others = [d for d in files[case["repo"], case["lang"]] if d["path"] != case["path"]]
        others.sort(key=lambda d: (-shared(d["path"]), len(d["path"].split("/")), d["path"]))
        case["neighbours"] = [{"path": d["path"], "text": d["text"][:NEIGHBOUR]} for d in others[:count]]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--chosen", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--count", type=int, default=1000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--whole", action="store_true", help="files to their ends, as an editor has them")
    arguments.add_argument("--neighbours", type=int, default=0, help="other files of the repository with each case: what an editor may have open")
    arguments.add_argument("--only", nargs="*", default=[], help="repositories to draw from")
    arguments.add_argument("--without", nargs="*", default=[], help="repositories to leave out")
    a = arguments.parse_args()
    documents = [d for d in open_lines(a.chosen) if (not a.only or d["repository"] in a.only) and d["repository"] not in a.without]
    cases = sample(documents, a.count, a.seed, a.whole)
    if a.neighbours:
        with_neighbours(cases, documents, a.neighbours)
    with gzip.open(a.out, "wt", encoding="utf-8") as f:
        f.writelines(json.dumps(case, ensure_ascii=False) + "\n" for case in cases)
    print(dict(collections.Counter(case["kind"] for case in cases)), dict(collections.Counter(case["lang"] for case in cases)))


if __name__ == "__main__":
    main()
