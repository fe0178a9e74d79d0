"""Stage 1: source files out of git repositories.

    python extract.py --mirror FOLDER --out CORPUS/files

For every row of corpus.tsv, FOLDER/owner+name (a git folder, bare or not) is read at the commit of the row, without a
work tree. Kept are text files of known languages that people wrote: no vendored, generated, minified or snapshot
files, nothing under a licence that is not permissive. A repository that is done is not read again. `--use` names the rows:
`train`, or `end-row` for repositories that only stage 6 may see.
"""

import argparse
import csv
import gzip
import json
import os
import re
import subprocess
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

LANGUAGES = {
    "python": "py pyi", "typescript": "ts tsx mts cts", "javascript": "js jsx mjs cjs", "rust": "rs", "go": "go", "java": "java",
    "c": "c h", "cpp": "cc cpp cxx hpp hh hxx", "lua": "lua", "shell": "sh bash", "html": "html", "css": "css scss",
    "toml": "toml", "yaml": "yaml yml", "vue": "vue", "svelte": "svelte",
}  # fmt: skip
EXTENSIONS = {f".{e}": language for language, extensions in LANGUAGES.items() for e in extensions.split()}

FOREIGN_FOLDER = re.compile(
    r"(^|/)(_?vendor(ed|s)?|third[_-]?party|3rd-?party|node_modules|bower_components|externals?|extern|deps|_?bundled|godeps|typeshed"
    r"|dist|out|target|compiled|prebuilt|min(ified)?|_{0,2}generated_{0,2}|gen|autogen|pb"
    r"|test[_-]?(data|files|fixtures)|_{0,2}fixtures?_{0,2}|_{0,2}(image_)?snapshots?_{0,2}|cassettes|golden(s|files)?|baselines?|corpus|corpora"
    r"|locales?|i18n|l10n|translations|migrations|licen[sc]es?|test262|conformance)/",
    re.I,
)
FOREIGN_FILE = re.compile(
    r"(\.min\.|\.bundle\.|\.umd\.|\.iife\.|\.pb\.|_pb2(_grpc)?\.|zz_generated|[._]gen(erated)?\.|\.designer\."
    r"|bindata\.go$|_string\.go$|-?lock\.(ya?ml|toml)$|jquery|bootstrap|versioneer\.py$|_version\.py$)",
    re.I,
)
GENERATED = re.compile(r"generated (by|from)|do not (edit|modify)|auto-?(matically )?generated|@generated|machine[- ]generated", re.I)
OTHER_LICENCE = re.compile(
    r"GNU (Lesser |Affero |Library )?General Public|Mozilla Public|Business Source|Elastic Licen|Server Side Public|Commercial Licen|PolyForm"
    r"|Creative Commons|Eclipse Public|Common Development and Distribution|Sustainable Use|Functional Source|Python Software Foundation"
    r"|SPDX-License-Identifier:\s*(A?GPL|LGPL|MPL|BUSL|EPL|CDDL|Elastic)",
    re.I,
)
LICENCE_FILE = re.compile(r"(^|/)([\w.-]*licen[sc]e|copying|unlicense)[^/]*$", re.I)
HEADER = re.compile(r"copyright|licen[sc]e|SPDX|all rights reserved", re.I)
COMMENT = {"#": "#", "/": "//", "-": "--"}
LONGEST, SHORTEST = 200_000, 180  # bytes of a file


def git(folder, *arguments, **options):
    return subprocess.run(["git", f"--git-dir={folder}", *arguments], check=True, stdout=subprocess.PIPE, **options).stdout


def blobs(folder, commit):
    """(path, id) of every regular file."""
    for entry in git(folder, "ls-tree", "-r", "-z", "--full-tree", commit).decode("utf-8", "replace").split("\0")[:-1]:
        meta, path = entry.split("\t", 1)
        mode, kind, oid = meta.split()
        if kind == "blob" and mode != "120000":
            yield path, oid


def contents(folder, oids):
    """The files' bytes, in order; None where the snapshot lacks one."""
    raw, at = git(folder, "cat-file", "--batch", input="\n".join(oids).encode()), 0
    for _ in oids:
        end = raw.index(b"\n", at)
        header = raw[at:end].split()
        if header[-1] == b"missing":
            yield None
            at = end + 1
        else:
            size = int(header[-1])
            yield raw[end + 1 : end + 1 + size]
            at = end + 2 + size


def without_header(text):
    """The text without a leading comment that holds a licence or a copyright notice."""
    lines = text.split("\n")
    first = next((n for n, line in enumerate(lines) if line.strip() and not line.startswith("#!")), 0)
    opening, end = lines[first].lstrip(), first
    if opening.startswith(("/*", "<!--", "--[[")):
        close = {"/": "*/", "<": "-->", "-": "]]"}[opening[0]]
        while end < len(lines) and close not in lines[end]:
            end += 1
        end += 1
    elif opening[:1] in COMMENT and not opening.startswith(("//!", "///", "#[", "#!", "#include", "#if", "#pragma", "#define")):
        while end < len(lines) and lines[end].startswith(COMMENT[opening[0]]):
            end += 1
    if not first < end <= first + 40 or not HEADER.search("\n".join(lines[first:end])):
        return text
    return "\n".join(lines[:first] + lines[end:]).lstrip("\n")


def reason_to_leave_out(text):
    lines = text.split("\n")
    if not SHORTEST <= len(text) <= LONGEST:
        return "size"
    if max(map(len, lines)) > 1000 or len(text) / len(lines) > 100:
        return "long lines"
    if GENERATED.search(text[:2000]):
        return "generated"
    if OTHER_LICENCE.search(text[:3000]):
        return "licence"
    letters = sum(map(str.isalpha, text))
    if letters < len(text) / 4:
        return "data"
    return None


def extract(row, mirror, out):
    repo, commit, licence = row["repository"], row["commit"], row["licence"]
    done = out / f"{repo.replace('/', '+')}.jsonl.gz"
    folder = next((f for f in (mirror / done.name[: -len(".jsonl.gz")] / "repo", mirror / done.name[: -len(".jsonl.gz")]) if f.exists()), None)
    if done.exists() or folder is None:
        return repo, "there already" if done.exists() else "not in the mirror"
    folder = folder / ".git" if (folder / ".git").exists() else folder
    files = list(blobs(folder, commit))
    licences = [(p, oid) for p, oid in files if LICENCE_FILE.search(p) and "/" in p and Path(p).suffix not in EXTENSIONS]
    texts = contents(folder, [oid for _, oid in licences])
    closed = {os.path.dirname(p) + "/" for (p, _), t in zip(licences, texts) if t and OTHER_LICENCE.search(t.decode("utf-8", "replace"))}
    wanted = [
        (p, oid)
        for p, oid in files
        if Path(p).suffix in EXTENSIONS and not FOREIGN_FOLDER.search(p) and not FOREIGN_FILE.search(p) and not p.startswith(tuple(closed))
    ]
    kept = 0
    with gzip.open(f"{done}.part", "wt", encoding="utf-8", compresslevel=4) as f:
        for (path, _), raw in zip(wanted, contents(folder, [oid for _, oid in wanted])):
            try:
                text = raw.decode("utf-8").replace("\r\n", "\n") if raw and b"\0" not in raw else ""
            except UnicodeDecodeError:
                continue
            if reason_to_leave_out(text):
                continue
            document = {"repository": repo, "path": path, "language": EXTENSIONS[Path(path).suffix], "licence": licence, "text": without_header(text)}
            f.write(json.dumps(document, ensure_ascii=False) + "\n")
            kept += 1
    os.rename(f"{done}.part", done)
    return repo, f"{kept} of {len(files)} files"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--corpus", type=Path, default=Path(__file__).with_name("corpus.tsv"))
    arguments.add_argument("--mirror", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--use", default="train")
    arguments.add_argument("--processes", type=int, default=os.cpu_count())
    a = arguments.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    with open(a.corpus) as f:
        rows = [row for row in csv.DictReader(f, delimiter="\t") if row["use"] == a.use]
    with ProcessPoolExecutor(a.processes) as pool:
        for repo, what in pool.map(extract, rows, [a.mirror] * len(rows), [a.out] * len(rows)):
            print(f"{repo}: {what}", flush=True)


if __name__ == "__main__":
    main()
