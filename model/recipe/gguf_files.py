"""Weights in and out of GGUF: Q8_0 matrices, f32 norms, llama.cpp's names and row order."""

from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize, quantize

from model import Model, Shape


def shards(path):
    """All shards of a model, given any of them."""
    path = Path(path)
    stem, found, _ = path.name.rpartition("-of-")
    return sorted(path.parent.glob(f"{stem[:-6]}-*-of-*.gguf")) if found else [path]


def read_shape(reader):
    field = lambda key: reader.fields[key].contents()
    return Shape(
        vocab=field("llama.vocab_size"),
        width=field("llama.embedding_length"),
        layers=field("llama.block_count"),
        heads=field("llama.attention.head_count"),
        kv_heads=field("llama.attention.head_count_kv"),
        ffn=field("llama.feed_forward_length"),
        theta=field("llama.rope.freq_base"),
        eps=field("llama.attention.layer_norm_rms_epsilon"),
        context=field("llama.context_length"),
    )


def paired(weight, heads):
    """Rows of a head from halves (as rotated here) to neighbouring pairs (as llama.cpp stores them)."""
    rows, width = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, width).swapaxes(1, 2).reshape(rows, width)


def halved(weight, heads):
    """The inverse of `paired`."""
    rows, width = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, width).swapaxes(1, 2).reshape(rows, width)


def rotated_heads(name, shape):
    return {"attn_q": shape.heads, "attn_k": shape.kv_heads}.get(name.split(".")[-2])


def load(path):
    """A model with the dequantised weights of a GGUF file or of all its shards."""
    readers = [GGUFReader(shard) for shard in shards(path)]
    shape = read_shape(readers[0])
    model = Model(shape)
    state = {}
    for tensor in (t for reader in readers for t in reader.tensors):
        weight = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        heads = rotated_heads(tensor.name, shape)
        weight = halved(weight, heads) if heads else weight
        state[tensor.name] = torch.from_numpy(np.ascontiguousarray(weight))
    names = {name: file_name(name) for name in model.state_dict()}
    model.load_state_dict({name: state[stored] for name, stored in names.items()})
    return model


def file_name(name):
    """The GGUF name of a parameter: norms end with .weight there as well."""
    return name if name.endswith(".weight") else f"{name}.weight"


def stored(name, weight, shape):
    """A parameter as the file holds it: (array, type)."""
    weight = weight.detach().float().cpu().numpy()
    if weight.ndim == 1:
        return weight, GGMLQuantizationType.F32
    heads = rotated_heads(file_name(name), shape)
    weight = np.ascontiguousarray(paired(weight, heads) if heads else weight)
    return quantize(weight, GGMLQuantizationType.Q8_0), GGMLQuantizationType.Q8_0


def is_adapted(path):
    """True for a model of this recipe, false for a base model."""
    return "cinnabar.layout" in GGUFReader(shards(path)[0]).fields
