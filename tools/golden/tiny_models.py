#!/usr/bin/env python3
"""Tiny judges whose weights come from one formula, the same bit for bit as tests/support/tiny_models.cpp.

    tools/make-tiny-model KIND FOLDER      KIND: llama, llama3, qwen2, qwen2_5_vl

writes config.json, generation_config.json, tokenizer.json, preprocessor_config.json and model.safetensors (BF16).
"""
import json
import struct
import sys
from pathlib import Path

import numpy as np

HIDDEN, INTERMEDIATE, LAYERS, VOCAB = 256, 384, 3, 512
HEADS, KV_HEADS, HEAD_DIM = 4, 2, 64
VISION_HIDDEN, VISION_INTERMEDIATE, VISION_HEADS, VISION_DEPTH = 160, 224, 2, 3
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


def tensors(kind):
    """(name, shape, mean, deviation) of each tensor, in the order of the file."""
    vl, untied = kind == "qwen2_5_vl", kind != "llama"
    listed = [("model.embed_tokens.weight", [VOCAB, HIDDEN], 0, 0.2)]

    def norm(name, width):
        listed.append((name, [width], 1, 0.1))

    def linear(name, rows, columns, bias, deviation=0.1):
        listed.append((name + ".weight", [rows, columns], 0, deviation))
        if bias:
            listed.append((name + ".bias", [rows], 0, 0.2))

    for i in range(LAYERS):
        layer = f"model.layers.{i}."
        norm(layer + "input_layernorm.weight", HIDDEN)
        for part, heads in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)):
            linear(f"{layer}self_attn.{part}_proj", heads * HEAD_DIM, HIDDEN, kind.startswith("qwen"))
        linear(layer + "self_attn.o_proj", HIDDEN, HEADS * HEAD_DIM, False)
        norm(layer + "post_attention_layernorm.weight", HIDDEN)
        linear(layer + "mlp.gate_proj", INTERMEDIATE, HIDDEN, False)
        linear(layer + "mlp.up_proj", INTERMEDIATE, HIDDEN, False)
        linear(layer + "mlp.down_proj", HIDDEN, INTERMEDIATE, False)
    norm("model.norm.weight", HIDDEN)
    if untied:
        linear("lm_head", VOCAB, HIDDEN, False, 0.2)
    if vl:
        listed.append(("visual.patch_embed.proj.weight", [VISION_HIDDEN, 3, 2, 14, 14], 0, 0.05))
        for i in range(VISION_DEPTH):
            block = f"visual.blocks.{i}."
            norm(block + "norm1.weight", VISION_HIDDEN)
            norm(block + "norm2.weight", VISION_HIDDEN)
            linear(block + "attn.qkv", 3 * VISION_HIDDEN, VISION_HIDDEN, True)
            linear(block + "attn.proj", VISION_HIDDEN, VISION_HIDDEN, True)
            linear(block + "mlp.gate_proj", VISION_INTERMEDIATE, VISION_HIDDEN, True)
            linear(block + "mlp.up_proj", VISION_INTERMEDIATE, VISION_HIDDEN, True)
            linear(block + "mlp.down_proj", VISION_HIDDEN, VISION_INTERMEDIATE, True)
        norm("visual.merger.ln_q.weight", VISION_HIDDEN)
        linear("visual.merger.mlp.0", 4 * VISION_HIDDEN, 4 * VISION_HIDDEN, True)
        linear("visual.merger.mlp.2", HIDDEN, 4 * VISION_HIDDEN, True, 0.03)
    return listed


def weights(kind):
    """{name: bfloat16 bits, shaped}."""
    made = {}
    for name, shape, mean, deviation in tensors(kind):
        values = mean + deviation * normal(f"{kind}:{name}", int(np.prod(shape)))
        made[name] = bf16_bits(values).reshape(shape)
    return made


def config(kind):
    text = {
        "hidden_size": HIDDEN, "intermediate_size": INTERMEDIATE, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "vocab_size": VOCAB, "hidden_act": "silu",
        "max_position_embeddings": 4096, "tie_word_embeddings": kind == "llama", "torch_dtype": "bfloat16",
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
        "rope_scaling": {"type": "mrope", "mrope_section": [8, 12, 12]},
        "vision_start_token_id": VISION_START, "vision_end_token_id": VISION_END,
        "image_token_id": IMAGE_PAD, "video_token_id": VIDEO_PAD,
        "vision_config": {
            "depth": VISION_DEPTH, "hidden_size": VISION_HIDDEN, "intermediate_size": VISION_INTERMEDIATE,
            "num_heads": VISION_HEADS, "in_channels": 3, "patch_size": 14, "spatial_merge_size": 2,
            "temporal_patch_size": 2, "window_size": 112, "fullatt_block_indexes": [1], "hidden_act": "silu",
            "out_hidden_size": HIDDEN, "tokens_per_second": 2, "model_type": "qwen2_5_vl"},
    }


def tokenizer():
    """Byte-level BPE without merges: the id of a byte is its value; then the special tokens, then reserved ones,
    so that every row of the head has a token."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [byte for byte in range(256) if byte not in plain]
    character = {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(other)}
    added = SPECIAL + [f"<|reserved_{i}|>" for i in range(256 + len(SPECIAL), VOCAB)]
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
                  "vocab": {character[byte]: byte for byte in range(256)}, "merges": []},
    }


def files(kind):
    """{file name: bytes} of the folder."""
    made = {
        "config.json": config(kind),
        "generation_config.json": {"eos_token_id": [IM_END, END_OF_TEXT], "repetition_penalty": 1.05},
        "tokenizer.json": tokenizer(),
    }
    if kind == "qwen2_5_vl":
        made["preprocessor_config.json"] = {
            "image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 3136, "max_pixels": 200704,
            "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
            "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
    made = {name: json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
            for name, value in made.items()}
    entries, data = [], b""
    for name, bits in weights(kind).items():
        entries.append('"%s":{"dtype":"BF16","shape":[%s],"data_offsets":[%d,%d]}' % (
            name, ",".join(map(str, bits.shape)), len(data), len(data) + bits.nbytes))
        data += bits.tobytes()
    header = "{" + ",".join(entries) + "}"
    header += " " * (-len(header) % 8)
    made["model.safetensors"] = struct.pack("<Q", len(header)) + header.encode() + data
    return made


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
