"""The recipe from a git repository to golden files, with a tiny model on a processor, and the engine's word on the result."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPE, MODEL = ROOT / "model" / "recipe", ROOT / "model" / "cinnabar-135m"
SHARD = next(MODEL.glob("*-00001-of-*.gguf"))
TOKENS = 8  # of a text compared with the engine's
sys.path.insert(0, str(RECIPE))

import cursors  # noqa: E402
import end_row  # noqa: E402
import export  # noqa: E402
import gguf_files  # noqa: E402
import golden  # noqa: E402
import layout  # noqa: E402
import rows  # noqa: E402
from model import TINY, Model, Session  # noqa: E402


def run(stage, *arguments):
    command = [sys.executable, RECIPE / f"{stage}.py", *arguments]
    ran = subprocess.run([str(part) for part in command], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "2"})
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def git(folder, *arguments):
    identity = ["-c", "user.name=recipe", "-c", "user.email=recipe@localhost"]
    return subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    """Stages 1 to 5 and 7, run once: a repository of this project's own sources, a model of two layers, two pieces of training."""
    work = tmp_path_factory.mktemp("recipe")
    repo = work / "mirror" / "someone+project"
    for source in [*ROOT.glob("server/src/*.rs"), *ROOT.glob("tests/data/samples/*"), *RECIPE.glob("*.py")]:
        target = repo / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    (repo / "again.py").write_bytes((RECIPE / "rows.py").read_bytes())
    (repo / "humaneval.py").write_text("import os\n\n\ndef has_close_elements(numbers, threshold):\n" + "    # it is known\n" * 20)
    (repo / "vendor").mkdir()
    (repo / "vendor" / "other.py").write_bytes((RECIPE / "train.py").read_bytes())
    git(repo, "init", "--quiet")
    git(repo, "add", ".")
    git(repo, "commit", "--quiet", "--message", "everything")
    (work / "corpus.tsv").write_text(f"repository\tcommit\tlicence\tuse\nsomeone/project\t{git(repo, 'rev-parse', 'HEAD')}\tMIT\ttrain\n")
    (work / "sets").mkdir()
    known = {"entry_point": "has_close_elements", "prompt": "", "canonical_solution": "", "suffix": ""}
    with gzip.open(work / "sets" / "humaneval.jsonl.gz", "wt") as f:
        f.write(json.dumps(known) + "\n")
    run("extract", "--corpus", work / "corpus.tsv", "--mirror", work / "mirror", "--out", work / "files", "--processes", 1)
    run("select_files", "--files", work / "files", "--eval", work / "sets", "--out", work / "chosen.jsonl.gz")
    run("pack", "--chosen", work / "chosen.jsonl.gz", "--out", work / "packed")
    common = ["--data", work / "packed", "--tokenizer", MODEL / "tokenizer.json", "--init", "tiny", "--out", work / "run"]
    sizes = ["--batch", 1, "--length", 384, "--workers", 0, "--rate", 3e-3]
    run("train", *common, *sizes, "--steps", 12)
    assert "step 24 of 24" in run("train", *common, *sizes, "--steps", 24)
    run("export", "--checkpoint", work / "run" / "checkpoint.pt", "--base", SHARD, "--tokenizer", MODEL / "tokenizer.json", "--name", "tiny", "--out", work / "model")
    run("golden", "--model", work / "model" / "tiny.gguf", "--prompts", MODEL / "golden.json", "--out", work / "model")
    return work


def documents(work):
    with gzip.open(work / "chosen.jsonl.gz", "rt") as f:
        return [json.loads(line) for line in f]


def test_the_corpus_holds_what_people_wrote_once(work):
    paths = {d["path"] for d in documents(work)}
    assert "server/src/site.rs" in paths
    assert not {p for p in paths if p.startswith("vendor/")}
    assert "humaneval.py" not in paths
    assert len({"again.py", "model/recipe/rows.py"} & paths) == 1


def test_rows_are_laid_out_as_decoding_asks(work):
    text = layout.Text(MODEL / "tokenizer.json")
    maker = rows.Rows(rows.Corpus(work / "packed"), text, 7, length=1024, streams=704)
    forks = families = 0
    for _ in range(8):
        ids, positions, stream, fork, block, seen, target, weight = maker.row()
        families += stream.max() + 1
        path = lambda number: (block == 0) & (fork == number) | (block == 0) & (fork == 0) & (stream == stream[fork == number][0])
        for number in range(1, fork.max() + 1):
            here = path(number)
            assert (positions[here] == np.arange(here.sum())).all()
            assert ids[here][-1] == layout.EOM and (weight[here] > 0).any()
            forks += 1
        for number in range(1, block.max() + 1):
            here = block == number
            known = ids[path(fork[here][0])]
            truth = known[positions[here][0] :][: here.sum()]
            shown = np.where(target[here] >= 0, target[here], ids[here])
            assert (shown[: len(truth)] == truth).all() and (shown[len(truth) :] == layout.EOM).all()
            assert (ids[here][target[here] >= 0] == layout.MASK).all()
            assert (seen[here] == positions[here][0]).all()
    assert forks > families  # more than one of a line


def test_cursors_of_a_line_have_the_streams_that_they_have_alone(work):
    text = layout.Text(MODEL / "tokenizer.json")
    corpus = rows.Corpus(work / "packed")
    maker = rows.Rows(corpus, text, 3)
    known = [corpus.read(number) for number in range(len(corpus.paths))]
    for _ in range(40):
        family = maker.family(600, 1400)
        assert len({tuple(stream.ids[: stream.shared]) for stream in family}) == 1
        for stream in family:
            start = stream.ids.index(layout.PRE) + 1
            assert stream.ids[stream.closing] in (layout.TAIL, layout.MID) and stream.ids[stream.cursor - 1] == layout.MID
            written = text.decode(stream.ids[start : stream.closing]) + text.decode(stream.ids[stream.cursor : -1])
            assert any(written in document for document in known)


def test_lengths_around_a_cursor_tell_nothing_of_the_middle(work):
    """An editor's window has lengths of its own: a model that had learned the middle's from those in training would not end it."""
    maker = rows.Rows(rows.Corpus(work / "packed"), layout.Text(MODEL / "tokenizer.json"), 6)
    lengths = []
    for _ in range(400):
        stream = maker.family(300, 1400)[0]
        prefix, suffix = stream.ids.index(layout.PRE), stream.ids.index(layout.SUF)
        lengths.append((stream.shared - prefix, prefix - suffix, len(stream.ids) - stream.cursor))
    prefix, suffix, middle = np.array(lengths, float).T
    cut = prefix > 60  # the start of a file is short whatever follows
    correlation = lambda a, b: abs(np.corrcoef(a[cut], b[cut])[0, 1])
    assert cut.sum() > 200 and correlation(prefix, middle) < 0.2 and correlation(prefix / suffix, middle) < 0.2


def test_a_stem_is_what_the_tokeniser_parts():
    text = layout.Text(MODEL / "tokenizer.json")
    stems = {"": "", "a": "a", "x = ": " ", "return len": " len", "self._ent": "ent", "f(a[": "[", "x == ": " ", "x ==": " ==", "v = 12": "2", "\n": "\n", "\tab": "ab"}
    assert {prefix: layout.stem(prefix) for prefix in stems} == stems
    assert layout.stem("a" * 99) == "a" * layout.MAX_STEM
    whole = (RECIPE / "rows.py").read_text()
    for at in range(40, len(whole) - 40, 7):
        before, after = whole[:at], whole[at:]
        if whole[at - 1 : at + 1].isspace():
            continue  # inside white space the tokeniser looks ahead
        ids, stem = text.encode_prefix(before)
        if before.removesuffix(stem).endswith("'"):
            continue  # it takes 's, 't and the like as one
        assert ids + text.encode(stem + after) == text.encode(whole), (before[-9:], after[:9])


def test_a_middle_begins_with_its_stem():
    """What decoding chooses from where tokens must hold the stem: the true tokens are always among it."""
    text = layout.Text(MODEL / "tokenizer.json")
    whole = (RECIPE / "rows.py").read_text()
    for at in range(40, len(whole) - 40, 97):
        stem = layout.stem(whole[:at])
        rest = text.spelled(stem)
        for id in text.encode(stem + whole[at : at + 40]):
            if not rest:
                break
            assert id in text.openings(rest)
            rest = rest[len(text.spelling[id]) :]
        assert not rest


def test_a_block_may_start_where_nothing_is_missing(work):
    maker = rows.Rows(rows.Corpus(work / "packed"), layout.Text(MODEL / "tokenizer.json"), 5)
    empty = rows.Stream([layout.SUF, layout.PRE, 100, layout.TAIL, 101, layout.MID, layout.EOM], shared=2, closing=3, cursor=6)
    assert {maker.block_start(empty, 8) for _ in range(20)} == {6}


def test_what_a_row_attends_to_is_what_its_stream_alone_would(work):
    """Hidden states of a whole row equal those of each of its streams by itself."""
    import torch

    import train

    torch.manual_seed(2)
    model = Model(TINY)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1) if parameter.ndim == 2 else None
    maker = rows.Rows(rows.Corpus(work / "packed"), layout.Text(MODEL / "tokenizer.json"), 4, length=768, streams=640)
    ids, positions, stream, fork, block, seen, _, _ = (torch.from_numpy(x)[None] for x in maker.row())
    mask = train.attention_mask(train.seen_by(stream, fork, block, seen, positions), 1, ids.shape[1], ids.device)
    with torch.no_grad():
        together = model(ids.long(), positions, mask)[0]
    for number in range(1, int(fork.max()) + 1):
        own = (block[0] == 0) & ((fork[0] == number) | (fork[0] == 0) & (stream[0] == stream[fork == number][0]))
        alone = Session(model).states(ids[0, own].tolist(), causal=True)
        assert (together[own] - alone).abs().max() < 1e-4


def test_training_goes_on_where_it_stopped(work):
    lines = [line.split("\t") for line in (work / "run" / "log.tsv").read_text().splitlines()]
    assert [int(line[0]) for line in lines] == [1, 13, 20]
    assert float(lines[-1][1]) < float(lines[0][1]) - 0.5
    assert float(lines[-1][2]) < float(lines[0][2]) - 0.5


def test_the_engine_decodes_what_the_recipe_decodes(tmp_path):
    """Left to right, in f32, with random weights: every token hangs on the whole computation. Prompts that the engine cuts
    more coarsely are left out."""
    import torch

    torch.manual_seed(1)
    random = Model(TINY)
    for weight in random.parameters():
        torch.nn.init.normal_(weight, std=0.15) if weight.ndim == 2 else None
    export.export(random.state_dict(), TINY, SHARD, MODEL / "tokenizer.json", "random", tmp_path, "a test")
    model, text, expected = gguf_files.load(tmp_path / "random.gguf").eval(), layout.Text(MODEL / "tokenizer.json"), {}
    for number, prompt in enumerate(json.loads((MODEL / "golden.json").read_text())):
        stream, stem = layout.stream(text, prompt["path"], prompt["prefix"], prompt["suffix"])
        session, _, opening = golden.begin(model, text, stream, stem)
        ids = golden.causal(session, opening)[0][:TOKENS]
        known = next((n for n, id in enumerate(ids) if id <= layout.MASK), len(ids))  # the engine ends at any special id
        expected[str(number)] = len(stream), text.decode(ids[:known])[len(stem) :]
        case = {"id": str(number), "lang": "any", "middle": "", **{key: prompt[key] for key in ("path", "prefix", "suffix")}}
        with open(tmp_path / "cases.jsonl", "a") as f:
            f.write(json.dumps(case) + "\n")
    binary = os.environ.get("CINNABAR_BIN", ROOT / "target" / "debug" / "cinnabar")
    options = ["--model", tmp_path / "random.gguf", "--device", "cpu", "--exact", "--mode", "causal", "--max-tokens", TOKENS]
    command = [binary, "eval", tmp_path / "cases.jsonl", *options, "--results", tmp_path / "results.jsonl"]
    ran = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    outcomes = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()[1:]]  # behind the head
    compared = [(o["text"], expected[o["id"]][1]) for o in outcomes if o["counts"]["stream"] == expected[o["id"]][0]]
    assert len({theirs for _, theirs in compared}) >= 6
    assert [ours for ours, _ in compared] == [theirs for _, theirs in compared]


def test_a_file_read_back_is_the_file_written(work):
    import torch

    state = torch.load(work / "run" / "checkpoint.pt")["model"]
    for name, weight in gguf_files.load(work / "model" / "tiny.gguf").state_dict().items():
        assert (weight - state[name]).abs().max() <= state[name].abs().max() / 127


def test_the_end_row_is_fitted_and_nothing_else_changes(work, tmp_path):
    import torch

    path = tmp_path / "tiny.gguf"
    path.write_bytes((work / "model" / "tiny.gguf").read_bytes())
    model, text = gguf_files.load(path).eval(), layout.Text(MODEL / "tokenizer.json")
    today = model.token_embd.weight[layout.EOM].detach()
    cases = cursors.sample(documents(work), 12, seed=3)
    states = end_row.collect(model, text, cases, 256, tmp_path / "states")
    assert states["end"].sum() == len(cases)
    states["right"][:] = True  # a model of two layers is never right, and the fit asks for ends that are reached
    row = end_row.fit(states, today, 3)
    margin = lambda row: (states["hidden"] @ row - states["others"])[end_row.reached(states)]
    end = states["end"][end_row.reached(states)]
    gap = lambda row: margin(row)[end].mean() - margin(row)[~end].mean()
    assert end.any() and gap(row) > gap(today)
    end_row.write(path, end_row.as_stored(row))
    before, after = gguf_files.load(work / "model" / "tiny.gguf"), gguf_files.load(path)
    changed = (before.token_embd.weight != after.token_embd.weight).any(1).nonzero().flatten().tolist()
    assert changed == [layout.EOM]
    assert path.stat().st_size == (work / "model" / "tiny.gguf").stat().st_size
    for name, weight in before.state_dict().items():
        assert name == "token_embd.weight" or torch.equal(weight, after.state_dict()[name])


def test_cursors_bring_the_nearest_files_of_their_repository():
    text = "".join(f"def function_{n}(first):\n    return first + {n}\n\n" for n in range(200))
    paths = ["a/one.py", "a/two.py", "a/b/three.py", "c/four.py", "a/five.go"]
    documents = [{"repository": "r", "path": path, "language": "go" if path.endswith("go") else "python", "text": text} for path in paths]
    documents.append({"repository": "other", "path": "a/six.py", "language": "python", "text": text})
    cases = [case for case in cursors.sample(documents, 40, seed=5, whole=True) if case["repo"] == "r" and case["path"] == "a/one.py"]
    assert cases and all(case["prefix"] + case["middle"] + case["suffix"] == text for case in cases)
    cursors.with_neighbours(cases, documents, 2)
    assert [other["path"] for other in cases[0]["neighbours"]] == ["a/two.py", "a/b/three.py"]
