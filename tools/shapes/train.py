"""Trains the small judge on the CPU: first to see, then to describe pictures, then to judge captions of them.

To see is to tell from each picture token alone what is centred in it, by linear heads that are thrown away afterwards:
the vision tower learns that many times faster than through the text.

    python tools/shapes/train.py --state FOLDER

Everything is a function of the seed and the step, so the run can be stopped at any time: the same command goes on from
the last state in FOLDER (keep it outside the work tree). Afterwards `export.py` writes the checkpoint folder.
`--start-from JUDGE` begins with the weights and tokenizer of a checkpoint that sees already, and only judges.
"""

import argparse
import concurrent.futures
import copy
import math
import os
import pathlib
import time

import torch
from torch import nn
from torch.nn import functional as F

import batches
import evaluate
import model
import tokens
import world

SEED = 20261124
MUON_RATE = 0.02
ADAM_RATE = 3e-3
WARM_UP_STEPS = 100
SAVE_SECONDS = 120
# The dtype of products in a step: bf16 where the CPU multiplies it faster than fp32.
FAST = torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--state", type=pathlib.Path, required=True, help="folder of the resumable state")
    parser.add_argument("--see-steps", type=int, default=500, help="steps of the vision tower alone")
    parser.add_argument("--describe-steps", type=int, default=220, help="then steps that describe pictures")
    parser.add_argument("--judge-steps", type=int, default=1200, help="then steps that judge")
    parser.add_argument("--decay-steps", type=int, default=700, help="last steps, over which the rate falls to zero")
    parser.add_argument("--start-from", type=pathlib.Path, help="checkpoint folder to begin with, at the judging")
    parser.add_argument("--peak", type=float, default=1.0, help="share of the learning rates, less for a judge that judges")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def rate_share(step, total, decay, peak):
    """Share of the learning rates: linear warm-up to `peak`, constant, linear to zero over the last `decay` steps."""
    return min(peak, (step + 1) / WARM_UP_STEPS, peak * (total - step) / decay)


def plan(step, see_steps, describe_steps):
    """The micro-batches (kind, size) of a step: small enough for the caches, one at a time to a thread. Three quarters of
    the judging are on prompts without their fixed text, a third shorter; the last step of a ranking is practised alone
    too."""
    if step < see_steps:
        return [("see", 16)] * 4
    if step < see_steps + describe_steps:
        return [("describe", 16)] * 3 + [("describe-two", 8), ("see", 16)]
    judged = [("score", 4), ("label", 4)] + [("pair", 4), ("pair-images", 4), ("rank", 4)] * 2
    short = [(kind if (step + i) % 4 == 0 else f"{kind}/short", size) for i, (kind, size) in enumerate(judged)]
    return [*short, ("rank/ending", 8)]


class Eyes(nn.Module):
    """Linear heads on the picture tokens: place (or nothing), size, colour, kind."""

    def __init__(self):
        super().__init__()
        sizes = (len(world.PLACES) + 1, len(world.SIZES), len(world.COLOURS), len(world.KINDS))
        self.heads = nn.ModuleList(nn.Linear(model.CONFIG["hidden_size"], size) for size in sizes)

    def loss(self, features, labels):
        """Sum over pictures of the cross entropies; `labels` as in `batches.Labelled`."""
        total = 0
        for index, head in enumerate(self.heads):
            logits = head(features).float().flatten(0, 1)
            total = total + F.cross_entropy(logits, labels[:, :, index].flatten(), ignore_index=-1, reduction="sum")
        return total

    def right(self, features, labels):
        """Number of tokens read without an error."""
        said = torch.stack([head(features).argmax(-1) for head in self.heads], dim=-1)
        return int(((said == labels) | (labels < 0)).all(-1).all(-1).sum())


class Student(nn.Module):
    """What is trained: the judge and the heads of the first phase."""

    def __init__(self):
        super().__init__()
        self.judge = model.Judge()
        self.eyes = Eyes()


class Replicas:
    """Copies of the student in FAST with gradients of their own, one for each micro-batch; the masters are fp32.

    Threads meet once a step instead of within each operation, which matters where the CPUs are shared with others; the
    gradients are added in the order of the micro-batches, so that the threads do not change a bit."""

    def __init__(self, student, source, pool):
        self.student, self.source, self.pool = student, source, pool
        self.copies = []

    def _losses(self, replica, kind, size, name):
        """The loss to minimise, summed over units (weights of written tokens, or pictures), and their number."""
        judge = replica.judge
        if kind == "see":
            seen = self.source.labelled(size, name)
            return replica.eyes.loss(judge.visual(seen.pixels), seen.labels), size
        batch = self.source.batch(kind, size, name)
        weights = batch.weights[:, 1:]
        wanted = weights > 0
        hidden = judge.hidden(batch.ids, batch.positions, batch.pixels, self.source.picture_id)
        logits = judge.logits(hidden[:, :-1][wanted])
        losses = F.cross_entropy(logits.float(), batch.ids[:, 1:][wanted], reduction="none")
        return (losses * weights[wanted]).sum(), float(weights.sum())

    def _run(self, replica, kind, size, name):
        torch.set_num_threads(1)
        with torch.no_grad():
            for mine, master in zip(replica.parameters(), self.student.parameters()):
                mine.copy_(master)
        loss, units = self._losses(replica, kind, size, name)
        loss.backward()
        return loss.item(), units

    def step(self, kinds, step):
        """Sets the gradients of the step's micro-batches; the mean loss per unit of each kind."""
        while len(self.copies) < len(kinds):
            self.copies.append(copy.deepcopy(self.student).to(FAST))
        jobs = [
            self.pool.submit(self._run, replica, kind, size, f"{step}.{index}")
            for index, (replica, (kind, size)) in enumerate(zip(self.copies, kinds))
        ]
        results = [job.result() for job in jobs]
        totals = {}
        for (kind, _), (_, units) in zip(kinds, results):
            totals[kind == "see"] = totals.get(kind == "see", 0) + units
        scales = [1 / totals[kind == "see"] for kind, _ in kinds]
        copies = [list(replica.parameters()) for replica in self.copies[: len(kinds)]]
        for index, parameter in enumerate(self.student.parameters()):
            parameter.grad = torch.zeros_like(parameter)
            for parameters, scale in zip(copies, scales):
                if parameters[index].grad is not None:
                    parameter.grad.add_(parameters[index].grad, alpha=scale)
        for replica in self.copies:
            replica.zero_grad()
        return {kind: loss / units for (kind, _), (loss, units) in zip(kinds, results)}


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal, for the matrices inside the blocks (Jordan et al. 2024): learns from
    about half as many samples as AdamW, and the products cost little beside a step."""

    def __init__(self, matrices, pool, lr, momentum=0.95):
        super().__init__(matrices, {"lr": lr, "momentum": momentum})
        self.pool = pool

    def step(self):
        for group in self.param_groups:
            list(self.pool.map(lambda matrix: self._move(matrix, group["lr"], group["momentum"]), group["params"]))

    @torch.no_grad()
    def _move(self, matrix, rate, momentum):
        average = self.state[matrix].setdefault("momentum", torch.zeros_like(matrix))
        average.lerp_(matrix.grad, 1 - momentum)
        direction = orthogonal(matrix.grad.lerp(average, momentum))
        scale = max(1, matrix.shape[0] / matrix.shape[1]) ** 0.5
        matrix.mul_(1 - 0.01 * rate).add_(direction, alpha=-rate * scale)


def orthogonal(matrix):
    """The matrix with its singular values brought near 1, by five steps of a quintic Newton-Schulz iteration."""
    x = matrix.to(FAST)
    if x.shape[0] > x.shape[1]:
        return orthogonal(matrix.T).T
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * (square @ square)) @ x
    return x.float()


def make_optimisers(student, pool):
    """Muon for the matrices of the blocks and the merger, AdamW for embeddings, heads, norms and biases."""
    inside, others = [], []
    for name, parameter in student.named_parameters():
        is_inside = parameter.ndim == 2 and "embed" not in name and name.startswith("judge.")
        (inside if is_inside else others).append(parameter)
    return Muon(inside, pool, MUON_RATE), torch.optim.AdamW(others, ADAM_RATE, betas=(0.9, 0.95), weight_decay=0, fused=True)


def save_state(path, student, optimisers, step, seconds):
    """Replaces the state in one step, so that a kill leaves the old one or the new one."""
    temporary = path.with_suffix(".new")
    optimiser_states = [optimiser.state_dict() for optimiser in optimisers]
    torch.save(
        {"student": student.state_dict(), "optimisers": optimiser_states, "step": step, "seconds": seconds}, temporary
    )
    os.replace(temporary, path)


def main():
    arguments = parse_arguments()
    arguments.state.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    student = Student()
    if arguments.start_from:
        student.judge, tokenizer = evaluate.load_judge(None, arguments.start_from)
        student.judge.train()
    else:
        tokenizer = tokens.train()
        student.judge.initialise()
    tokenizer.save(str(arguments.state / "tokenizer.json"))
    source = batches.Source(tokenizer, SEED)
    pool = concurrent.futures.ThreadPoolExecutor(arguments.threads)
    optimisers = make_optimisers(student, pool)
    state_path = arguments.state / "state.pt"
    step, seconds = 0, 0.0
    if state_path.exists():
        state = torch.load(state_path)
        student.load_state_dict(state["student"])
        for optimiser, saved_state in zip(optimisers, state["optimisers"]):
            optimiser.load_state_dict(saved_state)
        step, seconds = state["step"], state["seconds"]
        print(f"goes on at step {step}", flush=True)
    see_steps, describe_steps = (0, 0) if arguments.start_from else (arguments.see_steps, arguments.describe_steps)
    total = see_steps + describe_steps + arguments.judge_steps
    replicas = Replicas(student, source, pool)
    began = saved = time.monotonic()
    sums, counts = {}, {}
    while step < total:
        share = rate_share(step, total, arguments.decay_steps, arguments.peak)
        for optimiser, peak in zip(optimisers, (MUON_RATE, ADAM_RATE)):
            for group in optimiser.param_groups:
                group["lr"] = peak * share
        losses = replicas.step(plan(step, see_steps, describe_steps), step)
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
        step += 1
        for kind, loss in losses.items():
            sums[kind] = sums.get(kind, 0.0) + loss
            counts[kind] = counts.get(kind, 0) + 1
        now = time.monotonic()
        if step % 20 == 0:
            means = "  ".join(f"{kind} {sums[kind] / counts[kind]:.4f}" for kind in sums)
            print(f"step {step}  {seconds + now - began:.0f} s  {means}", flush=True)
            sums, counts = {}, {}
            if not math.isfinite(sum(losses.values())):
                raise SystemExit(f"the loss is not finite at step {step}: start over from an older state")
        if now - saved > SAVE_SECONDS or step == total:
            save_state(state_path, student, optimisers, step, seconds + now - began)
            saved = now


if __name__ == "__main__":
    main()
