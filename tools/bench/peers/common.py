"""What the runners share: three workloads, the clock, one JSON line a workload.

votes: 5 sampled generations of 96 tokens a prompt (temperature 0.7, top_p 0.95) · single: one greedy generation of 96
tokens · prefill: one token. Every generation has exactly its number of tokens. Before each repeat the first token of all
prompts is replaced by another, so that no prefix cache carries over from the repeat before; inside a repeat everything
can be shared.
"""
import argparse
import json
import os
import resource
import statistics
import sys
import time

WORKLOADS = {"votes": (5, 96, True), "single": (1, 96, False), "prefill": (1, 1, False)}


def options(doc, add=None):
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="model folder or file in this engine's form")
    parser.add_argument("prompts", help="workload.jsonl of make_workload.py")
    parser.add_argument("--only", default="votes,single,prefill", help="workloads, with commas between them")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=int, default=0, help="only the first prompts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", help="file that the result lines are appended to")
    if add:
        add(parser)
    return parser.parse_args()


def read_prompts(path, limit):
    with open(path, encoding="utf-8") as file:
        prompts = [json.loads(line)["prompt_ids"] for line in file if line.strip()]
    return prompts[:limit] if limit else prompts


def report(result, out):
    line = json.dumps(result)
    print(line, flush=True)
    if out:
        with open(out, "a", encoding="utf-8") as file:
            file.write(line + "\n")


def measure(settings, engine, about, generate):
    """`generate(prompts, generations, tokens, sampled)` runs one workload and returns the tokens that it made."""
    prompts = read_prompts(settings.prompts, settings.limit)
    repeat = 0
    generate([p[:64] for p in prompts[:2]], 2, 4, True)  # warm-up
    for name in settings.only.split(","):
        generations, tokens, sampled = WORKLOADS[name]
        seconds = []
        for _ in range(settings.repeats):
            repeat += 1
            salted = [[1000 + repeat] + prompt[1:] for prompt in prompts]
            begin = time.perf_counter()
            made = generate(salted, generations, tokens, sampled)
            seconds.append(time.perf_counter() - begin)
            if made != len(prompts) * generations * tokens:
                sys.exit(f"{engine} made {made} tokens instead of {len(prompts) * generations * tokens}: no comparison")
        report({"engine": engine, "workload": name, "prompts": len(prompts), "prompt_tokens": sum(map(len, prompts)),
                "generations": len(prompts) * generations, "output_tokens": made, "seconds": statistics.median(seconds),
                "all_seconds": seconds, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                "threads": settings.threads, "load": os.getloadavg()[0], **about}, settings.out)
