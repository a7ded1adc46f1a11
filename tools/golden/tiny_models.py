#!/usr/bin/env python3
"""Tiny judges whose weights come from one formula, the same bit for bit as tests/support/tiny_models.cpp.

    tools/make-tiny-model KIND FOLDER      KIND: llama, llama3, qwen2, qwen2_5_vl

writes config.json, generation_config.json, tokenizer.json, preprocessor_config.json and model.safetensors (BF16).
"""
import dataclasses
import json
import struct
import sys
from pathlib import Path

import numpy as np


@dataclasses.dataclass(frozen=True)
class Shape:
    """Sizes of a judge; those of the tiny ones by default."""
    hidden: int = 256
    intermediate: int = 384
    layers: int = 3
    vocab: int = 512
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    tied: bool = False  # the output head is the embedding
    vision_hidden: int = 160
    vision_intermediate: int = 224
    vision_heads: int = 2
    vision_depth: int = 3
    full_attention: tuple = (1,)  # layers of the vision tower that look at the whole picture
    mrope_section: tuple = (8, 12, 12)


TINY = Shape()
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
           "<|video_pad|>"]
END_OF_TEXT, IM_START, IM_END, VISION_START, VISION_END, IMAGE_PAD, VIDEO_PAD = range(256, 263)
KINDS = ["llama", "llama3", "qwen2", "qwen2_5_vl"]


def normal(name, count):
    """`count` float64 values, near-normal with mean 0 and deviation 1: the sum of four 16-bit uniforms cut from
    SplitMix64 of (FNV-1a of the name, index). Every step is exact or rounded once, so that C++ gives the same."""
    stream = 0xCBF29CE484222325
    for byte in name.encode():
        stream = (stream ^ byte) * 0x100000001B3 % 2**64
    z = np.uint64(stream) + np.uint64(0x9E3779B97F4A7C15) * np.arange(1, count + 1, dtype=np.uint64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    total = sum(((z >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64) for shift in (0, 16, 32, 48))
    return (total - 131070).astype(np.float64) / 37837.0


def bf16_bits(values):
    """float64 -> float32 -> bfloat16 bits, each to nearest even."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def tied(kind, shape):
    return kind == "llama" or shape.tied


def tensors(kind, shape=TINY):
    """(name, dimensions, mean, deviation) of each tensor, in the order of the file."""
    vl = kind == "qwen2_5_vl"
    listed = [("model.embed_tokens.weight", [shape.vocab, shape.hidden], 0, 0.2)]

    def norm(name, width):
        listed.append((name, [width], 1, 0.1))

    def linear(name, rows, columns, bias, deviation=0.1):
        listed.append((name + ".weight", [rows, columns], 0, deviation))
        if bias:
            listed.append((name + ".bias", [rows], 0, 0.2))

    for i in range(shape.layers):
        layer = f"model.layers.{i}."
        norm(layer + "input_layernorm.weight", shape.hidden)
        for part, heads in (("q", shape.heads), ("k", shape.kv_heads), ("v", shape.kv_heads)):
            linear(f"{layer}self_attn.{part}_proj", heads * shape.head_dim, shape.hidden, kind.startswith("qwen"))
        linear(layer + "self_attn.o_proj", shape.hidden, shape.heads * shape.head_dim, False)
        norm(layer + "post_attention_layernorm.weight", shape.hidden)
        linear(layer + "mlp.gate_proj", shape.intermediate, shape.hidden, False)
        linear(layer + "mlp.up_proj", shape.intermediate, shape.hidden, False)
        linear(layer + "mlp.down_proj", shape.hidden, shape.intermediate, False)
    norm("model.norm.weight", shape.hidden)
    if not tied(kind, shape):
        linear("lm_head", shape.vocab, shape.hidden, False, 0.2)
    if vl:
        listed.append(("visual.patch_embed.proj.weight", [shape.vision_hidden, 3, 2, 14, 14], 0, 0.05))
        for i in range(shape.vision_depth):
            block = f"visual.blocks.{i}."
            norm(block + "norm1.weight", shape.vision_hidden)
            norm(block + "norm2.weight", shape.vision_hidden)
            linear(block + "attn.qkv", 3 * shape.vision_hidden, shape.vision_hidden, True)
            linear(block + "attn.proj", shape.vision_hidden, shape.vision_hidden, True)
            linear(block + "mlp.gate_proj", shape.vision_intermediate, shape.vision_hidden, True)
            linear(block + "mlp.up_proj", shape.vision_intermediate, shape.vision_hidden, True)
            linear(block + "mlp.down_proj", shape.vision_hidden, shape.vision_intermediate, True)
        norm("visual.merger.ln_q.weight", shape.vision_hidden)
        linear("visual.merger.mlp.0", 4 * shape.vision_hidden, 4 * shape.vision_hidden, True)
        linear("visual.merger.mlp.2", shape.hidden, 4 * shape.vision_hidden, True, 0.03)
    return listed


def weights(kind):
    """{name: bfloat16 bits, shaped}."""
    made = {}
    for name, dimensions, mean, deviation in tensors(kind):
        values = mean + deviation * normal(f"{kind}:{name}", int(np.prod(dimensions)))
        made[name] = bf16_bits(values).reshape(dimensions)
    return made


def config(kind, shape=TINY):
    text = {
        "hidden_size": shape.hidden, "intermediate_size": shape.intermediate, "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads, "num_key_value_heads": shape.kv_heads, "vocab_size": shape.vocab, "hidden_act": "silu",
        "max_position_embeddings": 4096, "tie_word_embeddings": tied(kind, shape), "torch_dtype": "bfloat16",
        "bos_token_id": END_OF_TEXT, "eos_token_id": IM_END,
    }
    if kind == "llama":
        return text | {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "rms_norm_eps": 1e-5,
                       "rope_theta": 100000.0}
    if kind == "llama3":
        return text | {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "rms_norm_eps": 1e-5,
                       "rope_theta": 500000.0,
                       "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                                        "high_freq_factor": 4.0, "original_max_position_embeddings": 32}}
    qwen = text | {"rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "use_sliding_window": False}
    if kind == "qwen2":
        return qwen | {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}
    return qwen | {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl",
        "rope_scaling": {"type": "mrope", "mrope_section": list(shape.mrope_section)},
        "vision_start_token_id": VISION_START, "vision_end_token_id": VISION_END,
        "image_token_id": IMAGE_PAD, "video_token_id": VIDEO_PAD,
        "vision_config": {
            "depth": shape.vision_depth, "hidden_size": shape.vision_hidden, "intermediate_size": shape.vision_intermediate,
            "num_heads": shape.vision_heads, "in_channels": 3, "patch_size": 14, "spatial_merge_size": 2,
            "temporal_patch_size": 2, "window_size": 112, "fullatt_block_indexes": list(shape.full_attention), "hidden_act": "silu",
            "out_hidden_size": shape.hidden, "tokens_per_second": 2, "model_type": "qwen2_5_vl"},
    }


def tokenizer(shape=TINY):
    """Byte-level BPE without merges: the id of a byte is its value; then the special tokens, then reserved ones,
    so that every row of the head has a token. Of a large vocabulary most are words that no text is cut into: special
    tokens are searched for in every text."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [byte for byte in range(256) if byte not in plain]
    character = {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(other)}
    added = SPECIAL + [f"<|reserved_{i}|>" for i in range(256 + len(SPECIAL), min(shape.vocab, TINY.vocab))]
    words = {f"word{i}": i for i in range(TINY.vocab, shape.vocab)}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": 256 + i, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for i, content in enumerate(added)],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {character[byte]: byte for byte in range(256)} | words, "merges": []},
    }


def texts(kind, shape=TINY):
    """{file name: bytes} of the folder but its weights."""
    made = {
        "config.json": config(kind, shape),
        "generation_config.json": {"eos_token_id": [IM_END, END_OF_TEXT], "repetition_penalty": 1.05},
        "tokenizer.json": tokenizer(shape),
    }
    if kind == "qwen2_5_vl":
        made["preprocessor_config.json"] = {
            "image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 3136, "max_pixels": 200704,
            "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
            "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
    return {name: json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
            for name, value in made.items()}


def safetensors_header(listed):
    """The beginning of a file of BF16 tensors (name, dimensions), and the bytes of each."""
    entries, sizes = [], []
    for name, dimensions in listed:
        begin = sum(sizes)
        sizes.append(2 * int(np.prod(dimensions)))
        entries.append('"%s":{"dtype":"BF16","shape":[%s],"data_offsets":[%d,%d]}' % (
            name, ",".join(map(str, dimensions)), begin, begin + sizes[-1]))
    header = "{" + ",".join(entries) + "}"
    header += " " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header.encode(), sizes


def files(kind):
    """{file name: bytes} of a tiny judge's folder."""
    made = weights(kind)
    header, _ = safetensors_header((name, bits.shape) for name, bits in made.items())
    return texts(kind) | {"model.safetensors": header + b"".join(bits.tobytes() for bits in made.values())}


def checksum(data):
    """Sum of (byte + 1) * (index * 0x9E3779B97F4A7C15 + 1) modulo 2^64, as hexadecimal digits."""
    values = np.frombuffer(data, np.uint8).astype(np.uint64) + np.uint64(1)
    factors = np.arange(len(data), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1)
    return "%016x" % int(np.sum(values * factors, dtype=np.uint64))


def write(kind, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files(kind).items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in KINDS:
        sys.exit(__doc__)
    write(sys.argv[1], sys.argv[2])
