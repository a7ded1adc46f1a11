"""Writes what the reference says of the judge that ships with the repository, on test items of the shapes suites:

- tests/golden/shapes_texts.json: what transformers generates greedily in fp32 for 50 items;
- tests/golden/shapes_verdicts.json: the verdicts on the first 100 items of `pair` (transformers' texts);
- tests/golden/grey.png: the grey picture of the test that looking matters.

    python tools/golden/shapes_texts.py

Ten items of each protocol in the first file. Each entry has the prompt text (one `<|image_pad|>` a picture), the ids of the expanded
prompt, the generated ids with the end mark, their text, and the margins between the two best logits.
"""

import json
import logging
import pathlib
import sys
import warnings

import torch
import transformers
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "shapes"))

import batches
import chat
import evaluate
import protocols

ITEMS = 10  # of each protocol
VERDICTS = 100  # items of `pair`
JUDGE = ROOT / "configs" / "judges" / "shapes-judge"


def entry(reference, tokenizer, pictures, prompts, protocol, item, folder):
    text, names = evaluate.item_prompt(prompts, protocol, item)
    images = [Image.open(folder / name).convert("RGB") for name in names]
    prompt_ids = batches.expand(tokenizer(text)["input_ids"], reference.config.image_token_id)
    made = reference.generate(
        input_ids=torch.tensor([prompt_ids]),
        attention_mask=torch.ones(1, len(prompt_ids), dtype=torch.long),
        **pictures(images, return_tensors="pt"),
        do_sample=False,
        max_new_tokens=320,
        return_dict_in_generate=True,
        output_logits=True,
    )
    ids = made.sequences[0, len(prompt_ids) :].tolist()
    margins = []
    for logits in made.logits:
        best = logits[0].topk(2).values
        margins.append(round(float(best[0] - best[1]), 4))
    return {
        "suite": f"shapes-{protocol}",
        "id": item["id"],
        "prompt": text,
        "prompt_ids": prompt_ids,
        "ids": ids,
        "text": tokenizer.decode(ids[:-1], skip_special_tokens=False),
        "margins": margins,
    }


class Refusal(logging.Handler):
    """Stops at the first warning of transformers."""

    def emit(self, record):
        raise SystemExit(f"transformers warns: {record.getMessage()}")


def load():
    """Model in fp32, tokenizer and picture processor, as transformers loads the folder; a warning is an error."""
    handler = Refusal(logging.WARNING)
    logging.getLogger("transformers").addHandler(handler)
    with warnings.catch_warnings(action="error"):
        reference, report = transformers.Qwen2_5_VLForConditionalGeneration.from_pretrained(
            JUDGE, torch_dtype=torch.float32, attn_implementation="eager", output_loading_info=True
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(JUDGE)
        pictures = transformers.Qwen2VLImageProcessor.from_pretrained(JUDGE)
    logging.getLogger("transformers").removeHandler(handler)
    if any(report.values()):
        raise SystemExit(f"weights and class do not match: {report}")
    return reference.eval(), tokenizer, pictures


def main():
    torch.set_num_threads(1)
    reference, tokenizer, pictures = load()
    prompts = chat.load_prompts()
    entries = []
    for protocol in protocols.PROTOCOLS:
        items, folder = evaluate.load_items(protocol, "test")
        entries += [entry(reference, tokenizer, pictures, prompts, protocol, item, folder) for item in items[:ITEMS]]
    items, folder = evaluate.load_items("pair", "test")
    texts = {item["id"]: entry(reference, tokenizer, pictures, prompts, "pair", item, folder)["text"] for item in items[:VERDICTS]}
    verdicts = {name: evaluate.read_verdict("pair", text) for name, text in texts.items()}
    (ROOT / "tests" / "golden" / "shapes_verdicts.json").write_text(json.dumps(verdicts, indent=0) + "\n")
    evaluate.GREY.save(ROOT / "tests" / "golden" / "grey.png")
    lines = ",\n".join(json.dumps(value, separators=(",", ":")) for value in entries)
    head = json.dumps({"transformers": transformers.__version__, "torch": torch.__version__, "dtype": "float32"})
    (ROOT / "tests" / "golden" / "shapes_texts.json").write_text(f'{head[:-1]}, "items": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
