"""Measures the small judge on the items of a split, from a training state or a checkpoint folder.

    python tools/shapes/evaluate.py (--state FILE | --judge FOLDER) [--split dev] [--grey] [--no-thinking]

The weights are rounded to bf16, as in the checkpoint, and everything is computed in fp32.
"""

import argparse
import json
import pathlib
import re
import statistics

import numpy
import safetensors.torch
import scipy.stats
import tokenizers
import torch
from PIL import Image

import batches
import chat
import generate
import model
import protocols

GREY = Image.new("RGB", (112, 112), (128, 128, 128))


def load_judge(state, folder):
    """The judge in fp32 on weights rounded to bf16, and its tokenizer."""
    judge = model.Judge()
    if state:
        weights = torch.load(state)["student"]
        weights = {name[6:]: value for name, value in weights.items() if name.startswith("judge.")}
        tokenizer = state.parent / "tokenizer.json"
    else:
        weights = safetensors.torch.load_file(folder / "model.safetensors")
        tokenizer = folder / "tokenizer.json"
    judge.load_state_dict({name: value.to(torch.bfloat16).float() for name, value in weights.items()})
    return judge.eval(), tokenizers.Tokenizer.from_file(str(tokenizer))


def load_items(protocol, split):
    """Items of a suite with the folder of their pictures."""
    folder = chat.ROOT / "configs" / "suites" / f"shapes-{protocol}"
    name = "samples.jsonl" if split == "test" else f"{split}.jsonl"
    return [json.loads(line) for line in (folder / name).read_text().splitlines()], folder


def item_prompt(prompts, protocol, item):
    """The prompt text of an item and the names of its pictures."""
    texts = [candidate.get("text") for candidate in item["candidates"]]
    names = item.get("images", []) + [name for c in item["candidates"] for name in c.get("images", [])]
    user = chat.user_text(prompts[protocol], item["question"], texts, len(item.get("images", [])))
    return chat.chat(prompts[protocol]["system"], user), names


def answer_count(protocol):
    """Number of `<answer>`s of a reply."""
    return {"score": 1, "rank": 4}.get(protocol, 2)


def read_verdict(protocol, text):
    """The verdict in the form of the label, or None where the text has none; for `rank` the four scores."""
    if protocol == "label":
        found = re.search(r"<answer>\[\[(.*?)\]\]</answer>", text)
        return found.group(1) if found and found.group(1) in protocols.LABELS else None
    scores = [int(score) for score in re.findall(r"<answer>(\d+)</answer>", text)]
    if len(scores) != answer_count(protocol):
        return None
    if protocol == "score":
        return scores[0]
    if protocol == "rank":
        return scores
    return "A" if scores[0] > scores[1] else "B" if scores[1] > scores[0] else "tie"


def measure(protocol, items, verdicts):
    """Agreement with the labels; an unreadable verdict is wrong (pair, label), left out (score) or 0 (rank)."""
    unreadable = sum(verdict is None for verdict in verdicts) / len(items)
    if protocol == "score":
        read = [(verdict, item["human"]) for verdict, item in zip(verdicts, items) if verdict is not None]
        pearson = scipy.stats.pearsonr(*zip(*read)).statistic if len(set(v for v, _ in read)) > 1 else 0.0
        return {"pearson": float(pearson), "unreadable": unreadable}
    if protocol == "rank":
        taus = []
        for verdict, item in zip(verdicts, items):
            worth = [-item["human"].index(letter) for letter in "ABCD"]
            tau = 0.0 if verdict is None else scipy.stats.kendalltau(verdict, worth).statistic
            taus.append(0.0 if numpy.isnan(tau) else tau)
        return {"kendall": statistics.fmean(taus), "unreadable": unreadable}
    right = statistics.fmean(verdict == item["human"] for verdict, item in zip(verdicts, items))
    return {"accuracy": right, "unreadable": unreadable}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    weights = parser.add_mutually_exclusive_group(required=True)
    weights.add_argument("--state", type=pathlib.Path, help="state.pt of a training run")
    weights.add_argument("--judge", type=pathlib.Path, help="checkpoint folder")
    parser.add_argument("--split", default="dev", choices=("dev", "test"))
    parser.add_argument("--protocols", default=",".join(protocols.PROTOCOLS))
    parser.add_argument("--items", type=int, default=400, help="at most so many of each protocol")
    parser.add_argument("--grey", action="store_true", help="grey pictures instead of the real ones")
    parser.add_argument("--no-thinking", action="store_true", help="only the scores are written, after <think></think>")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=0, help="print so many replies of each protocol")
    parser.add_argument("--output", type=pathlib.Path, help="file for the replies, one JSON line each")
    arguments = parser.parse_args()
    if arguments.no_thinking and "label" in arguments.protocols.split(","):
        parser.error("--no-thinking is for answers that are scores: leave label out of --protocols")
    return arguments


def replies(judge, tokenizer, protocol, items, folder, arguments):
    """The text the judge writes for each item, and its number of tokens."""
    prompts = chat.load_prompts()
    picture_id, end_id = tokenizer.token_to_id("<|image_pad|>"), tokenizer.token_to_id("<|im_end|>")
    texts, counts = [], []
    for begin in range(0, len(items), 100):
        asked, images = [], []
        for item in items[begin : begin + 100]:
            text, names = item_prompt(prompts, protocol, item)
            asked.append(text)
            images.append([GREY if arguments.grey else Image.open(folder / name).convert("RGB") for name in names])
        if arguments.no_thinking:
            texts += scores_alone(judge, tokenizer, protocol, asked, images)
            counts += [0] * len(asked)
            continue
        rows = [batches.expand(tokenizer.encode(text).ids, picture_id) for text in asked]
        written = generate.generate(
            judge, rows, images, picture_id, end_id, temperature=arguments.temperature, seed=arguments.seed + begin
        )
        texts += [tokenizer.decode(ids, skip_special_tokens=False) for ids in written]
        counts += [len(ids) for ids in written]
    return texts, counts


def scores_alone(judge, tokenizer, protocol, asked, images):
    """Replies with an empty thinking and, for each candidate, the likeliest score: everything but the digits is given.
    (After `<answer>` alone the judge would write its thoughts there.)"""
    picture_id, end_id = tokenizer.token_to_id("<|image_pad|>"), tokenizer.token_to_id("<|im_end|>")
    digits = [tokenizer.token_to_id(digit) for digit in "0123456789"]
    after_number = tokenizer.encode("1</answer>").ids[1]
    replies = ["<think></think>"] * len(asked)

    def likeliest(tokens):
        rows = [batches.expand(tokenizer.encode(a + r).ids, picture_id) for a, r in zip(asked, replies)]
        written = generate.generate(judge, rows, images, picture_id, end_id, room=1, allowed=tokens)
        return [ids[0] for ids in written]

    for _ in range(answer_count(protocol)):
        replies = [reply + "<answer>" for reply in replies]
        replies = [reply + tokenizer.decode([id]) for reply, id in zip(replies, likeliest(digits))]
        is_ten = [id == digits[0] for id in likeliest([digits[0], after_number])]
        # Of the scales' numbers only ten has a second digit.
        replies = [r + ("0" if r.endswith(">1") and ten else "") + "</answer>" for r, ten in zip(replies, is_ten)]
    return replies


def main():
    arguments = parse_arguments()
    judge, tokenizer = load_judge(arguments.state, arguments.judge)
    lines = []
    for protocol in arguments.protocols.split(","):
        items, folder = load_items(protocol, arguments.split)
        items = items[: arguments.items]
        texts, counts = replies(judge, tokenizer, protocol, items, folder, arguments)
        verdicts = [read_verdict(protocol, text) for text in texts]
        figures = measure(protocol, items, verdicts) | {"tokens": statistics.fmean(counts)}
        print(protocol, "  ".join(f"{name} {value:.3f}" for name, value in figures.items()), flush=True)
        for item, text in list(zip(items, texts))[: arguments.show]:
            print(f"--- {item['id']} {item['human']}\n{text}")
        lines += [
            {"protocol": protocol, "id": item["id"], "human": item["human"], "verdict": verdict, "text": text}
            for item, verdict, text in zip(items, verdicts, texts)
        ]
    if arguments.output:
        arguments.output.write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
