"""Stage 5: a checkpoint as GGUF in Q8_0, in shards below 100 MB, with the tokenizer beside it.

    python export.py --checkpoint RUN/checkpoint.pt --base BASE.gguf --tokenizer tokenizer.json --name cinnabar-135m-q8_0 --out FOLDER

Vocabulary and merges come from the base model's file; the reused ids get their new names.
"""

import argparse
import json
from pathlib import Path

import gguf
import torch
from gguf import GGUFReader, GGUFWriter

import gguf_files
import layout
from model import TINY, Shape

SHARD = 90_000_000  # bytes: code hosts refuse files of 100 MB
META = {
    "layout": "sep-spm-stem-2", "file_sep_id": layout.SEP, "file_id": layout.FILE, "suffix_id": layout.SUF, "prefix_id": layout.PRE,
    "tail_id": layout.TAIL, "middle_id": layout.MID, "end_id": layout.EOM, "mask_id": layout.MASK, "max_trained_stream": layout.MAX_STREAM,
    "max_suffix": layout.MAX_SUFFIX, "max_tail": layout.MAX_TAIL, "max_path": layout.MAX_PATH,
}  # fmt: skip


def write_header(w, shape, title, note):
    w.add_name(title)
    w.add_description(note)
    w.add_license("apache-2.0")
    w.add_context_length(shape.context)
    w.add_embedding_length(shape.width)
    w.add_block_count(shape.layers)
    w.add_feed_forward_length(shape.ffn)
    w.add_head_count(shape.heads)
    w.add_head_count_kv(shape.kv_heads)
    w.add_rope_freq_base(shape.theta)
    w.add_layer_norm_rms_eps(shape.eps)
    w.add_rope_dimension_count(shape.head)
    w.add_vocab_size(shape.vocab)
    w.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    for key, value in META.items():
        (w.add_string if isinstance(value, str) else w.add_uint32)(f"cinnabar.{key}", value)


def write_vocabulary(w, base):
    field = lambda key: GGUFReader(gguf_files.shards(base)[0]).fields[f"tokenizer.ggml.{key}"].contents()
    tokens = field("tokens")
    for id, name in layout.NAMES.items():
        tokens[id] = name
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("smollm")
    w.add_token_list(tokens)
    w.add_token_types(field("token_type"))
    w.add_token_merges(field("merges"))
    w.add_add_bos_token(False)
    w.add_add_space_prefix(False)
    w.add_eos_token_id(layout.EOM)
    w.add_unk_token_id(0)
    w.add_pad_token_id(0)


def renamed(tokenizer):
    """A tokenizer.json in which the reused ids have their new names."""
    names = {a["id"]: a["content"] for a in tokenizer["added_tokens"]}
    for added in tokenizer["added_tokens"]:
        added["content"] = layout.NAMES.get(added["id"], added["content"])
    vocabulary = tokenizer["model"]["vocab"]
    for id, name in layout.NAMES.items():
        del vocabulary[names[id]]
        vocabulary[name] = id
    tokenizer["model"]["vocab"] = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
    return tokenizer


def export(state, shape, base, tokenizer, name, out, note):
    out.mkdir(parents=True, exist_ok=True)
    w = GGUFWriter(str(out / f"{name}.gguf"), "llama", split_max_size=SHARD)
    write_header(w, shape, "Cinnabar 135M" if shape == Shape() else "Cinnabar, small", note)
    write_vocabulary(w, base)
    for parameter, weight in state.items():
        array, kind = gguf_files.stored(parameter, weight, shape)
        w.add_tensor(gguf_files.file_name(parameter), array, raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    (out / "tokenizer.json").write_text(json.dumps(renamed(json.loads(Path(tokenizer).read_text())), ensure_ascii=False))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--checkpoint", type=Path, required=True)
    arguments.add_argument("--base", type=Path, required=True, help="a GGUF file with the vocabulary")
    arguments.add_argument("--tokenizer", type=Path, required=True)
    arguments.add_argument("--name", default="cinnabar-135m-q8_0")
    arguments.add_argument("--note", default="SmolLM2-135M-Instruct adapted to fill in the middle by masked diffusion")
    arguments.add_argument("--out", type=Path, required=True)
    a = arguments.parse_args()
    state = torch.load(a.checkpoint, map_location="cpu")["model"]
    shape = next(s for s in (Shape(), TINY) if state["token_embd.weight"].shape[1] == s.width)
    export(state, shape, a.base, a.tokenizer, a.name, a.out, a.note)
    print({f.name: f.stat().st_size for f in sorted(a.out.iterdir())})


if __name__ == "__main__":
    main()
