"""Stage 2: deduplication, and everything out that an evaluation set holds.

    python select_files.py --files CORPUS/files --eval FOLDER --out CORPUS/chosen.jsonl.gz

Left out are: repositories that a cursor set under --eval was made of, and folders of others that bear such a repository's
name (they may hold a copy); files that share half of their lines' trigrams with
an earlier one; files that define a function of HumanEval under its name, or share long runs of words with HumanEval or
SAFIM.
"""

import argparse
import collections
import gzip
import json
import re
from pathlib import Path

DEFINITION = re.compile(r"\b(?:def|fn|function|func)\s+(\w+)\s*\(")
WORDS = 13  # of a run that two texts may not share; shorter ones are idioms
NEAR = 0.5  # share of known trigrams of lines from which on a file is a copy
# Names of HumanEval that stand for something else everywhere.
COMMON_NAMES = set(
    "simplify derivative concatenate intersection histogram factorize median maximum multiply compare exchange encode encrypt search "
    "solve solution unique common add digits fib tri bf modp longest monotonic strlen get_row max_element find_max change_base "
    "add_elements is_sorted is_prime sort_array fix_spaces any_int by_length".split()
)


def open_lines(path):
    with gzip.open(path, "rt", encoding="utf-8") as f:
        yield from map(json.loads, f)


def camel(name):
    return re.sub(r"_(\w)", lambda m: m[1].upper(), name)


def runs(text):
    words = re.findall(r"\w+", text.lower())
    return {hash(" ".join(words[i : i + WORDS])) for i in range(len(words) - WORDS + 1)}


class Evaluation:
    """What must not be in the corpus."""

    def __init__(self, folder):
        self.repositories, self.names, self.runs = set(), set(), set()
        for path in sorted(Path(folder).rglob("*.jsonl.gz")):
            for case in open_lines(path):
                if "repo" in case:  # a cursor set: its repositories are left out as a whole
                    self.repositories.add(case["repo"].lower())
                elif "entry_point" in case:
                    self.names.add(case["entry_point"])
                    self.runs |= runs(case["prompt"] + case["canonical_solution"] + case["suffix"])
                else:
                    self.runs |= runs(case["prefix"] + case["middle"] + case["suffix"])
        self.names -= COMMON_NAMES
        self.names |= {camel(name) for name in self.names if "_" in name}

    def holds(self, document):
        folders = {part.lower() for part in document["path"].split("/")[:-1]}
        if document["repository"].lower() in self.repositories or folders & {name.split("/")[1] for name in self.repositories}:
            return "held-out repository"
        if self.names & set(DEFINITION.findall(document["text"])):
            return "name of HumanEval"
        if len(self.runs & runs(document["text"])) >= 3:
            return "text of an evaluation set"
        return None


class Seen:
    """Trigrams of lines of all files so far."""

    def __init__(self):
        self.trigrams = set()

    def copies(self, text):
        lines = [line for line in map(str.strip, text.split("\n")) if len(line) > 3]
        if len(lines) < 4:
            return "nearly empty"
        trigrams = set(map(hash, zip(lines, lines[1:], lines[2:])))
        if len(trigrams & self.trigrams) > NEAR * len(trigrams):
            return "copy"
        self.trigrams |= trigrams
        return None


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--files", type=Path, required=True)
    arguments.add_argument("--eval", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    a = arguments.parse_args()
    evaluation, seen, counts = Evaluation(a.eval), Seen(), collections.Counter()
    with gzip.open(f"{a.out}.part", "wt", encoding="utf-8", compresslevel=4) as f:
        for path in sorted(a.files.glob("*.jsonl.gz")):
            for document in open_lines(path):
                why = evaluation.holds(document) or seen.copies(document["text"])
                counts[why or "kept"] += 1
                if not why:
                    f.write(json.dumps(document, ensure_ascii=False) + "\n")
    Path(f"{a.out}.part").rename(a.out)
    print(dict(counts))


if __name__ == "__main__":
    main()
