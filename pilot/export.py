"""Writes the trained pilot as a GGUF file that llama.cpp loads: Q8_0 matrices, tokenizer, chat template, sampling advice."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import gguf
import jax
import numpy as np
from tokenizers import Tokenizer

import model
import tokens

HERE = Path(__file__).parent
TARGET = HERE.parent / "src" / "homeport" / "pilot" / "pilot.gguf"
_DESCRIPTION = "The small model bundled with Homeport: short answers, simple chat, simple JSON. Trained from scratch on its own synthetic text."
_SAMPLING = {"temp": 0.3, "top_p": 0.9, "min_p": 0.2}
_LAYER = {"q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output", "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down"}


def _describe(writer: gguf.GGUFWriter, shape: model.Shape) -> None:
    writer.add_name("pilot")
    writer.add_description(_DESCRIPTION)
    writer.add_license("apache-2.0")
    writer.add_size_label("1M")
    writer.add_languages(["en"])
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    for name, value in _SAMPLING.items():
        writer.add_float32(f"general.sampling.{name}", value)


def _spell(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    kinds = [gguf.TokenType.CONTROL if i < len(tokens.SPECIAL) else gguf.TokenType.NORMAL for i in range(len(vocabulary))]
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([text for text, _ in vocabulary])
    writer.add_token_types(kinds)
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_bos_token_id(tokens.BEGIN)
    writer.add_eos_token_id(tokens.END)
    writer.add_eot_token_id(tokens.END)
    writer.add_pad_token_id(tokens.END)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template((HERE / "chat_template.jinja").read_text(encoding="utf-8"))


def write(path: Path, weights: model.Weights, shape: model.Shape, tokenizer: Tokenizer) -> None:
    """Write `path` anew. Matrices become Q8_0, norms stay in 32 bits; the output head is the embedding."""
    held = {name: np.asarray(value, np.float32) for name, value in weights.items()}
    writer = gguf.GGUFWriter(str(path), "llama")
    _describe(writer, shape)
    _spell(writer, tokenizer)

    def add(name: str, value: np.ndarray) -> None:
        if value.ndim == 1:
            writer.add_tensor(f"{name}.weight", value)
        else:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(f"{name}.weight", gguf.quants.quantize(value, kind), raw_dtype=kind)

    add("token_embd", held["embed"])
    add("output_norm", held["norm"])
    for i in range(shape.layers):
        for ours, theirs in (*_LAYER.items(), ("attention_norm", "attn_norm"), ("ffn_norm", "ffn_norm")):
            add(f"blk.{i}.{theirs}", held[ours][i])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read(path: Path) -> tuple[model.Weights, model.Shape, Tokenizer]:
    """What a file written here holds: weights (as 32-bit numbers again), shape and tokenizer."""
    reader = gguf.GGUFReader(str(path))
    held = {tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type) for tensor in reader.tensors}
    layers = int(reader.fields["llama.block_count"].contents())
    weights: model.Weights = {"embed": held["token_embd.weight"], "norm": held["output_norm.weight"]}
    for ours, theirs in (*_LAYER.items(), ("attention_norm", "attn_norm"), ("ffn_norm", "ffn_norm")):
        weights[ours] = np.stack([held[f"blk.{i}.{theirs}.weight"] for i in range(layers)])
    words = reader.fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in reader.fields["tokenizer.ggml.merges"].contents()]
    return weights, model.Shape(vocabulary=len(words), layers=layers), tokens.spelled({word: i for i, word in enumerate(words)}, merges)


def main(build: Path, target: Path) -> None:
    """Export the weights and the tokenizer of a build folder to `target`."""
    tokenizer = tokens.loaded(build / "tokenizer.json")
    shape = model.Shape(vocabulary=tokenizer.get_vocab_size())
    weights_file = build / "weights.npz"
    if weights_file.exists():
        weights: model.Weights = dict(np.load(weights_file))
    else:
        weights = jax.device_get(model.initial(shape, 0))
    write(target, weights, shape, tokenizer)
    print(f"{target}: {target.stat().st_size / 1e6:.2f} MB, {model.parameters(weights):,} parameters")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else TARGET)
