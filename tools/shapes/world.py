"""Pictures of coloured shapes: what can be in one, how one is drawn, and which belong to which split.

A picture has five places (the corners and the centre) and one shape in one to five of them. A shape has a kind, a
colour and a size, so there are 240 combinations (size, colour, kind, place). A tenth of them is held out for `test`
and a tenth for `dev`: training pictures and sentences never contain those, and every test (dev) picture contains at
least one of its own. So no picture is in two splits, and no sentence about a held-out combination either.
"""

import dataclasses
import hashlib
import random

from PIL import Image, ImageDraw

SIDE_PX = 112
SIZES = ("big", "small")
COLOURS = ("red", "green", "blue", "yellow", "purple", "black")
KINDS = ("circle", "square", "triangle", "cross")
PLACES = ("top left", "top right", "centre", "bottom left", "bottom right")
NUMBERS = ("zero", "one", "two", "three", "four", "five")
HELD_OUT_SHARE = 0.1

RGB = {
    "red": (214, 40, 40),
    "green": (44, 160, 60),
    "blue": (38, 84, 200),
    "yellow": (238, 200, 30),
    "purple": (140, 60, 170),
    "black": (30, 30, 30),
}
PLACE_PX = {
    "top left": (24, 24),
    "top right": (88, 24),
    "centre": (56, 56),
    "bottom left": (24, 88),
    "bottom right": (88, 88),
}
RADIUS_PX = {"big": (13, 15), "small": (6, 8)}
JITTER_PX = 6


@dataclasses.dataclass(frozen=True)
class Shape:
    """One shape: attributes named in captions, no coordinates."""

    size: str
    colour: str
    kind: str


# A picture is a dict from place to Shape, only for the places that hold one.
Picture = dict


def split_of(shape, place):
    """The split that owns this combination: "train" (open to all), "dev" or "test"."""
    name = f"{shape.size} {shape.colour} {shape.kind} {place}"
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
    if share < HELD_OUT_SHARE:
        return "test"
    return "dev" if share < 2 * HELD_OUT_SHARE else "train"


def is_allowed(shape, place, split):
    """Whether pictures and sentences of `split` may contain this combination."""
    return split_of(shape, place) in ("train", split)


def belongs(picture, split):
    """Whether the picture may stand in `split`: nothing of another split, and for dev and test something of its own."""
    owners = {split_of(shape, place) for place, shape in picture.items()}
    return owners <= {"train", split} and (split == "train" or split in owners)


def random_shape(rng, place, split):
    while True:
        shape = Shape(rng.choice(SIZES), rng.choice(COLOURS), rng.choice(KINDS))
        if is_allowed(shape, place, split):
            return shape


def random_picture(rng, split):
    """A picture of one to five shapes, every count equally likely."""
    while True:
        places = rng.sample(PLACES, rng.randint(1, len(PLACES)))
        picture = {place: random_shape(rng, place, split) for place in PLACES if place in places}
        if belongs(picture, split):
            return picture


def changed_picture(rng, picture, split):
    """A copy with one to three places changed: an attribute, a shape more, or a shape less."""
    while True:
        changed = dict(picture)
        for place in rng.sample(PLACES, rng.randint(1, 3)):
            if place not in changed:
                changed[place] = random_shape(rng, place, split)
            elif rng.random() < 0.25:
                del changed[place]
            else:
                attribute, values = rng.choice((("size", SIZES), ("colour", COLOURS), ("kind", KINDS)))
                changed[place] = dataclasses.replace(changed[place], **{attribute: rng.choice(values)})
        changed = {place: changed[place] for place in PLACES if place in changed}
        if changed and changed != picture and belongs(changed, split):
            return changed


def _layout(rng, picture):
    """Centre and radius in px of each shape: near its place, no two bounding boxes touching."""
    while True:
        boxes = []
        for place, shape in picture.items():
            x = PLACE_PX[place][0] + rng.randint(-JITTER_PX, JITTER_PX)
            y = PLACE_PX[place][1] + rng.randint(-JITTER_PX, JITTER_PX)
            boxes.append((x, y, rng.randint(*RADIUS_PX[shape.size])))
        apart = all(
            max(abs(a[0] - b[0]), abs(a[1] - b[1])) > a[2] + b[2] + 1 for i, a in enumerate(boxes) for b in boxes[:i]
        )
        if apart:
            return boxes


def draw(rng, picture):
    """The picture as a SIDE_PX x SIDE_PX RGB image; `rng` moves shapes, sizes and tints a little."""
    return draw_with_centres(rng, picture)[0]


def draw_with_centres(rng, picture):
    """As `draw`; with the (x, y) in px of each shape, in the order of the picture."""
    shade = rng.randint(225, 255)
    image = Image.new("RGB", (SIDE_PX, SIDE_PX), (shade, shade, shade))
    pen = ImageDraw.Draw(image)
    layout = _layout(rng, picture)
    for (x, y, r), shape in zip(layout, picture.values()):
        fill = tuple(min(255, max(0, value + rng.randint(-15, 15))) for value in RGB[shape.colour])
        if shape.kind == "circle":
            pen.ellipse((x - r, y - r, x + r, y + r), fill=fill)
        elif shape.kind == "square":
            pen.rectangle((x - r, y - r, x + r, y + r), fill=fill)
        elif shape.kind == "triangle":
            pen.polygon(((x, y - r), (x - r, y + r), (x + r, y + r)), fill=fill)
        else:
            arm = max(2, r // 3)
            pen.rectangle((x - arm, y - r, x + arm, y + r), fill=fill)
            pen.rectangle((x - r, y - arm, x + r, y + arm), fill=fill)
    return image, [(x, y) for x, y, _ in layout]


def generator(*names):
    """A random generator that depends on the given names only."""
    return random.Random("/".join(str(name) for name in names))
