"""Writes the shapes suites: for each protocol a folder with its test items, its dev items and their pictures.

    python tools/shapes/make_suite.py [--output configs/suites]

The same seed gives the same bytes (with the same Pillow). Training pictures are made on the fly and never stored.
"""

import argparse
import json
import pathlib

import chat
import protocols
import world

SEED = "shapes-1"
COUNTS = {"test": 400, "dev": 100}
NOISE = 0.1  # share of the second annotator's votes that are drawn anew among the wrong ones
SOURCE = "made by tools/shapes/make_suite.py from a seed"
TITLES = {
    "pair": "Shapes, which caption fits",
    "pair-images": "Shapes, which picture fits",
    "label": "Shapes, four-way vote on two captions",
    "score": "Shapes, how much of a caption is true",
    "rank": "Shapes, four captions in order",
}


def second_vote(rng, task):
    """The exact label, except that one time in ten it is another one."""
    if rng.random() >= NOISE:
        return task.human
    if task.protocol == "rank":
        letters = list(task.human)
        while "".join(letters) == task.human:
            rng.shuffle(letters)
        return "".join(letters)
    votes = {"label": protocols.LABELS, "score": range(1, protocols.STATEMENTS["score"] + 2)}
    return rng.choice([vote for vote in votes.get(task.protocol, ("A", "B", "tie")) if vote != task.human])


def write_item(folder, split, index, protocol):
    """One line of the sample file; its pictures go to `folder`/media."""
    rng = world.generator(SEED, split, protocol, index)
    task = protocols.item(rng, protocol, split)
    names = []
    for number, picture in enumerate(task.pictures):
        suffix = "ab"[number] if len(task.pictures) > 1 else ""
        name = f"media/{split}-{index:04d}{suffix}.png"
        world.draw(rng, picture).save(folder / name, optimize=True)
        names.append(name)
    line = {"id": f"{split}-{index:04d}", "question": chat.question(task)}
    if protocol == "pair-images":
        line["candidates"] = [{"images": [name]} for name in names]
    else:
        line["images"] = names
        line["candidates"] = [{"text": protocols.caption_text(caption)} for caption in task.captions]
    return line | {"human": task.human, "annotators": {"second": second_vote(rng, task)}, "group": task.group}


def suite_text(protocol, split, samples):
    """The suite's YAML file."""
    kind = "pair" if protocol == "pair-images" else protocol
    name = f"shapes-{protocol}" + ("" if split == "test" else f"-{split}")
    ties = "allowed" if kind == "pair" else "none"
    return "\n".join(
        (
            f"id: {name}",
            f"title: {TITLES[protocol]}",
            f"protocol: {kind}",
            f"ties: {ties}",
            f"samples: {samples}",
            f"count: {COUNTS[split]}",
            f"prompt: configs/prompts/shapes-{protocol}.yaml",
            f"source: {SOURCE}",
            "",
        )
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, default=chat.ROOT / "configs" / "suites")
    output = parser.parse_args().output
    for protocol in protocols.PROTOCOLS:
        folder = output / f"shapes-{protocol}"
        (folder / "media").mkdir(parents=True, exist_ok=True)
        for split, count in COUNTS.items():
            samples, suite = ("samples.jsonl", "suite.yaml") if split == "test" else (f"{split}.jsonl", f"{split}.yaml")
            lines = [write_item(folder, split, index, protocol) for index in range(1, count + 1)]
            (folder / samples).write_text("".join(json.dumps(line) + "\n" for line in lines))
            (folder / suite).write_text(suite_text(protocol, split, samples))


if __name__ == "__main__":
    main()
