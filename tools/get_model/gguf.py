"""Reads GGUF files (version 2 and 3, little-endian): metadata, and tensors as float32 arrays."""
import mmap
import struct

import numpy as np

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


def f32(raw):
    return raw.view("<f4")


def q8_0(raw):
    """Blocks of 32 values: scale f16, 32 x i8; value = scale * q."""
    blocks = raw.reshape(-1, 34)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    return (scale * blocks[:, 2:].view(np.int8)).reshape(-1)


def q4_1(raw):
    """Blocks of 32 values: scale f16, minimum f16, 16 bytes; low halves first; value = scale * q + minimum."""
    blocks = raw.reshape(-1, 20)
    scale = blocks[:, 0:2].copy().view("<f2").astype(np.float32)
    minimum = blocks[:, 2:4].copy().view("<f2").astype(np.float32)
    q = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1)
    return (scale * q + minimum).reshape(-1)


# ggml type -> name, values per block, bytes per block, function from bytes to float32
TYPES = {0: ("F32", 1, 4, f32), 3: ("Q4_1", 32, 20, q4_1), 8: ("Q8_0", 32, 34, q8_0)}


class Gguf:
    """`metadata`: key -> value. `tensors`: name -> (shape with the fastest dimension last, ggml type, offset)."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._path, self._at = path, 4
        if self._data[:4] != b"GGUF":
            self._fail("is not a GGUF file")
        version = self._number("I")
        if version not in (2, 3):
            self._fail(f"has GGUF version {version}, 2 and 3 are supported")
        tensors, keys = self._number("Q"), self._number("Q")
        self.metadata = {}
        for _ in range(keys):
            key = self._string()
            self.metadata[key] = self._value(self._number("I"))
        self.tensors = {}
        for _ in range(tensors):
            name = self._string()
            dims = [self._number("Q") for _ in range(self._number("I"))]
            self.tensors[name] = (tuple(reversed(dims)), self._number("I"), self._number("Q"))
        alignment = self.metadata.get("general.alignment", 32)
        self._start = -(-self._at // alignment) * alignment

    def tensor(self, name):
        """The tensor as float32, shape [out, in]."""
        shape, kind, offset = self.tensors[name]
        if kind not in TYPES:
            self._fail(f"tensor {name} has ggml type {kind}; supported are {', '.join(t[0] for t in TYPES.values())}")
        _, values, size, decode = TYPES[kind]
        count = int(np.prod(shape))
        if count % values:
            self._fail(f"tensor {name} has {count} values, not a multiple of {values}")
        begin, length = self._start + offset, count // values * size
        if begin + length > len(self._data):
            self._fail(f"tensor {name} ends after the end of the file")
        return decode(np.frombuffer(self._data, np.uint8, length, begin)).reshape(shape)

    def _fail(self, what):
        raise SystemExit(f"{self._path}: {what}")

    def _number(self, code):
        size = struct.calcsize("<" + code)
        if self._at + size > len(self._data):
            self._fail("is cut short")
        value = struct.unpack_from("<" + code, self._data, self._at)[0]
        self._at += size
        return value

    def _string(self):
        size = self._number("Q")
        if self._at + size > len(self._data):
            self._fail("is cut short")
        self._at += size
        return self._data[self._at - size:self._at].decode("utf-8")

    def _value(self, kind):
        if kind == STRING:
            return self._string()
        if kind == ARRAY:
            element, count = self._number("I"), self._number("Q")
            return [self._value(element) for _ in range(count)]
        if kind not in SCALARS:
            self._fail(f"has metadata of type {kind}, which is not known")
        return self._number(SCALARS[kind])
