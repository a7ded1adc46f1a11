#!/usr/bin/env python3
"""Prints the judgements of a results.h5: a model for reading the file (format: src/results/FORMAT.md)."""
import sys

import h5py

with h5py.File(sys.argv[1], "r") as f:
    text, end = f["judgements/text"][:].tobytes(), [0, *f["judgements/text_end"][:]]
    texts = [text[a:b].decode() for a, b in zip(end, end[1:])]

    for row, (sample, value, answer) in enumerate(zip(f["judgements/sample"], f["judgements/verdict_value"], texts)):
        print(f"{row}\tsample {sample}\tvalue {value:g}\t{answer!r}")
