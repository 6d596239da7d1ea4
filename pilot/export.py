"""Writes a trained pilot as GGUF (Q8_0 matrices, tokenizer, chat template, sampling advice) and in the layout of Hugging Face."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, processors

import model
import tokens

HERE = Path(__file__).parent
SHIPPED = HERE.parent / "src" / "homeport" / "pilot"
_DESCRIPTION = "A small model bundled with Homeport: labels, fields, spans, prompt bands, reminders. Trained from scratch on its own synthetic text."
_SAMPLING = {"temp": 0.3, "top_p": 0.9, "min_p": 0.2}
_LAYER = {"q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output", "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down"}
_NORMS = {"attention_norm": "attn_norm", "ffn_norm": "ffn_norm"}
_HF = {
    **{name: f"self_attn.{name}_proj" for name in "qkvo"},
    **{name: f"mlp.{name}_proj" for name in ("gate", "up", "down")},
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def _describe(writer: gguf.GGUFWriter, name: str, shape: model.Shape, count: int) -> None:
    writer.add_name(name)
    writer.add_description(_DESCRIPTION)
    writer.add_license("apache-2.0")
    writer.add_size_label(f"{count / 1e6:.0f}M")
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
    for key, value in _SAMPLING.items():
        writer.add_float32(f"general.sampling.{key}", value)


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


def write(path: Path, name: str, weights: model.Weights, shape: model.Shape, tokenizer: Tokenizer) -> None:
    """Write the GGUF `path` anew. Matrices become Q8_0, norms stay in 32 bits; the output head is the embedding."""
    held = {key: np.asarray(value, np.float32) for key, value in weights.items()}
    writer = gguf.GGUFWriter(str(path), "llama")
    _describe(writer, name, shape, model.parameters(weights))
    _spell(writer, tokenizer)

    def add(key: str, value: np.ndarray) -> None:
        if value.ndim == 1:
            writer.add_tensor(f"{key}.weight", value)
        else:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(f"{key}.weight", gguf.quants.quantize(value, kind), raw_dtype=kind)

    add("token_embd", held["embed"])
    add("output_norm", held["norm"])
    for i in range(shape.layers):
        for ours, theirs in (_LAYER | _NORMS).items():
            add(f"blk.{i}.{theirs}", held[ours][i])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read(path: Path) -> tuple[model.Weights, model.Shape, Tokenizer]:
    """What a GGUF written here holds: weights (as 32-bit numbers again), shape and tokenizer."""
    reader = gguf.GGUFReader(str(path))
    held = {tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type) for tensor in reader.tensors}
    number = {key: int(reader.fields[f"llama.{field}"].contents()) for key, field in _NUMBERS.items()}
    weights: model.Weights = {"embed": held["token_embd.weight"], "norm": held["output_norm.weight"]}
    for ours, theirs in (_LAYER | _NORMS).items():
        weights[ours] = np.stack([held[f"blk.{i}.{theirs}.weight"] for i in range(number["layers"])])
    words = reader.fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in reader.fields["tokenizer.ggml.merges"].contents()]
    return weights, model.Shape(vocabulary=len(words), **number), tokens.spelled({word: i for i, word in enumerate(words)}, merges)


_NUMBERS = {"width": "embedding_length", "layers": "block_count", "heads": "attention.head_count", "hidden": "feed_forward_length", "context": "context_length"}


def _halved(matrix: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a query or key matrix in the order of Hugging Face: the two halves of a rotation apart, where GGUF has them side by side."""
    rows, columns = matrix.shape
    return matrix.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_hf(folder: Path, weights: model.Weights, shape: model.Shape, tokenizer: Tokenizer) -> None:
    """Write config.json, model.safetensors (16 bits), tokenizer.json and their settings, as transformers and vLLM read them."""
    folder.mkdir(parents=True, exist_ok=True)
    held = {key: np.asarray(value, np.float32) for key, value in weights.items()}
    found = {"model.embed_tokens.weight": held["embed"], "model.norm.weight": held["norm"]}
    for i in range(shape.layers):
        for ours, theirs in _HF.items():
            value = held[ours][i]
            found[f"model.layers.{i}.{theirs}.weight"] = _halved(value, shape.heads) if ours in "qk" else value
    save_file({key: np.ascontiguousarray(value, np.float16) for key, value in found.items()}, folder / "model.safetensors", {"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float16", "vocab_size": shape.vocabulary,
        "hidden_size": shape.width, "intermediate_size": shape.hidden, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads, "head_dim": shape.head, "max_position_embeddings": shape.context, "rope_theta": shape.rope_base,
        "rms_norm_eps": shape.epsilon, "hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True,
        "bos_token_id": tokens.BEGIN, "eos_token_id": tokens.END, "pad_token_id": tokens.END,
    }  # fmt: skip
    template = (HERE / "chat_template.jinja").read_text(encoding="utf-8")
    spelled = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": tokens.SPECIAL[tokens.BEGIN], "eos_token": tokens.SPECIAL[tokens.END],
               "pad_token": tokens.SPECIAL[tokens.END], "model_max_length": shape.context, "clean_up_tokenization_spaces": False, "chat_template": template}  # fmt: skip
    advice = {"bos_token_id": tokens.BEGIN, "eos_token_id": tokens.END, "temperature": _SAMPLING["temp"], "top_p": _SAMPLING["top_p"]}
    for name, value in (("config.json", config), ("tokenizer_config.json", spelled), ("generation_config.json", advice)):
        (folder / name).write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    whole = Tokenizer.from_str(tokenizer.to_str())
    whole.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in tokens.SPECIAL])
    begin = tokens.SPECIAL[tokens.BEGIN]
    whole.post_processor = processors.TemplateProcessing(single=f"{begin} $A", special_tokens=[(begin, tokens.BEGIN)])
    whole.save(str(folder / "tokenizer.json"))


def main() -> int:
    """Export NAME.npz and tokenizer.json of a build folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(model.SIZES))
    parser.add_argument("build", type=Path)
    parser.add_argument("--target", type=Path, default=SHIPPED, help="folder for NAME.gguf")
    given = parser.parse_args()
    tokenizer, shape = tokens.loaded(given.build / "tokenizer.json"), model.SIZES[given.name]
    weights: model.Weights = {key: value.astype(np.float32) for key, value in np.load(given.build / f"{given.name}.npz").items()}
    path = given.target / f"{given.name}.gguf"
    write(path, given.name, weights, shape, tokenizer)
    write_hf(given.build / "hf" / given.name, weights, shape, tokenizer)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {model.parameters(weights):,} parameters; {given.build / 'hf' / given.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
