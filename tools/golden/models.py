#!/usr/bin/env python3
"""Goldens of the model tests: what transformers computes for the tiny judges of tiny_models.py.

    "$(tools/python-env)" tools/golden/models.py

writes tests/golden/model_*.json: file checksums, rotary frequencies, positions, logits, greedy tokens and vision
embeddings; eager attention, fp32, batch 1, one thread."""
import json
import re
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from PIL import Image

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


def picture_rows(case, index, grid):
    """Patch values [N, 1176] of a made-up picture, from the formula; fp32."""
    rows = grid[0] * grid[1] * grid[2]
    return tiny.normal(f"pixels:{case}:{index}", rows * 1176).astype("float32").reshape(rows, 1176)


def text_ids(text):
    return list(text.encode())


def made_up_ids(name, count):
    """`count` ids from all over the vocabulary but for the placeholders and vision marks."""
    return [int(abs(value) * 1000) % tiny.VISION_START for value in tiny.normal(f"ids:{name}", count)]


def prompts(kind):
    """(name, ids, grids) of each golden prompt of a kind."""
    listed = [
        ("one token", [tiny.IM_START], []),
        ("text", [tiny.IM_START, *text_ids("user\nWhich answer is better, A or B?"), tiny.IM_END], []),
        ("across blocks", made_up_ids("across blocks", 150), []),
    ]
    if kind == "llama":
        listed.append(("across chunks", made_up_ids("across chunks", 1100), []))
    if kind != "qwen2_5_vl":
        return listed

    def picture(t, h, w):
        return [tiny.VISION_START, *[tiny.IMAGE_PAD] * (t * h * w // 4), tiny.VISION_END]

    return listed + [
        ("one picture", [*text_ids("See "), *picture(1, 10, 14), *text_ids(" and judge.")], [(1, 10, 14)]),
        ("two pictures", [*picture(1, 16, 8), *text_ids("first, then"), *picture(1, 4, 6), *text_ids("second")],
         [(1, 16, 8), (1, 4, 6)]),
        ("smallest picture", [*picture(1, 2, 2), 66], [(1, 2, 2)]),
        ("wide and tall pictures", [*picture(1, 2, 34), 10, *picture(1, 26, 2), *picture(1, 18, 10), 66, 67],
         [(1, 2, 34), (1, 26, 2), (1, 18, 10)]),
    ]


def load(kind):
    with tempfile.TemporaryDirectory() as folder:
        tiny.write(kind, folder)
        class_name = tiny.config(kind)["architectures"][0]
        return getattr(transformers, class_name).from_pretrained(
            folder, attn_implementation="eager", torch_dtype=torch.float32).eval()


def vision_plans():
    """Window order, window lengths and some rotary angles of grids."""
    tower, rows = load("qwen2_5_vl").visual, []
    for grid in [(1, 2, 2), (1, 10, 14), (2, 16, 8), (1, 8, 8), (3, 4, 18), (1, 22, 6)]:
        order, window_ends = tower.get_window_index(torch.tensor([grid]))
        angles = tower.rot_pos_emb(torch.tensor([grid]))
        rows.append({"grid": grid, "token_order": order.tolist(),
                     "window_ends": torch.unique_consecutive(torch.tensor(window_ends))[1:].tolist(),
                     "last_angles": floats(angles[-1])})
    save("vision_plan", rows)


def generate(model, kind, ids, extra, next_position):
    """Logits of the last prompt token, and 64 greedy tokens with the margin of each over the second best."""
    output = model(input_ids=torch.tensor([ids]), **extra)
    row = {"logits": floats(output.logits[0, -1]), "greedy": [], "margins": []}
    for step in range(64):
        if step > 0:
            rows = [3, 1, 1] if kind == "qwen2_5_vl" else [1, 1]
            output = model(input_ids=torch.tensor([row["greedy"][-1:]]),
                           position_ids=torch.full(rows, next_position + step - 1),
                           past_key_values=output.past_key_values)
        best = torch.topk(output.logits[0, -1], 2)
        margin = float(best.values[0] - best.values[1])
        assert margin > 1e-3, "the greedy tokens of this prompt are not well determined: change it"
        row["greedy"].append(int(best.indices[0]))
        row["margins"].append(round(margin, 4))
    return row


@torch.no_grad()
def picture_files():
    """From picture files to greedy tokens: the image processor, the tokenizer and the model together."""
    model, rows = load("qwen2_5_vl"), []
    with tempfile.TemporaryDirectory() as folder:
        tiny.write("qwen2_5_vl", folder)
        processor = transformers.Qwen2VLImageProcessor.from_pretrained(folder)
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=folder + "/tokenizer.json")
    picture = "<|vision_start|><|image_pad|><|vision_end|>"
    for files, text in [(["png_rgb.png"], f"Is {picture} a good picture?"),
                        (["jpeg_420.jpg", "png_palette.png"], f"{picture} or {picture}, which is better?"),
                        (["jpeg_large.jpg"], picture)]:
        pictures = processor([Image.open(OUT / "pixels" / name) for name in files], return_tensors="pt")
        prompt = f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
        counts = iter([int(grid.prod()) // 4 for grid in pictures["image_grid_thw"]])
        expanded = re.sub(re.escape("<|image_pad|>"), lambda match: match.group() * next(counts), prompt)
        ids = tokenizer.encode(expanded, add_special_tokens=False)
        delta = int(model.get_rope_index(torch.tensor([ids]), pictures["image_grid_thw"])[1])
        row = {"files": files, "prompt": prompt, "ids": ids}
        row |= generate(model, "qwen2_5_vl", ids, dict(pictures), len(ids) + delta)
        print(f"{files}: {len(ids)} tokens, smallest margin {min(row['margins'])}")
        rows.append(row)
    save("picture_files", rows)


@torch.no_grad()
def outputs(kind):
    """Logits and greedy tokens of the golden prompts; with pictures also positions and some columns of the
    embeddings."""
    model, rows = load(kind), []
    for name, ids, grids in prompts(kind):
        row = {"name": name, "ids": ids, "grids": grids}
        extra = {}
        if grids:
            pixels = [picture_rows(name, i, grid) for i, grid in enumerate(grids)]
            extra = {"pixel_values": torch.cat([torch.from_numpy(part) for part in pixels]),
                     "image_grid_thw": torch.tensor(grids)}
            embeddings = model.visual(extra["pixel_values"], grid_thw=extra["image_grid_thw"])
            row["embedding_columns"] = list(range(0, tiny.HIDDEN, 37))
            row["embeddings"] = floats(embeddings[:, ::37])
        next_position = len(ids)
        if kind == "qwen2_5_vl":
            positions, delta = model.get_rope_index(torch.tensor([ids]), extra.get("image_grid_thw"))
            next_position = len(ids) + int(delta)
            row["positions"] = positions[:, 0].flatten().tolist()
            row["next_position"] = next_position
        row |= generate(model, kind, ids, extra, next_position)
        print(f"{kind} {name}: smallest margin {min(row['margins'])}, logits up to {max(map(abs, row['logits'])):.1f}")
        rows.append(row)
    save(kind, {"transformers": transformers.__version__, "torch": torch.__version__, "attention": "eager",
                "dtype": "float32", "prompts": rows})


def main():
    OUT.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    file_checksums()
    rope_frequencies()
    vision_plans()
    for kind in tiny.KINDS:
        outputs(kind)
    picture_files()


if __name__ == "__main__":
    main()
