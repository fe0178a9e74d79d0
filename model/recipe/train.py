"""Stage 4: training, in pieces that chain.

    torchrun --nproc-per-node 2 train.py --data CORPUS/packed --tokenizer tokenizer.json --init BASE.gguf --out RUN --steps 4000 --minutes 18

One step is `--batch` rows on each process. The run stops after `--minutes` or after `--steps` steps in all, whatever comes
first, and leaves RUN/checkpoint.pt (weights, optimiser, step); the same command goes on from there. The learning rate depends
on the step alone, so a run in pieces is the run in one. RUN/log.tsv gets a line every 20 steps.

Loss: cross-entropy of the causal streams (weight `--causal`) plus that of masked rows, each averaged over its own weights.
Without a GPU everything runs in f32 with dense masks: slow, and the same arithmetic.
"""

import argparse
import contextlib
import math
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F

import gguf_files
import layout
from model import TINY, Model
from rows import Corpus, Rows

MARKERS = sorted(layout.NAMES)  # ids that mean nothing to the base model
CHUNK = 8192  # rows of logits at a time


class Batches(torch.utils.data.IterableDataset):
    """Rows without end, different ones in every worker of every process and after every start."""

    def __init__(self, a, seed):
        self.a, self.seed = a, seed

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        text = layout.Text(self.a.tokenizer)
        rows = Rows(Corpus(self.a.data), text, [*self.seed, worker.id if worker else 0], self.a.length, int(self.a.streams * self.a.length))
        while True:
            yield tuple(map(torch.from_numpy, rows.row()))


def seen_by(stream, fork, block, seen, positions):
    """What a row attends to: its own stream before `seen`, its own block in both directions, itself."""

    def mask(batch, _, query, key):
        same = (stream[batch, query] == stream[batch, key]) & (stream[batch, query] >= 0)
        on_path = (fork[batch, key] == 0) | (fork[batch, key] == fork[batch, query])
        context = on_path & (block[batch, key] == 0) & (positions[batch, key] < seen[batch, query])
        own = (block[batch, key] == block[batch, query]) & (block[batch, query] > 0)
        return same & (context | own) | (query == key)

    return mask


def attention_mask(rule, batch, length, device):
    if device.type == "cuda":
        from torch.nn.attention.flex_attention import create_block_mask

        return create_block_mask(rule, batch, None, length, length, device=device, _compile=True)
    at = torch.arange(length)
    return rule(torch.arange(batch)[:, None, None], 0, at[:, None], at[None])[:, None]


def half_precision(device):
    """Products in bf16 on a GPU; f32 elsewhere."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else contextlib.nullcontext()


def cross_entropy(hidden, head, target, weight):
    """Weighted sum. `hidden` (rows, width) in bf16 on a GPU: the logits of a chunk are never kept."""
    with half_precision(hidden.device):
        logits = hidden @ head.T
    return (F.cross_entropy(logits.float(), target, reduction="none") * weight).sum()


def losses(model, cross_entropy, batch, causal_weight):
    """Runs one batch forward and backward; the causal and the masked loss, for the log."""
    ids, positions, stream, fork, block, seen, target, weight = (x.to(model.output_norm.device, non_blocking=True) for x in batch)
    mask = attention_mask(seen_by(stream, fork, block, seen, positions), *ids.shape, ids.device)
    with half_precision(ids.device):
        hidden = model(ids.long(), positions, mask).flatten(0, 1)
    # The head is run in chunks on a detached copy: their gradients meet in `leaf`, and the body runs backward once.
    leaf = hidden.detach().requires_grad_(True)
    target, weight, block = target.flatten().long(), weight.flatten(), block.flatten()
    sums = []
    for chosen, scale in (((block == 0), causal_weight), ((block > 0), 1.0)):
        index = (chosen & (target >= 0) & (weight > 0)).nonzero().squeeze(1)
        total, loss = weight[index].sum().clamp(min=1), torch.zeros((), device=ids.device)
        for part in index.split(CHUNK):
            pad = CHUNK - len(part) if ids.is_cuda else 0  # one shape to compile
            w = F.pad(weight[part], (0, pad))
            part = F.pad(part, (0, pad))
            one = cross_entropy(leaf[part], model.token_embd.weight, target[part].clamp(min=0), w) / total
            (one * scale).backward()
            loss += one.detach()
        sums.append(loss)
    hidden.backward(leaf.grad)
    return torch.stack(sums)


def rate(step, steps):
    """Of the peak: 2 % warm-up, level to 40 %, then falling in a line to 2 %."""
    warm = max(1, steps // 50)
    return min((step + 1) / warm, 1.0) * min(1.0, max(0.02, 1 - (step / steps - 0.4) / 0.6))


def initial(a):
    if a.init == "tiny":
        torch.manual_seed(0)
        model = Model(TINY)
        for name, weight in model.named_parameters():
            if weight.ndim == 2:
                torch.nn.init.normal_(weight, std=0.04)
        return model
    model = gguf_files.load(a.init)
    if not gguf_files.is_adapted(a.init):  # the markers start as an average token, with a little noise to tell them apart
        with torch.no_grad():
            table = model.token_embd.weight
            table[MARKERS] = table.mean(0) + 0.02 * table.std(0) * torch.randn(len(MARKERS), table.shape[1])
    return model


def optimiser(model, peak):
    decayed = [p for name, p in model.named_parameters() if p.ndim == 2 and "embd" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embd" in name]
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.95))


def average_gradients(model):
    for parameter in model.parameters():
        dist.all_reduce(parameter.grad)
        parameter.grad /= dist.get_world_size()


def train(a):
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if torch.cuda.is_available() else torch.device("cpu")
    if world > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    model = initial(a).to(device)
    opt, step = optimiser(model, a.rate), 0
    checkpoint = a.out / "checkpoint.pt"
    if checkpoint.exists():
        kept = torch.load(checkpoint, map_location=device)
        model.load_state_dict(kept["model"])
        opt.load_state_dict(kept["optimiser"])
        step = kept["step"]
    elif world > 1:  # the markers' noise is drawn in every process
        for parameter in model.parameters():
            dist.broadcast(parameter.data, 0)
    entropy = cross_entropy
    if device.type == "cuda":
        for layer in model.blk:
            layer.compile()
        entropy = torch.compile(cross_entropy)
    loader = torch.utils.data.DataLoader(Batches(a, [step, rank]), a.batch, num_workers=a.workers, pin_memory=device.type == "cuda")
    batches, began, first = iter(loader), time.time(), step
    with open(a.out / "log.tsv" if rank == 0 else os.devnull, "a", buffering=1) as log:
        while step < a.steps:
            # All processes stop at the same step: the first one's clock counts.
            late = torch.tensor(float(time.time() - began > a.minutes * 60), device=device)
            if world > 1:
                dist.broadcast(late, 0)
            if late:
                break
            for group in opt.param_groups:
                group["lr"] = a.rate * rate(step, a.steps)
            loss = losses(model, entropy, next(batches), a.causal)
            if world > 1:
                average_gradients(model)
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            opt.zero_grad(set_to_none=True)
            step += 1
            if step % 20 == 0 or step == first + 1:
                causal, masked = loss.tolist()
                if not math.isfinite(causal + masked):
                    raise SystemExit(f"the loss is lost at step {step}; go on from the last checkpoint with a lower --rate")
                speed = (step - first) * a.batch * a.length * world / (time.time() - began)
                print(f"{step}\t{causal:.4f}\t{masked:.4f}\t{norm:.2f}\t{speed:.0f}", file=log)
    if rank == 0:
        torch.save({"model": model.state_dict(), "optimiser": opt.state_dict(), "step": step}, f"{checkpoint}.part")
        os.replace(f"{checkpoint}.part", checkpoint)
        print(f"step {step} of {a.steps}")
    if world > 1:
        dist.destroy_process_group()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--tokenizer", type=Path, required=True)
    arguments.add_argument("--init", required=True, help="a GGUF file: the base model or an earlier result; or `tiny`")
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--steps", type=int, required=True)
    arguments.add_argument("--minutes", type=float, default=18)
    arguments.add_argument("--batch", type=int, default=32, help="rows of a step on each process")
    arguments.add_argument("--length", type=int, default=2048, help="positions of a row")
    arguments.add_argument("--streams", type=float, default=0.6875, help="share of a row's positions that is streams; the rest is blocks")
    arguments.add_argument("--rate", type=float, default=1e-3, help="peak learning rate")
    arguments.add_argument("--causal", type=float, default=0.7, help="weight of the causal loss")
    arguments.add_argument("--workers", type=int, default=12)
    a = arguments.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    train(a)


if __name__ == "__main__":
    main()
