"""A LLaMA decoder with two attention patterns: a causal stream, and noised blocks that see it and themselves."""

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Shape:
    """Geometry; the defaults are those of the shipped model."""

    vocab: int = 49152
    width: int = 576
    layers: int = 30
    heads: int = 9
    kv_heads: int = 3
    ffn: int = 1536
    theta: float = 100000.0
    eps: float = 1e-5
    context: int = 8192

    @property
    def head(self):
        return self.width // self.heads


# For tests: the whole chain runs on a processor in seconds.
TINY = Shape(width=96, layers=2, heads=3, kv_heads=1, ffn=192)


def rms_norm(x, weight, eps):
    wide = x.float()
    return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)).to(x.dtype) * weight.to(x.dtype)


def rotate(x, cos, sin):
    """Rotary embedding of halves: x (batch, heads, rows, head)."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def attend(q, k, v, mask):
    """Grouped attention. `mask`: a FlexAttention block mask, or dense booleans (batch, 1, rows, keys), true where seen."""
    if not torch.is_tensor(mask):
        from torch.nn.attention.flex_attention import flex_attention

        return flex_attention(q, k, v, block_mask=mask, enable_gqa=True)
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    scores = (q @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5
    return scores.masked_fill(~mask, -torch.inf).softmax(-1).to(v.dtype) @ v


class Layer(nn.Module):
    def __init__(self, shape):
        super().__init__()
        width, kv = shape.width, shape.kv_heads * shape.head
        self.shape = shape
        self.attn_norm = nn.Parameter(torch.ones(width))
        self.attn_q = nn.Linear(width, width, bias=False)
        self.attn_k = nn.Linear(width, kv, bias=False)
        self.attn_v = nn.Linear(width, kv, bias=False)
        self.attn_output = nn.Linear(width, width, bias=False)
        self.ffn_norm = nn.Parameter(torch.ones(width))
        self.ffn_gate = nn.Linear(width, shape.ffn, bias=False)
        self.ffn_up = nn.Linear(width, shape.ffn, bias=False)
        self.ffn_down = nn.Linear(shape.ffn, width, bias=False)

    def forward(self, x, cos, sin, mask, cache=None):
        batch, rows, width = x.shape
        heads = lambda y: y.view(batch, rows, -1, self.shape.head).transpose(1, 2)
        y = rms_norm(x, self.attn_norm, self.shape.eps)
        q, k, v = heads(self.attn_q(y)), heads(self.attn_k(y)), heads(self.attn_v(y))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if cache is not None:
            k, v = cache.join(self, k, v)
        y = attend(q, k, v, mask)
        x = x + self.attn_output(y.transpose(1, 2).reshape(batch, rows, width))
        y = rms_norm(x, self.ffn_norm, self.shape.eps)
        return x + self.ffn_down(F.silu(self.ffn_gate(y)) * self.ffn_up(y))


class Model(nn.Module):
    """Parameters are named as in a GGUF file, so that export and import need no table."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocab, shape.width)  # also the head
        self.blk = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.output_norm = nn.Parameter(torch.ones(shape.width))

    def forward(self, ids, positions, mask, cache=None):
        """Ids and positions (batch, rows) -> hidden states after the last norm (batch, rows, width)."""
        x = self.token_embd(ids)
        if torch.is_autocast_enabled():
            x = x.to(torch.bfloat16)
        half = torch.arange(0, self.shape.head, 2, device=ids.device, dtype=torch.float32)
        angle = positions.float()[:, None, :, None] * self.shape.theta ** (-half / self.shape.head)
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        for layer in self.blk:
            x = layer(x, cos, sin, mask, cache)
        return rms_norm(x, self.output_norm, self.shape.eps)

    def logits(self, hidden):
        return hidden.float() @ self.token_embd.weight.float().T


class Cache:
    """Keys and values of one stream, layer by layer, for decoding on a processor."""

    def __init__(self):
        self.layers, self.length, self.commit = {}, 0, True

    def join(self, layer, k, v):
        """The keys and values of everything known and of the new rows, which stay known if `commit` is set."""
        if layer in self.layers:
            k, v = (torch.cat([old[:, :, : self.length], new], 2) for old, new in zip(self.layers[layer], (k, v)))
        if self.commit:
            self.layers[layer] = k, v
        return k, v


class Session:
    """One stream and its cache: the engine's forward pass, in f32."""

    def __init__(self, model):
        self.model, self.cache = model, Cache()

    @torch.no_grad()
    def states(self, ids, causal, first=0):
        """Hidden states of rows `first` and up of `ids` at the end of the stream. Causal rows become part of it."""
        start, rows = self.cache.length, len(ids)
        device = self.model.output_norm.device
        seen = torch.ones(rows, start + rows, dtype=torch.bool, device=device)
        if causal:
            seen[:, start:] = seen[:, start:].tril()
        self.cache.commit = causal
        positions = torch.arange(start, start + rows, device=device)[None]
        hidden = self.model(torch.tensor([ids], device=device), positions, seen[None, None], self.cache)
        self.cache.length += rows if causal else 0
        return hidden[0, first:]

    def logits(self, ids, causal, first=0):
        return self.model.logits(self.states(ids, causal, first).detach()).detach()

    def crop(self, length):
        self.cache.length = length
