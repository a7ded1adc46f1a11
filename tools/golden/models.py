#!/usr/bin/env python3
"""Goldens of the model tests: what transformers computes for the tiny judges of tiny_models.py.

    "$(tools/python-env)" tools/golden/models.py

writes tests/golden/model_*.json: file checksums, rotary frequencies, positions, logits, greedy tokens and vision
embeddings; eager attention, fp32, batch 1, one thread."""
import json
import sys
import tempfile
from pathlib import Path

import torch
import transformers

sys.path.insert(0, str(Path(__file__).parent))
import tiny_models as tiny  # noqa: E402

OUT = Path(__file__).resolve().parents[2] / "tests" / "golden"


def save(name, value):
    text = json.dumps(value, separators=(",", ":"))
    assert len(text) < 200_000, name
    (OUT / f"model_{name}.json").write_text(text + "\n")
    print(f"model_{name}.json {len(text)} bytes")


def floats(values):
    """A list that reads back as the same f32 values."""
    return [float(f"{float(value):.9g}") for value in torch.as_tensor(values, dtype=torch.float32).flatten()]


def file_checksums():
    save("files", {kind: {name: tiny.checksum(data) for name, data in tiny.files(kind).items()}
                   for kind in tiny.KINDS})


def rope_frequencies():
    """inv_freq and attention factor of each kind of scaling that the configuration reader knows."""
    scalings = [
        {"rope_theta": 10000.0},
        {"rope_theta": 1000000.0, "head_dim": 128, "max_position_embeddings": 32768},
        {"rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 3.0}},
        {"rope_theta": 500000.0, "head_dim": 128,
         "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                          "original_max_position_embeddings": 8192}},
        {"rope_theta": 500000.0,
         "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                          "original_max_position_embeddings": 32}},
        {"rope_theta": 1000000.0, "head_dim": 128, "max_position_embeddings": 131072,
         "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}},
    ]
    rows = []
    for changes in scalings:
        made = transformers.LlamaConfig(**(tiny.config("llama") | {"rope_theta": 1e4} | changes))
        rotary = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding(made)
        rows.append({"config": changes, "inv_freq": floats(rotary.inv_freq),
                     "attention_factor": rotary.attention_scaling})
    save("rope", rows)


def main():
    OUT.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    file_checksums()
    rope_frequencies()


if __name__ == "__main__":
    main()
