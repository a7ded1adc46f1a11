"""Text generation with the training model: batches of prompts of different lengths, with a cache of keys and values."""

import numpy
import torch

import batches
import model


class Cache:
    """Keys and values of every layer. Prompts are padded on the right to one length; each generated token takes the
    next slot of all rows, and a row never sees its padding."""

    def __init__(self, lengths, padded, room):
        self.lengths, self.padded, self.room = lengths, padded, room
        self.used = 0
        self.store = {}

    def extend(self, layer, k, v):
        """Adds k and v [B, T, kv heads, 64]; all so far, and the mask [B, 1, 1, slots] (None while reading prompts)."""
        count, tokens, heads, width = k.shape
        if self.used == 0:
            shape = (count, self.padded + self.room, heads, width)
            self.store[layer] = torch.zeros(shape), torch.zeros(shape, dtype=v.dtype)
        keys, values = self.store[layer]
        end = self.used + tokens
        keys[:, self.used : end], values[:, self.used : end] = k, v
        if self.used == 0:
            return k, v, None
        slots = torch.arange(end)
        mask = (slots[None] < self.lengths[:, None]) | (slots[None] >= self.padded)
        return keys[:, :end], values[:, :end], mask[:, None, None]

    def advance(self, tokens):
        self.used += tokens


@torch.no_grad()
def generate(judge, prompts, images, picture_id, end_id, room=320, temperature=0.0, seed=0, allowed=None):
    """Ids written after each prompt (expanded ids), up to `end_id` without it, or `room` tokens, only of those in
    `allowed` where given. Greedy at temperature 0. `images[i]` are the pictures of prompt i."""
    padded = max(map(len, prompts))
    ids = numpy.zeros((len(prompts), padded), dtype=numpy.int64)
    places = numpy.zeros((3, len(prompts), padded), dtype=numpy.int64)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = prompt
        places[:, row, : len(prompt)] = batches.positions(prompt, picture_id)
    ids, places = torch.from_numpy(ids), torch.from_numpy(places)
    pixels = torch.from_numpy(numpy.stack([numpy.asarray(image) for row in images for image in row]))
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    cache = Cache(lengths, padded, room)
    noise = torch.Generator().manual_seed(seed)
    allowed = None if allowed is None else torch.tensor(allowed)
    hidden = judge.hidden(ids, places, pixels, picture_id, cache)
    cache.advance(padded)
    rows = torch.arange(len(prompts))
    hidden = hidden[rows, lengths - 1]
    place = places[:, rows, lengths - 1].amax(0) + 1
    written, finished = [], torch.zeros(len(prompts), dtype=torch.bool)
    for _ in range(room):
        logits = judge.logits(hidden)
        if allowed is not None:
            logits = torch.full_like(logits, -torch.inf).index_copy(1, allowed, logits[:, allowed])
        if temperature > 0:
            token = torch.multinomial(torch.softmax(logits.float() / temperature, -1), 1, generator=noise)[:, 0]
        else:
            token = logits.argmax(-1)
        token = torch.where(finished, end_id, token)
        written.append(token)
        finished = finished | (token == end_id)
        if finished.all():
            break
        hidden = judge.hidden(token[:, None], place.expand(3, -1)[..., None], None, picture_id, cache)[:, 0]
        cache.advance(1)
        place = place + 1
    columns = torch.stack(written, 1).tolist()
    return [row[: row.index(end_id)] if end_id in row else row for row in columns]
