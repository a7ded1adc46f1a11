"""Writes tests/golden/numpy_uniform.json: numbers of numpy.random.uniform() after numpy.random.seed(seed).

    python tools/golden/numpy_random.py

For each seed the draws with the indices in "at" (the state is made anew after every 312 of them).
"""

import json
import pathlib

import numpy as np

SEEDS = [0, 1, 2, 3, 4, 42, 2**31, 2**32 - 1]
AT = [0, 1, 2, 3, 310, 311, 312, 313, 1249, 3722]

draws = []
for seed in SEEDS:
    np.random.seed(seed)
    numbers = [np.random.uniform() for _ in range(max(AT) + 1)]
    draws.append({"seed": seed, "numbers": [numbers[i].hex() for i in AT],
                  "first_as_given": "".join("01"[n < 0.5] for n in numbers[:64])})
golden = {"numpy": np.__version__, "at": AT, "draws": draws}
out = pathlib.Path(__file__).parents[2] / "tests/golden/numpy_uniform.json"
out.write_text(json.dumps(golden, indent=1) + "\n")
