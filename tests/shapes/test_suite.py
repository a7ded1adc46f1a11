"""The shapes suites in configs/ are what their generator makes, their labels are exact, and the splits are apart."""

import json
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "shapes"))

try:
    import numpy
    from PIL import Image

    import make_suite
    import protocols
    import world
except ImportError as missing:
    print(f"skipped: {missing}; tools/python-env makes an environment that has it")
    sys.exit(77)


def stored_lines(protocol, split):
    name = "samples.jsonl" if split == "test" else f"{split}.jsonl"
    return (ROOT / "configs" / "suites" / f"shapes-{protocol}" / name).read_text().splitlines()


def tasks(protocol, split, count):
    """The generator's first tasks of a suite and the random numbers that come after each."""
    for index in range(1, count + 1):
        rng = world.generator(make_suite.SEED, split, protocol, index)
        yield index, protocols.item(rng, protocol, split), rng


def is_true(sentence, pixels):
    """An independent reading of one sentence from the pixels alone: places are found by what is not background."""
    background = pixels[0, 0].astype(int)
    painted = (abs(pixels.astype(int) - background) > 12).any(axis=2)
    cells = {"top left": (24, 24), "top right": (88, 24), "centre": (56, 56), "bottom left": (24, 88),
             "bottom right": (88, 88)}
    found = {}
    for place, (x, y) in cells.items():
        # A place's shape covers the points within 7 px of its centre, which strays at most 6 px: take what touches.
        window = painted[y - 7 : y + 8, x - 7 : x + 8]
        if window.any():
            row, column = numpy.argwhere(window)[len(numpy.argwhere(window)) // 2]
            found[place] = pixels[y - 7 + row, x - 7 + column].astype(int)
    if match := re.fullmatch(r"There (?:is|are) (\w+) shapes?\.", sentence):
        return len(found) == world.NUMBERS.index(match[1])
    place = re.search(r"(?:at|in) the (.+)\.", sentence)[1]
    if sentence.startswith("Nothing"):
        return place not in found
    if place not in found:
        return False
    colour = min(world.COLOURS, key=lambda name: ((found[place] - world.RGB[name]) ** 2).sum())
    words = sentence.split()
    named = [word for word in words if word in world.COLOURS]
    # Kind and size are not read here: a sentence that passes may still be false.
    return None if not named or named[0] == colour else False


class Suites(unittest.TestCase):
    def test_generator_makes_the_stored_items(self):
        for protocol in protocols.PROTOCOLS:
            for split in make_suite.COUNTS:
                lines = stored_lines(protocol, split)
                self.assertEqual(len(lines), make_suite.COUNTS[split])
                for index, task, rng in tasks(protocol, split, 20):
                    folder = ROOT / "configs" / "suites" / f"shapes-{protocol}"
                    stored = json.loads(lines[index - 1])
                    names = stored.get("images") or [c["images"][0] for c in stored["candidates"]]
                    for name, picture in zip(names, task.pictures):
                        drawn = numpy.asarray(world.draw(rng, picture))
                        self.assertTrue((numpy.asarray(Image.open(folder / name)) == drawn).all(), name)
                    self.assertEqual(stored["human"], task.human)

    def test_labels_agree_with_the_pixels(self):
        contradicted = 0
        folder = ROOT / "configs" / "suites" / "shapes-score"
        for line in stored_lines("score", "test"):
            item = json.loads(line)
            pixels = numpy.asarray(Image.open(folder / item["images"][0]))
            sentences = re.findall(r"[^.]+\.", item["candidates"][0]["text"])
            readings = [is_true(sentence.strip(), pixels) for sentence in sentences]
            least, most = readings.count(True), len(readings) - readings.count(False)
            if not least <= item["human"] - 1 <= most:
                contradicted += 1
        self.assertEqual(contradicted, 0)

    def test_splits_share_no_held_out_combination(self):
        for protocol in protocols.PROTOCOLS:
            for split in ("train", "dev", "test"):
                for _, task, _ in tasks(protocol, split, 50):
                    for picture in task.pictures:
                        self.assertTrue(world.belongs(picture, split))
                    for statement in (s for caption in task.captions for s in caption):
                        if statement.kind and statement.size and statement.colour:
                            shape = world.Shape(statement.size, statement.colour, statement.kind)
                            self.assertIn(world.split_of(shape, statement.place), ("train", split))

    def test_no_picture_stands_in_two_splits(self):
        stored = {"test": set(), "dev": set()}
        for path in (ROOT / "configs" / "suites").glob("shapes-*/media/*.png"):
            stored[path.name.split("-")[0]].add(Image.open(path).tobytes())
        self.assertFalse(stored["test"] & stored["dev"])


if __name__ == "__main__":
    unittest.main()
