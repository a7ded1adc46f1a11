#!/usr/bin/env python3
"""Compares a judge on the GPU with the same judge on the CPU: greedy answers to items of a suite, token by token.

    judge.py ASSIZE JUDGE [--device cuda] [--items 20] [--tokens 64]

Both go their own way until a token differs. That is forgiven where the CPU's margin between its two likeliest tokens is
below --tolerance (a near-tie: bf16 may turn it round); the item's later tokens follow from it and are left out. Prints
the counts as JSON; exits 1 if a token differs that bf16 determines."""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUITE = ROOT / "configs/suites/shapes-pair"


def output_of(command):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(str(part) for part in command)}\n{result.stderr.strip()}")
    return result.stdout


def prompt_of(assize, judge, sample):
    """{"prompt": text, "images": [paths]} of a sample in its first order, as `assize prompt` shows it."""
    shown = output_of([assize, "prompt", ROOT / "jobs/quickstart.yaml", "--set", f"judge={judge}", "--set", "limits.samples=all",
                       "--suite", SUITE.name, "--sample", sample])
    lines = shown.split("\n--- candidates ")[1].removesuffix("\n").split("\n")[1:]
    pictures = [line for line in lines if line.startswith("--- picture ")]
    images = [line.removeprefix("--- picture ").split(" ", 1)[1].rsplit(": ", 1)[0] for line in pictures]
    return {"prompt": "\n".join(lines[len(pictures):]), "images": images}


def compare(cpu, gpu, tolerance):
    counts = {"items": len(cpu), "tokens": 0, "equal": 0, "near_ties_turned": 0, "different": 0}
    for ours, theirs in zip(gpu, cpu, strict=True):
        for i, token in enumerate(theirs["ids"]):
            counts["tokens"] += 1
            if i < len(ours["ids"]) and ours["ids"][i] == token:
                counts["equal"] += 1
                continue
            best, second = theirs["top_logprobs"][i][:2]
            counts["near_ties_turned" if best[1] - second[1] < tolerance else "different"] += 1
            break
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("assize", type=Path, help="the built program")
    parser.add_argument("judge", type=Path, help="checkpoint folder or judge file")
    parser.add_argument("--device", default="cuda", help="cuda, or cuda-emulated to try this without a GPU")
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=64, help="of an answer at most")
    parser.add_argument("--tolerance", type=float, default=0.5, help="of a margin of log-probabilities")
    options = parser.parse_args()
    judge = options.judge.resolve()
    samples = [json.loads(line)["id"] for line in (SUITE / "samples.jsonl").read_text().splitlines()[:options.items]]
    with tempfile.TemporaryDirectory() as folder:
        prompts = Path(folder) / "prompts.jsonl"
        prompts.write_text("".join(json.dumps(prompt_of(options.assize, judge, sample)) + "\n" for sample in samples))
        answers = {}
        for device in ("cpu", options.device):
            command = [options.assize, "generate", judge, "--prompts", prompts, "--max-new-tokens", options.tokens,
                       "--logprobs", 2, "--device", device]
            answers[device] = [json.loads(line) for line in output_of(command).splitlines()]
            for answer in answers[device]:
                if answer.get("error"):
                    sys.exit(f"{device}: {answer['error']}")
    counts = compare(answers["cpu"], answers[options.device], options.tolerance)
    print(json.dumps(counts))
    return 1 if counts["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
