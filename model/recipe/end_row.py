"""Stage 6: the row of the end token, fitted with everything else left as it is.

    python end_row.py --model MODEL.gguf --fit FIT.jsonl.gz --check CHECK.jsonl.gz --states FOLDER [--write]

Training shows an end once in dozens of positions, so the end's row of the tied embedding is the least trained part of what
decides where a suggestion stops. With the hidden states h of causal rows in middles given, its row w is a convex problem:
P(end) = exp(w h) / (exp(w h) + the sum of exp of all other logits), an end at the last row of a middle and none before, held
near today's row. Of the weights that ends may have in it, the one is taken that makes most middles of --check exactly right.

--fit and --check are sets of cursors (cursors.py) from different repositories, none of them held out. States are kept in
--states, so that a second run only fits. --write puts the row into the file in place: 18 blocks of Q8_0, not a byte besides.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize, quantize

import gguf_files
import layout
from layout import EOM, MASK
from model import Session
from select_files import open_lines

LONGEST = 96  # tokens of a middle
NEARNESS = 0.05  # weight of the squared distance from today's row, beside the mean loss
END_WEIGHTS = [1, 2, 3, 5, 8, 12]  # tried; more than 1 because an end that is missed spoils a text that was right so far
FAR = 1e4  # above every logit
LOST = 0.2  # weight of a row whose best other token is wrong as well: there is less to lose


def states_of(model, text, case, limit):
    """Rows from the last one of the stream to the middle's last token: what the fit asks about them."""
    stream, stem = layout.stream(text, case["path"], case["prefix"], case["suffix"], limit)
    middle = text.encode(stem + case["middle"])[:LONGEST]
    hidden = Session(model).states(stream + middle, causal=True, first=len(stream) - 1)
    logits = model.logits(hidden).detach()
    logits[:, [EOM, MASK]] = -torch.inf
    largest, others, rest = logits.max(-1).values, logits.logsumexp(-1), text.spelled(stem)
    for row, id in enumerate(middle):
        if not rest:
            break
        openings = text.openings(rest)
        allowed = torch.full_like(logits[row], -torch.inf)
        allowed[openings] = logits[row, openings]
        # Decoding cannot end here.
        logits[row], largest[row], others[row] = allowed, FAR, FAR
        rest = rest[len(text.spelling[id]) :]
    wanted = torch.tensor([*middle, EOM], device=logits.device)
    states = {"hidden": hidden, "largest": largest, "others": others, "right": logits.argmax(-1) == wanted, "end": wanted == EOM}
    return {name: state.cpu() for name, state in states.items()}


def collect(model, text, cases, limit, folder):
    """The states of all cases, joined; each case is kept in a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(cases):
        kept = folder / f"{number:06}.pt"
        if not kept.exists():
            torch.save(states_of(model, text, case, limit), f"{kept}.part")
            Path(f"{kept}.part").rename(kept)
    parts = [torch.load(folder / f"{number:06}.pt") for number in range(len(cases))]
    joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    joined["case"] = torch.cat([torch.full_like(part["largest"], n, dtype=torch.long) for n, part in enumerate(parts)])
    return joined


def reached(rows):
    """Rows that greedy decoding gets to when ends are right: all tokens before them in the middle are."""
    wrong = (~rows["right"] & ~rows["end"]).long()
    before = wrong.cumsum(0) - wrong
    first = torch.zeros(int(rows["case"].max()) + 1, dtype=torch.long, device=before.device).index_reduce(0, rows["case"], before, "amin", include_self=False)
    return before == first[rows["case"]]


def fit(rows, today, end_weight):
    keep = reached(rows)
    hidden, others, end, right = (rows[name][keep] for name in ("hidden", "others", "end", "right"))
    weight = torch.where(end, float(end_weight), torch.where(right, 1.0, LOST))
    sign = torch.where(end, 1.0, -1.0)
    change = torch.zeros_like(today, requires_grad=True)
    search = torch.optim.LBFGS([change], max_iter=300, line_search_fn="strong_wolfe", tolerance_grad=1e-6)

    def loss():
        search.zero_grad()
        score = hidden @ (today + change) - others
        value = (weight * F.softplus(-sign * score)).sum() / weight.sum() + NEARNESS / 2 * (change * change).sum()
        value.backward()
        return value

    search.step(loss)
    return (today + change).detach()


def exact(rows, row):
    """Which middles come out right, token by token and with their end."""
    ends = rows["hidden"] @ row > rows["largest"]
    good = torch.where(rows["end"], ends, ~ends & rows["right"]).long()
    cases = int(rows["case"].max()) + 1
    return torch.ones(cases, dtype=torch.long, device=good.device).index_reduce(0, rows["case"], good, "amin").bool()


def embedding(path, mode="r"):
    """The token embedding as the file holds it: (vocabulary, bytes of a row), mapped."""
    for shard in gguf_files.shards(path):
        for tensor in GGUFReader(shard, mode).tensors:
            if tensor.name == "token_embd.weight":
                return tensor.data
    raise SystemExit(f"{path} has no embedding")


def as_stored(row):
    return quantize(row.cpu().numpy()[None], GGMLQuantizationType.Q8_0)[0]


def write(path, stored):
    """Puts a row into the file in place."""
    table = embedding(path, "r+")
    table[EOM] = stored
    table.flush()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", type=Path, required=True, help="a GGUF file, or a shard of one, with tokenizer.json beside it")
    arguments.add_argument("--fit", type=Path, required=True)
    arguments.add_argument("--check", type=Path, required=True)
    arguments.add_argument("--states", type=Path, required=True)
    arguments.add_argument("--limit", type=int, default=448, help="tokens of a stream")
    arguments.add_argument("--write", action="store_true", help="put the row into the file")
    a = arguments.parse_args()
    model, text = gguf_files.load(a.model).eval(), layout.Text(a.model.with_name("tokenizer.json"))
    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    today = model.token_embd.weight[EOM].detach()
    data = {}
    for name, path in (("fit", a.fit), ("check", a.check)):
        states = collect(model, text, list(open_lines(path)), a.limit, a.states / name)
        data[name] = {key: state.to(today.device) for key, state in states.items()}
    before = exact(data["check"], today)
    print(f"today: {100 * before.float().mean():.2f} % of {len(before)}")
    best, chosen = before.sum(), None
    for weight in END_WEIGHTS:
        stored = as_stored(fit(data["fit"], today, weight))
        row = torch.from_numpy(dequantize(stored, GGMLQuantizationType.Q8_0).astype(np.float32)).to(today.device)
        after = exact(data["check"], row)
        won, lost = (after & ~before).sum(), (before & ~after).sum()
        print(f"ends weigh {weight}: {100 * after.float().mean():.2f} %, {won} won, {lost} lost", flush=True)
        if after.sum() > best:
            best, chosen = after.sum(), stored
    if chosen is None:
        raise SystemExit("no row is better than today's")
    if a.write:
        write(a.model, chosen)
        print("written")


if __name__ == "__main__":
    main()
