#!/usr/bin/env python3
"""One workload for all engines: pairs of answers as prompts of token ids, and the same pairs as a suite of assize.

usage: make_workload.py SUITE_FOLDER JUDGE_FOLDER OUT [--count 32] [--shortest 200] [--longest 600] [--seed 1]

SUITE_FOLDER is a suite of pairs as tools/import-suite makes it (llmbar). OUT gets workload.jsonl ({"id", "prompt_ids"} a
line, for the peers) and suite/ (for assize: the same items in the same wording). Items are drawn by the seed from those
whose prompt has between --shortest and --longest tokens. Needs transformers.
"""
import argparse
import json
import random
from pathlib import Path

SYSTEM = (
    "You compare two answers to one question. Think first, between <think> and </think>: does each answer do what was "
    "asked, is it correct, does it leave something out? Neither the order of the answers nor their length may count. Then "
    "give each answer a mark from 1 to 10, the first one's first: <answer>mark</answer><answer>mark</answer>"
)
USER = "Question:\n{question}\n\nFirst answer:\n{candidate_1}\n\nSecond answer:\n{candidate_2}\n"


def prompt_ids(tokenizer, sample):
    texts = [c if isinstance(c, str) else c["text"] for c in sample["candidates"]]
    user = USER.replace("{question}", sample["question"]).replace("{candidate_1}", texts[0]).replace("{candidate_2}", texts[1])
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def common_tokens(prompts):
    count = 0
    while all(len(p) > count and p[count] == prompts[0][count] for p in prompts):
        count += 1
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path)
    parser.add_argument("judge", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--shortest", type=int, default=200)
    parser.add_argument("--longest", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(options.judge)
    samples = [json.loads(line) for line in (options.suite / "samples.jsonl").read_text("utf-8").splitlines() if line.strip()]
    random.Random(options.seed).shuffle(samples)
    chosen = []
    for sample in samples:
        ids = prompt_ids(tokenizer, sample)
        if options.shortest <= len(ids) <= options.longest:
            chosen.append((sample, ids))
        if len(chosen) == options.count:
            break
    if len(chosen) < options.count:
        parser.error(f"only {len(chosen)} prompts of {options.shortest} to {options.longest} tokens; ask for fewer with --count")
    suite = options.out / "suite"
    suite.mkdir(parents=True, exist_ok=True)
    with open(options.out / "workload.jsonl", "w", encoding="utf-8") as file:
        for number, (_, ids) in enumerate(chosen):
            file.write(json.dumps({"id": number, "prompt_ids": ids}) + "\n")
    with open(suite / "samples.jsonl", "w", encoding="utf-8") as file:
        for sample, _ in chosen:
            file.write(json.dumps(sample, ensure_ascii=False) + "\n")
    (suite / "prompt.yaml").write_text(f"id: peers\nsystem: {json.dumps(SYSTEM)}\nuser: {json.dumps(USER)}\n", "utf-8")
    (suite / "suite.yaml").write_text("id: peers\nprotocol: pair\nprompt: prompt.yaml\nsamples: samples.jsonl\n", "utf-8")
    lengths = sorted(len(ids) for _, ids in chosen)
    print(f"{len(lengths)} prompts of {lengths[0]} to {lengths[-1]} tokens, {sum(lengths)} in all, the first "
          f"{common_tokens([ids for _, ids in chosen])} common")


main()
