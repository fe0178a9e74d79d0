"""Stage 3: the chosen files as flat arrays, neighbours of a folder beside each other.

    python pack.py --chosen CORPUS/chosen.jsonl.gz --out CORPUS/packed

Writes text.bin (UTF-8), documents.npy (start and end of each text, language, folder) and paths.json. Text is packed as
characters: rows are cut at any of them and tokenised when they are built, exactly as the engine tokenises prompts. Of a
repository that is larger than --most some folders are left out, so that no single one sets the style.
"""

import argparse
import collections
import json
import os
import random
from pathlib import Path

import numpy as np

from extract import LANGUAGES
from select_files import open_lines

FIELDS = np.dtype([("start", "<i8"), ("end", "<i8"), ("language", "<i4"), ("folder", "<i4")])
LARGEST = 150  # files of a folder that stay together


def folders(documents):
    """Documents grouped by folder; a file that is alone joins the folder above."""
    parent = os.path.dirname
    counts = collections.Counter((d["repository"], parent(d["path"])) for d in documents)
    groups = collections.defaultdict(list)
    for document in documents:
        repo, folder = document["repository"], parent(document["path"])
        while folder and counts[repo, folder] < 2:
            folder = parent(folder)
        groups[repo, folder].append(document)
    for group in groups.values():
        for at in range(0, len(group), LARGEST):
            yield group[at : at + LARGEST]


def at_most(groups, most):
    """The groups without those that would bring their repository above `most` characters."""
    sizes = collections.Counter()
    for group in groups:
        size = sum(len(document["text"]) for document in group)
        if sizes[group[0]["repository"]] + size <= most:
            sizes[group[0]["repository"]] += size
            yield group


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--chosen", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--most", type=float, default=12e6, help="characters of a repository")
    arguments.add_argument("--seed", type=int, default=1)
    a = arguments.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    groups = list(folders(list(open_lines(a.chosen))))
    random.Random(a.seed).shuffle(groups)
    groups = list(at_most(groups, a.most))
    names, paths, rows, at = list(LANGUAGES), [], [], 0
    with open(a.out / "text.bin", "wb") as f:
        for number, group in enumerate(groups):
            for document in group:
                raw = document["text"].encode()
                f.write(raw)
                rows.append((at, at + len(raw), names.index(document["language"]), number))
                paths.append(document["path"])
                at += len(raw)
    np.save(a.out / "documents.npy", np.array(rows, dtype=FIELDS))
    (a.out / "paths.json").write_text(json.dumps(paths))
    print(f"{len(rows)} files of {len(groups)} folders, {at / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
