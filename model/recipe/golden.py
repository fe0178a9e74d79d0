"""Stage 7: golden files, what an engine has to reproduce of a model.

    python golden.py --model MODEL.gguf --prompts golden.json --out FOLDER

For each prompt: the stream's ids, logits of its last row, of a fully masked and of a half revealed block (the 64 largest
and the logarithm of the sum), and ids, text and forward passes of the three modes. All in f32 from the dequantised
weights of the file. `--prompts` is a list of objects with path, prefix and suffix; an older golden.json is one.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

import gguf_files
import layout
from layout import EOM, MASK
from model import Session

ROWS, KEPT, MOST = 32, 64, 64  # rows of a block, logits kept of a row, tokens of a text


def best(logits):
    """The ids chosen for rows of logits. A mask is never chosen."""
    logits = logits.clone()
    logits[:, MASK] = -torch.inf
    return logits.argmax(-1).tolist()


def begin(model, text, stream, stem):
    """The session, logits of the stream's last row, and the tokens that begin the middle: as many as hold the stem."""
    session = Session(model)
    logits = last = session.logits(stream, causal=True, first=len(stream) - 1)
    ids, rest = [], text.spelled(stem)
    while rest:
        openings = text.openings(rest)
        ids.append(openings[int(logits[0, openings].argmax())])
        rest = rest[len(text.spelling[ids[-1]]) :]
        if rest:
            logits = session.logits([ids[-1]], causal=True)
    return session, last, ids or best(last)


def causal(session, known):
    """`known`: the tokens that begin the middle, all but the last of them in the session. A pass was run for each."""
    forwards = len(known)
    *ids, known = known
    while known != EOM:
        ids.append(known)
        if len(ids) == MOST:
            break
        (known,) = best(session.logits([known], causal=True))
        forwards += 1
    return ids, forwards


def verified(session, known, rows=16):
    """Drafts a block in one pass, keeps in a second one what causal decoding agrees with."""
    forwards = len(known)
    *ids, known = known
    while known != EOM and len(ids) < MOST:
        draft = [known, *best(session.logits([known] + [MASK] * (rows - 1), causal=False, first=1))]
        start = session.cache.length
        picks = best(session.logits(draft, causal=True))
        forwards += 2
        kept = next((n for n in range(1, rows) if picks[n - 1] != draft[n]), rows)
        session.crop(start + kept)
        new = draft[:kept]
        if EOM in new:
            return ids + new[: new.index(EOM)], forwards
        ids, known = ids + new, picks[kept - 1]
    return ids, forwards


def parallel(session, known, rows=ROWS, threshold=0.7):
    """Each pass keeps the leftmost masked row, and those behind it as long as their probability reaches the threshold."""
    forwards = len(known)
    *ids, known = known
    while known != EOM:
        block = [known]
        while len(block) < rows:
            logits = session.logits(block + [MASK] * (rows - len(block)), causal=False, first=len(block))
            logits[:, MASK] = -torch.inf
            chances, picks = logits.softmax(-1).max(-1)
            forwards += 1
            kept = next((n for n in range(1, len(picks)) if chances[n] < threshold), len(picks))
            block += picks[:kept].tolist()
            if EOM in block:
                return ids + block[: block.index(EOM)], forwards
        ids += block
        if len(ids) >= MOST:
            break
        known = best(session.logits(block, causal=True, first=rows - 1))[0]
        forwards += 1
    return ids, forwards


MODES = {"causal": causal, "verified_B16": verified, "parallel_tau0.7_B32": parallel}


def one(model, text, prompt):
    """The golden object of a prompt and its tensors."""
    stream, stem = layout.stream(text, prompt["path"], prompt["prefix"], prompt["suffix"])
    session, last, opening = begin(model, text, stream, stem)
    start = len(stream) + len(opening) - 1
    tensors, golden = {}, {key: prompt[key] for key in ("path", "prefix", "suffix")}
    masked = [opening[-1]] + [MASK] * (ROWS - 1)
    rows = {"last": last, "masked": session.logits(masked, causal=False)}
    half = [opening[-1]] + [int(rows["masked"][n].argmax()) if n % 2 == 0 else MASK for n in range(1, ROWS)]
    rows["half"] = session.logits(half, causal=False)
    for name, logits in rows.items():
        values, ids = logits.topk(KEPT, -1)
        parts = {"top_values": values, "top_ids": ids.to(torch.int32), "logsumexp": logits.logsumexp(-1)}
        tensors |= {f"{name}.{part}": tensor.contiguous() for part, tensor in parts.items()}
    golden |= {"stream": stream, "stem": stem, "opening": opening, "masked_block": masked, "half_block": half}
    for name, mode in MODES.items():
        session.crop(start)
        ids, forwards = mode(session, opening)
        ids = ids[:MOST]
        golden[name] = {"ids": ids, "text": text.decode(ids)[len(stem) :], "forwards": forwards}
    return golden, tensors


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", type=Path, required=True, help="a GGUF file, or a shard of one, with tokenizer.json beside it")
    arguments.add_argument("--prompts", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    a = arguments.parse_args()
    model, text = gguf_files.load(a.model).eval(), layout.Text(a.model.with_name("tokenizer.json"))
    goldens, tensors = [], {}
    for n, prompt in enumerate(json.loads(a.prompts.read_text())):
        golden, of_prompt = one(model, text, prompt)
        goldens.append(golden)
        tensors |= {f"{n}.{name}": tensor for name, tensor in of_prompt.items()}
        print(f"{n} {prompt['path']}: {golden['causal']['text'][:60]!r}", flush=True)
    a.out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, a.out / "golden.safetensors")
    (a.out / "golden.json").write_text(json.dumps(goldens, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
