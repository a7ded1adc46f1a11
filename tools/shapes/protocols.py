"""Captions made of statements, the five judging protocols over them, and the thinking that solves each.

A caption is a few statements about different subjects (the number of shapes, or one place), so that its quality is the
share of its statements that are true. `item` builds one judging task with an exact label; `thinking` and `answer` are
the text a perfect judge would write for it.
"""

import dataclasses

import world

PROTOCOLS = ("pair", "pair-images", "label", "score", "rank")
ERRORS = ("count", "colour", "shape", "size", "position", "swap", "presence")
STATEMENTS = {"pair": 3, "pair-images": 3, "label": 2, "score": 4, "rank": 3}
QUESTIONS = {
    "pair": "Which caption describes the picture better?",
    "pair-images": "{caption}",
    "label": "Which caption describes the picture better?",
    "score": "How much of the caption is true?",
    "rank": "Which captions describe the picture best?",
}
LABELS = ("A>B", "B>A", "A=B=Good", "A=B=Bad")
SHARE_SCORES = (1, 4, 7, 10)  # by number of true statements out of three, on the scale 1 to 10


@dataclasses.dataclass(frozen=True)
class Statement:
    """About the count (`place` None, `number` set) or about a place: empty (`kind` None) or what stands there.

    `size` and `colour` may be None: then they are not mentioned."""

    place: str | None = None
    number: int | None = None
    kind: str | None = None
    size: str | None = None
    colour: str | None = None


@dataclasses.dataclass
class Item:
    """One judging task. `pictures` are shown in order; `captions` are the candidates, or the question's caption for
    `pair-images`, where the pictures are the candidates. `true_counts` has one entry per candidate."""

    protocol: str
    pictures: list
    captions: list
    true_counts: list
    human: object
    group: str


def holds(statement, picture):
    """Whether the statement is true of the picture."""
    if statement.number is not None:
        return len(picture) == statement.number
    shape = picture.get(statement.place)
    if shape is None or statement.kind is None:
        return shape is None and statement.kind is None
    return (
        shape.kind == statement.kind
        and statement.size in (None, shape.size)
        and statement.colour in (None, shape.colour)
    )


def count_true(caption, picture):
    return sum(holds(statement, picture) for statement in caption)


def _is_allowed(statement, split):
    if statement.kind is None or statement.size is None or statement.colour is None:
        return True
    shape = world.Shape(statement.size, statement.colour, statement.kind)
    return world.is_allowed(shape, statement.place, split)


def _describe(rng, place, shape, mention=()):
    """A statement on `shape` at `place` that leaves out size or colour now and then, but never those in `mention`."""
    keep_size = "size" in mention or rng.random() < 0.6
    keep_colour = "colour" in mention or rng.random() < 0.7
    return Statement(
        place=place, kind=shape.kind, size=shape.size if keep_size else None, colour=shape.colour if keep_colour else None
    )


def _true_statement(rng, subject, picture):
    if subject == "count":
        return Statement(number=len(picture))
    if subject not in picture:
        return Statement(place=subject)
    return _describe(rng, subject, picture[subject])


def _other(rng, values, value):
    return rng.choice([v for v in values if v != value])


def _false_statement(rng, subject, picture, split, error):
    """A false statement on the subject with this kind of error and the error's name, or with another one where that
    kind does not apply."""
    while True:
        statement = _try_error(rng, subject, picture, split, error)
        if statement is not None and not holds(statement, picture) and _is_allowed(statement, split):
            return statement, error
        error = rng.choice(ERRORS)


def _try_error(rng, subject, picture, split, error):
    if subject == "count":
        return Statement(number=_other(rng, range(1, 6), len(picture))) if error == "count" else None
    shape = picture.get(subject)
    others = [picture[place] for place in picture if place != subject]
    if error == "position":
        return _describe(rng, subject, rng.choice(others), ("colour",)) if others else None
    if error == "presence":
        # As often "nothing" on a shape as a true "nothing" on an empty place: the word alone tells nothing.
        if shape is not None:
            return Statement(place=subject)
        return _describe(rng, subject, world.random_shape(rng, subject, split))
    if shape is None:
        return None
    if error == "colour":
        changed = dataclasses.replace(shape, colour=_other(rng, world.COLOURS, shape.colour))
        return _describe(rng, subject, changed, ("colour",))
    if error == "shape":
        return _describe(rng, subject, dataclasses.replace(shape, kind=_other(rng, world.KINDS, shape.kind)))
    if error == "size":
        changed = dataclasses.replace(shape, size=_other(rng, world.SIZES, shape.size))
        return _describe(rng, subject, changed, ("size",))
    if error == "swap" and others:
        other = rng.choice(others)
        if rng.random() < 0.5:
            return _describe(rng, subject, dataclasses.replace(shape, colour=other.colour), ("colour",))
        return _describe(rng, subject, dataclasses.replace(shape, kind=other.kind), ("colour",))
    return None


def _subjects(rng, picture, count):
    """Different subjects in random order: the number of shapes every second time, filled places before empty ones."""
    subjects = ["count"] if rng.random() < 0.5 else []
    filled = [place for place in world.PLACES if place in picture]
    empty = [place for place in world.PLACES if place not in picture]
    rng.shuffle(filled)
    rng.shuffle(empty)
    while len(subjects) < count:
        source = filled if (rng.random() < 0.8 and filled) or not empty else empty
        subjects.append(source.pop())
    rng.shuffle(subjects)
    return subjects


def _caption(rng, subjects, picture, split, true_count, error):
    """A caption on the subjects with exactly `true_count` true statements, and the names of the errors in it."""
    true_ones = set(rng.sample(range(len(subjects)), true_count))
    caption, errors = [], []
    for index, subject in enumerate(subjects):
        if index in true_ones:
            caption.append(_true_statement(rng, subject, picture))
        else:
            statement, name = _false_statement(rng, subject, picture, split, error)
            caption.append(statement)
            errors.append(name)
    return caption, errors


def _captions(rng, protocol, picture, split, true_counts):
    """Captions with the given numbers of true statements, half the time on the same subjects; and the main error."""
    size = STATEMENTS[protocol]
    while True:
        error = rng.choice(ERRORS)
        shared = _subjects(rng, picture, size) if rng.random() < 0.5 else None
        captions, errors = [], []
        for true_count in true_counts:
            subjects = rng.sample(shared, size) if shared else _subjects(rng, picture, size)
            caption, names = _caption(rng, subjects, picture, split, true_count, error)
            captions.append(caption)
            errors += names
        texts = [caption_text(caption) for caption in captions]
        if len(set(texts)) == len(texts) and (error in errors or not errors):
            return captions, (error if errors else "none")


def _two_counts(rng, size, relation):
    """Numbers of true statements of two candidates in the given relation."""
    while True:
        a, b = rng.randint(0, size), rng.randint(0, size)
        if relation == ("A" if a > b else "B" if b > a else "tie"):
            return [a, b]


def item(rng, protocol, split):
    """A random judging task of the split; `human` is exact."""
    if protocol == "pair-images":
        return _pair_images(rng, split)
    picture = world.random_picture(rng, split)
    size = STATEMENTS[protocol]
    if protocol == "pair":
        human = rng.choice(("A", "A", "A", "B", "B", "B", "tie", "tie"))
        counts = _two_counts(rng, size, human)
    elif protocol == "label":
        human = rng.choice(LABELS)
        if human == "A=B=Good":
            counts = [size, size]
        elif human == "A=B=Bad":
            counts = [rng.randrange(size)] * 2
        else:
            counts = _two_counts(rng, size, human[0])
    elif protocol == "score":
        counts = [rng.randint(0, size)]
        human = counts[0] + 1
    else:
        counts = rng.sample(range(size + 1), size + 1)
        human = "".join("ABCD"[index] for index in sorted(range(4), key=lambda i: -counts[i]))
    captions, group = _captions(rng, protocol, picture, split, counts)
    return Item(protocol, [picture], captions, counts, human, group)


def _pair_images(rng, split):
    wanted = rng.choice(("A", "A", "A", "B", "B", "B", "tie", "tie"))
    size = STATEMENTS["pair-images"]
    while True:
        first = world.random_picture(rng, split)
        captions, group = _captions(rng, "pair-images", first, split, [rng.randint(0, size)])
        # Changed pictures differ in little, so that most checks of the first are right for the second too: pictures
        # that have nothing in common teach to look at both.
        is_alike = split != "train" or rng.random() < 0.5
        second = world.changed_picture(rng, first, split) if is_alike else world.random_picture(rng, split)
        pictures = [first, second]
        rng.shuffle(pictures)
        counts = [count_true(captions[0], picture) for picture in pictures]
        human = "A" if counts[0] > counts[1] else "B" if counts[1] > counts[0] else "tie"
        if human == wanted:
            return Item("pair-images", pictures, captions, counts, human, group)


def statement_text(statement):
    """The statement as a sentence of a caption."""
    if statement.number is not None:
        if statement.number == 1:
            return "There is one shape."
        return f"There are {world.NUMBERS[statement.number]} shapes."
    where = "in the centre" if statement.place == "centre" else f"at the {statement.place}"
    if statement.kind is None:
        return f"Nothing is {where}."
    words = [word for word in (statement.size, statement.colour, statement.kind) if word]
    return f"A {' '.join(words)} is {where}."


def caption_text(caption):
    return " ".join(statement_text(statement) for statement in caption)


def reading(picture):
    """What is in the picture, place by place, then how many shapes."""
    parts = [f"{place} {shape.size} {shape.colour} {shape.kind}" for place, shape in picture.items()]
    return ", ".join(parts) + f", {_number_words(len(picture))}."


def _number_words(number):
    return f"{world.NUMBERS[number]} shape{'' if number == 1 else 's'}"


def _check(statement, picture):
    """The statement word by word as "claimed? seen", each with whether all was true so far, so that every word follows
    from the few before it: "top left big? small no red? red no square? square no"."""
    if statement.number is not None:
        pairs = [(world.NUMBERS[statement.number], world.NUMBERS[len(picture)])]
    else:
        shape = picture.get(statement.place)
        names = [name for name in ("size", "colour", "kind") if getattr(statement, name)] or ["kind"]
        pairs = [(getattr(statement, name) or "nothing", getattr(shape, name) if shape else "nothing") for name in names]
    words, is_true = [statement.place or "shapes"], True
    for claimed, seen in pairs:
        is_true = is_true and claimed == seen
        words.append(f"{claimed}? {seen} {'yes' if is_true else 'no'}")
    return " ".join(words)


def _checks(name, caption, picture):
    """The check of each statement and the number of true ones so far."""
    parts = [
        f"{_check(statement, picture)} {count_true(caption[: index + 1], picture)}"
        for index, statement in enumerate(caption)
    ]
    return f"{name}: {', '.join(parts)}."


def _score(name, true_count):
    """The end of a caption's line: its name and score."""
    return f"{name} {SHARE_SCORES[true_count]}."


def thinking(task):
    """The thoughts of a perfect judge: read the picture, check each statement, count. Of two pictures, the second is read
    after the checks of the first; of captions to compare, each line ends with the score, beside
    the name."""
    if task.protocol == "pair-images":
        lines = []
        for number, picture in enumerate(task.pictures, 1):
            lines += [f"Picture {number}: {reading(picture)}", _checks(str(number), task.captions[0], picture)]
        return "\n".join(lines)
    lines = [f"Picture: {reading(task.pictures[0])}"]
    for name, caption, count in zip("ABCD", task.captions, task.true_counts):
        score = f" {_score(name, count)}" if task.protocol in ("pair", "rank") else ""
        lines.append(_checks(name, caption, task.pictures[0]) + score)
    return "\n".join(lines)


def answer(task):
    """The verdict in the answer form of the protocol."""
    if task.protocol == "label":
        return f"<answer>[[{task.human}]]</answer>"
    if task.protocol == "score":
        return f"<answer>{task.human}</answer>"
    scores = [f"<answer>{SHARE_SCORES[count]}</answer>" for count in task.true_counts]
    if task.protocol == "rank":
        return "".join(f"\n{name} {score}" for name, score in zip("ABCD", scores))
    return "".join(scores)


def reply(task):
    """The whole text of a perfect judge."""
    return f"<think>{thinking(task)}</think>{answer(task)}"


def ending(task):
    """Of the reply to a ranking, the ends of its lines and the answer: what the last step follows from."""
    counted = zip("ABCD", task.true_counts)
    lines = [f"{name}: {count}. {_score(name, count)}" for name, count in counted]
    return "<think>" + "\n".join(lines) + f"</think>{answer(task)}"
