"""Batches of training samples: ids, M-RoPE positions, pixels and the weights of the text the judge writes."""

import dataclasses

import numpy
import torch

import chat
import model
import protocols
import world

# A verdict hangs on few tokens (yes, no, the counts, the names); the others are soon written without an error. Those of
# the answer are the fewest, and the furthest from what they follow from.
DECISIVE_WEIGHT = 4
ANSWER_WEIGHT = 16


@dataclasses.dataclass
class Batch:
    """ids [B, T], positions [3, B, T], pixels uint8 [P, 112, 112, 3], and `weights` [B, T]: 0 where the judge does not
    write, 1 for its own tokens, DECISIVE_WEIGHT for the decisive ones, ANSWER_WEIGHT for those after its thoughts."""

    ids: torch.Tensor
    positions: torch.Tensor
    pixels: torch.Tensor
    weights: torch.Tensor


def expand(ids, picture_id):
    """Each picture token becomes the sixteen of a picture."""
    expanded = []
    for token in ids:
        expanded += [token] * (model.PICTURE_TOKENS if token == picture_id else 1)
    return expanded


def positions(ids, picture_id):
    """M-RoPE rows [3, T] (time, height, width): text counts up; a picture is a 4 x 4 grid at one time."""
    side = model.GRID // 2
    rows, index, place = [], 0, 0
    while index < len(ids):
        if ids[index] != picture_id:
            rows.append((place, place, place))
            index, place = index + 1, place + 1
            continue
        rows += [(place, place + r, place + c) for r in range(side) for c in range(side)]
        index, place = index + model.PICTURE_TOKENS, place + side
    return numpy.array(rows).T


def collate(rows, picture_id):
    """Pads (prompt ids, reply ids, weights of the reply, images) on the right to one batch."""
    longest = max(len(prompt) + len(reply) for prompt, reply, _, _ in rows)
    ids = numpy.zeros((len(rows), longest), dtype=numpy.int64)
    places = numpy.zeros((3, len(rows), longest), dtype=numpy.int64)
    weights = numpy.zeros((len(rows), longest), dtype=numpy.float32)
    pixels = []
    for row, (prompt, reply, reply_weights, images) in enumerate(rows):
        whole = prompt + reply
        ids[row, : len(whole)] = whole
        places[:, row, : len(whole)] = positions(whole, picture_id)
        weights[row, len(prompt) : len(whole)] = reply_weights
        pixels += [numpy.asarray(image) for image in images]
    tensors = (ids, places, numpy.stack(pixels), weights)
    return Batch(*(torch.from_numpy(value) for value in tensors))


@dataclasses.dataclass
class Labelled:
    """pixels uint8 [P, 112, 112, 3] and, for each of the 16 picture tokens, what is centred in its 28 px: `labels`
    [P, 16, 4], the index of place (last: nothing there), size, colour and kind (-1 where there is nothing)."""

    pixels: torch.Tensor
    labels: torch.Tensor


class Source:
    """Training batches on the fly: batch `step` is a function of the seed, the step and the kind only."""

    def __init__(self, tokenizer, seed):
        self.tokenizer = tokenizer
        self.prompts = chat.load_prompts()
        self.seed = seed
        self.picture_id = tokenizer.token_to_id("<|image_pad|>")
        decisive = [" yes", " no", *"0123456789", *"ABCD", *protocols.LABELS]
        self.decisive_ids = sorted({id for text in decisive for id in tokenizer.encode(text).ids})

    def _texts(self, rng, kind):
        if kind not in chat.DESCRIBE:
            protocol, _, form = kind.partition("/")
            task = protocols.item(rng, protocol, "train")
            if form == "ending":
                return chat.DESCRIBE["describe"], protocols.ending(task), task.pictures
            prompt = chat.short_text(task) if form == "short" else chat.prompt_text(self.prompts, task)
            return prompt, protocols.reply(task), task.pictures
        pictures = [world.random_picture(rng, "train") for _ in range(2 if kind == "describe-two" else 1)]
        return chat.DESCRIBE[kind], description(pictures), pictures

    def _weights(self, text, encoding):
        """One weight for each token of a reply."""
        thoughts = text.index("</think>") + len("</think>")
        weights = numpy.where(numpy.isin(encoding.ids, self.decisive_ids), DECISIVE_WEIGHT, 1)
        return numpy.where(numpy.array(encoding.offsets)[:, 0] >= thoughts, ANSWER_WEIGHT, weights)

    def batch(self, kind, size, step):
        """`size` samples of a protocol (with "/short": `chat.short_text` for a prompt; with "/ending": the last step
        alone), or of describing pictures (`chat.DESCRIBE`)."""
        rng = world.generator(self.seed, kind, step)
        texts = [self._texts(rng, kind) for _ in range(size)]
        encoded = self.tokenizer.encode_batch([text for sample in texts for text in sample[:2]])
        end = self.tokenizer.token_to_id("<|im_end|>")
        rows = []
        for index, (_, text, pictures) in enumerate(texts):
            prompt, reply = encoded[2 * index : 2 * index + 2]
            images = [world.draw(rng, picture) for picture in pictures]
            weights = [*self._weights(text, reply), 1]
            rows.append((expand(prompt.ids, self.picture_id), reply.ids + [end], weights, images))
        return collate(rows, self.picture_id)

    def labelled(self, size, step):
        """`size` pictures with their labels by token."""
        rng = world.generator(self.seed, "labelled", step)
        side, cell = model.GRID // 2, 2 * model.VISION["patch_size"]
        labels = numpy.full((size, model.PICTURE_TOKENS, 4), -1)
        labels[:, :, 0] = len(world.PLACES)
        pixels = []
        for row in range(size):
            picture = world.random_picture(rng, "train")
            image, centres = world.draw_with_centres(rng, picture)
            pixels.append(numpy.asarray(image))
            for (x, y), (place, shape) in zip(centres, picture.items()):
                labels[row, y // cell * side + x // cell] = (
                    world.PLACES.index(place),
                    world.SIZES.index(shape.size),
                    world.COLOURS.index(shape.colour),
                    world.KINDS.index(shape.kind),
                )
        return Labelled(torch.from_numpy(numpy.stack(pixels)), torch.from_numpy(labels))


def description(pictures):
    """The reply to a request to describe pictures: the first lines of a judge's thoughts."""
    if len(pictures) == 1:
        return f"<think>Picture: {protocols.reading(pictures[0])}</think>"
    lines = [f"Picture {number}: {protocols.reading(picture)}" for number, picture in enumerate(pictures, 1)]
    return "<think>" + "\n".join(lines) + "</think>"
