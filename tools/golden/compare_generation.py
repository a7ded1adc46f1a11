"""Compares assize with transformers on a real text judge: greedy tokens on the same bf16-rounded weights in fp32.

usage: tools/golden/compare_generation.py ASSIZE JUDGE_FOLDER SUITE_FOLDER [--pairs 20] [--tokens 64]

For each of the first pairs of the suite: assize generates greedily with the log-probabilities of the two likeliest
tokens; transformers (eager attention, batch 1) is teacher-forced along assize's tokens. Every step whose likeliest
token differs is counted, as is every step whose top-2 margin in transformers is below 1e-3 (a near-tie, where
either token is right). Exits 1 when a step differs that is no near-tie, or more than 1 % of the steps are near-ties.
Prints the largest difference of the two log-probabilities.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

MARGIN = 1e-3


def prompts_of(suite, count):
    for line in (Path(suite) / "samples.jsonl").read_text(encoding="utf-8").splitlines()[:count]:
        sample = json.loads(line)
        first, second = (candidate["text"] for candidate in sample["candidates"])
        yield ("<|im_start|>system\nYou compare two answers.<|im_end|>\n<|im_start|>user\n"
               f"{sample['question']}\n\nFirst answer:\n{first}\n\nSecond answer:\n{second}\n\nWhich is better?<|im_end|>\n"
               "<|im_start|>assistant\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("assize")
    parser.add_argument("judge")
    parser.add_argument("suite")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=64)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prompts.jsonl"
        file.write_text("".join(json.dumps({"prompt": p}) + "\n" for p in prompts_of(arguments.suite, arguments.pairs)))
        out = subprocess.run([arguments.assize, "generate", arguments.judge, "--prompts", str(file), "--max-new-tokens",
                              str(arguments.tokens), "--logprobs", "2"], check=True, capture_output=True, text=True).stdout
    lines = [json.loads(line) for line in out.splitlines()]

    torch.manual_seed(0)
    # Loaded in bf16 and widened: the same weights that assize reads.
    model = AutoModelForCausalLM.from_pretrained(arguments.judge, torch_dtype=torch.bfloat16, attn_implementation="eager")
    model = model.float().eval()
    steps = near_ties = differing = wrong = 0
    largest = 0.0
    with torch.no_grad():
        for number, line in enumerate(lines):
            ids = torch.tensor([line["prompt_ids"] + line["ids"]])
            logprobs = torch.log_softmax(model(ids).logits[0].float(), -1)
            start = len(line["prompt_ids"]) - 1
            for k, token in enumerate(line["ids"]):
                row = logprobs[start + k]
                top = torch.topk(row, 2)
                margin = float(top.values[0] - top.values[1])
                steps += 1
                near_ties += margin < MARGIN
                if int(top.indices[0]) != token:
                    differing += 1
                    if margin >= MARGIN:
                        wrong += 1
                        print(f"prompt {number} step {k}: assize {token}, transformers {int(top.indices[0])}, margin {margin:.5f}")
                largest = max(largest, abs(float(row[line["top_logprobs"][k][0][0]]) - line["top_logprobs"][k][0][1]))
    print(f"{len(lines)} prompts, {steps} steps: {steps - differing} equal, {differing} differ, {wrong} of them without a "
          f"near-tie; {near_ties} near-ties ({100 * near_ties / steps:.2f} %); largest log-probability difference {largest:.2e}")
    sys.exit(1 if wrong or near_ties > 0.01 * steps else 0)


main()
