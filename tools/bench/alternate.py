"""Runs of several settings in turns, and their ratios: a machine's noise falls on all of them alike."""
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_job(program, job, settings):
    """Measures one throughput job; returns the first run of its metrics.json."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(program), "run", str(job), "--set", f"output={folder}/out"]
        for setting in settings:
            command += ["--set", setting]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\nended with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
        return json.loads((Path(folder) / "out/metrics.json").read_text())["runs"][0]


def instructions(program, row):
    """Instructions of the engine in one row of bench_engine under callgrind, in millions: the same each time."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", "--toggle-collect=assize::bench::answer_all*",
                   f"--callgrind-out-file={folder}/callgrind", str(program), f"--benchmark_filter=^{row}$", "--benchmark_min_time=0"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0 or "ERROR OCCURRED" in done.stdout:
            sys.exit(f"{' '.join(command)}\nended with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
        totals = [line for line in (Path(folder) / "callgrind").read_text().splitlines() if line.startswith("totals:")]
        counted = int(totals[-1].split()[1]) if totals else 0
        if counted == 0:
            sys.exit(f"{' '.join(command)}\ncounted nothing: is there such a row, and valgrind's callgrind knows this CPU's instructions?")
        return counted / 1e6


def alternate(measures, repeats):
    """Calls each of `measures` (name -> function giving a number) once a round; returns name -> list of numbers."""
    numbers = {name: [] for name in measures}
    for round_ in range(repeats):
        # Every other round backwards, so that a drift of the machine cancels out.
        order = list(measures) if round_ % 2 == 0 else list(reversed(measures))
        for name in order:
            numbers[name].append(measures[name]())
            print(f"round {round_ + 1} of {repeats}: {name} {numbers[name][-1]:.4g}", file=sys.stderr, flush=True)
    return numbers


def table(numbers, base, unit, lower_is_better):
    """Medians, and the median over rounds of each round's ratio to `base`, above 1 where `base` is better."""
    width = max(len(name) for name in numbers)
    print(f"{'':{width}}  {'median':>10}  {'lowest':>10}  {'highest':>10}  {'worth':>6}   load average {os.getloadavg()[0]:.1f}")
    for name, values in numbers.items():
        ratios = [(v / b if lower_is_better else b / v) for v, b in zip(values, numbers[base])]
        print(f"{name:{width}}  {statistics.median(values):10.4g}  {min(values):10.4g}  {max(values):10.4g}  "
              f"{statistics.median(ratios):6.3f}   {unit}")
