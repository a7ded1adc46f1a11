#!/usr/bin/env python3
"""A judge of the sizes of a published one with random weights: for measuring speed without a download. What it says has no
meaning; a throughput job fixes how long its answers are.

    tools/make-random-judge SIZES FOLDER      SIZES: smollm2-135m, qwen2.5-0.5b, qwen2.5-7b, qwen2.5-vl-7b
"""
import sys
from pathlib import Path

import numpy as np

import tiny_models

# From the config.json of the published checkpoints.
SIZES = {
    "smollm2-135m": ("llama", tiny_models.Shape(hidden=576, intermediate=1536, layers=30, vocab=49152, heads=9, kv_heads=3)),
    "qwen2.5-0.5b": ("qwen2", tiny_models.Shape(hidden=896, intermediate=4864, layers=24, vocab=151936, heads=14, kv_heads=2,
                                                tied=True)),
    "qwen2.5-7b": ("qwen2", tiny_models.Shape(hidden=3584, intermediate=18944, layers=28, vocab=152064, heads=28, kv_heads=4,
                                              head_dim=128)),
    "qwen2.5-vl-7b": ("qwen2_5_vl", tiny_models.Shape(
        hidden=3584, intermediate=18944, layers=28, vocab=152064, heads=28, kv_heads=4, head_dim=128, vision_hidden=1280,
        vision_intermediate=3420, vision_heads=16, vision_depth=32, full_attention=(7, 15, 23, 31), mrope_section=(16, 24, 24))),
}
POOL = 1 << 22  # values that are drawn; tensors repeat them from places of their own


def pool(mean, deviation):
    """bfloat16 bits of POOL random values."""
    values = np.random.default_rng(7).standard_normal(POOL, dtype=np.float32)
    return tiny_models.bf16_bits(values * np.float32(deviation) + np.float32(mean)).tobytes()


def write(sizes, folder):
    kind, shape = SIZES[sizes]
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in tiny_models.texts(kind, shape).items():
        (folder / name).write_bytes(data)
    listed = [(name, dimensions, mean, 1 / np.sqrt(np.prod(dimensions[1:])) if len(dimensions) > 1 else deviation)
              for name, dimensions, mean, deviation in tiny_models.tensors(kind, shape)]
    pools = {spread: pool(*spread) for spread in {(mean, deviation) for _, _, mean, deviation in listed}}
    header, sizes_of = tiny_models.safetensors_header((name, dimensions) for name, dimensions, _, _ in listed)
    with open(folder / "model.safetensors", "wb") as out:
        out.write(header)
        for i, ((_, _, mean, deviation), size) in enumerate(zip(listed, sizes_of, strict=True)):
            data, at = pools[mean, deviation], i * 7919 * 2 % (2 * POOL)
            while size:
                piece = data[at:at + size]
                out.write(piece)
                size, at = size - len(piece), 0


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in SIZES:
        sys.exit(__doc__)
    write(sys.argv[1], Path(sys.argv[2]))
