#!/usr/bin/env python3
"""assize itself on the same workload. MODEL is a Hugging Face folder, PROMPTS the workload.jsonl beside its suite/ folder.

--program names the assize binary (default: build/release/assize of this checkout).
"""
import json
import os
import resource
import statistics
import subprocess
import tempfile
from pathlib import Path

import common

ROOT = Path(__file__).resolve().parents[3]


def add(parser):
    parser.add_argument("--program", default=str(ROOT / "build/release/assize"))
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE for the job")


def run(settings, folder, generations, tokens, sampled):
    limits = f"limits: {{samples: {settings.limit}}}\n" if settings.limit else ""
    job = Path(folder) / "job.yaml"
    job.write_text(f"kind: throughput\njudge: {os.path.abspath(settings.model)}\n"
                   f"suites: [{Path(settings.prompts).resolve().parent / 'suite'}]\nworkload: {{output_tokens: {tokens}}}\n"
                   f"judging: {{votes: {generations}, orders: as_given, seed: 1}}\n"
                   f"sampling: {{temperature: {0.7 if sampled else 0}, top_p: {0.95 if sampled else 1}}}\n"
                   f"parallel: {{threads: {settings.threads}}}\n{limits}output: {folder}/out\n")
    more = [part for setting in settings.set for part in ("--set", setting)]
    subprocess.run([settings.program, "run", str(job), *more], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return json.loads((Path(folder) / "out/metrics.json").read_text())


def main():
    settings = common.options(__doc__, add)
    prompts = common.read_prompts(settings.prompts, settings.limit)
    for name in settings.only.split(","):
        generations, tokens, sampled = common.WORKLOADS[name]
        runs = []
        for _ in range(settings.repeats):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(run(settings, folder, generations, tokens, sampled))
        seconds = [metrics["runs"][0]["wall_seconds"] for metrics in runs]
        whole = runs[0]["runs"][0]["figures"]["all"]["whole"]
        common.report({"engine": "assize", "workload": name, "prompts": len(prompts), "prompt_tokens": sum(map(len, prompts)),
                       "generations": len(prompts) * generations, "output_tokens": len(prompts) * generations * tokens,
                       "seconds": statistics.median(seconds), "all_seconds": seconds,
                       "peak_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, "threads": settings.threads,
                       "load": os.getloadavg()[0], "version": runs[0]["version"], "perfect_share": whole["perfect_share"],
                       "flop_use": whole["flop_use"]}, settings.out)


main()
