#!/usr/bin/env python3
"""Writes tests/golden/metrics.json: what SciPy, scikit-learn, statsmodels and krippendorff compute on seeded cases.

Only expected values are stored (null = undefined); tests/metrics/golden_cases.h makes the same inputs from the
same formula. Needs the packages of metrics_requirements.txt:
    pip install -r tools/golden/metrics_requirements.txt && tools/golden/metrics.py"""
import functools
import json
import math
import warnings
from pathlib import Path

import krippendorff
import numpy as np
from scipy import stats
from scipy.sparse.csgraph import connected_components
from sklearn import metrics as sk
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.inter_rater import fleiss_kappa
from statsmodels.stats.multitest import multipletests

warnings.filterwarnings("ignore")
CASES = 252
SIZES = [1, 2, 3, 5, 8, 13, 30, 100, 250]
MASK = (1 << 64) - 1


def bits(case, column, item):
    z = (((case << 40) | (column << 32) | item) + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def uniform(case, column, item):
    return (bits(case, column, item) >> 11) * 2.0 ** -53


def size_of(case):
    return SIZES[case % 9]


def numbers(case):
    """Two columns: continuous, tied, constant, related, related and tied, far from zero, one odd value out."""
    kind, x, y = case // 9 % 7, [], []
    for i in range(size_of(case)):
        u, v = uniform(case, 0, i), uniform(case, 1, i)
        x.append([u, math.floor(5 * u), 2.0, u, math.floor(5 * u), 1e6 + u, 0.0 if i else 1.0][kind])
        y.append([v, math.floor(5 * v), v, u + 0.25 * v, math.floor(3 * (u + v)), 1e6 - u + v, v][kind])
    return x, y


def labels(case):
    """Two columns of classes: random, mostly equal, one class on one side, one class, three of the classes."""
    kind, classes = case // 9 % 5, 2 + case % 4
    truth, predicted = [], []
    for i in range(size_of(case)):
        t, p = bits(case, 2, i) % classes, bits(case, 3, i) % classes
        if kind == 1 and bits(case, 4, i) % 4:
            p = t
        if kind == 2:
            p = 1
        if kind == 3:
            t = p = 0
        if kind == 4:
            t, p = min(t, 2), min(p, 2)
        truth.append(t)
        predicted.append(p)
    return classes, truth, predicted


def ratings(case, missing):
    """Items x classes counts by 2 to 5 raters who agree more in some cases; one class only in some."""
    kind, classes, raters = case // 9 % 4, 2 + case % 4, 2 + case // 4 % 4
    table = []
    for i in range(size_of(case)):
        row = [0] * classes
        for r in range(raters):
            c = bits(case, 10 + r, i) % classes
            if kind == 1 and bits(case, 20 + r, i) % 3:
                c = bits(case, 10, i) % classes
            if kind == 2:
                c = 1
            if missing and bits(case, 30 + r, i) % 4 == 0:
                continue
            row[c] += 1
        table.append(row)
    return classes, table


def words(case):
    word = lambda column: "".join("ABCD"[bits(case, column, i) % 4] for i in range(bits(case, column, 99) % 8))
    return word(40), word(41)


@functools.lru_cache(None)
def edits(a, b):
    if not a or not b:
        return len(a) + len(b)
    return min(edits(a[1:], b) + 1, edits(a, b[1:]) + 1, edits(a[1:], b[1:]) + (a[0] != b[0]))


def bca(case):
    """Resampled figures, observed, jackknife: the formula of Efron 1987 with SciPy's normal distribution."""
    resampled = [round(uniform(case, 50, i) ** 2, 2) for i in range(200)]
    jackknife = [uniform(case, 51, i) ** 3 for i in range(20)]
    observed = round(0.2 + 0.3 * uniform(case, 52, 0), 2)
    low = sum(r < observed for r in resampled)
    upto = sum(r <= observed for r in resampled)
    z0 = stats.norm.ppf((low + upto) / 400)
    d = np.mean(jackknife) - np.array(jackknife)
    a = np.sum(d ** 3) / (6 * np.sum(d ** 2) ** 1.5)
    z = z0 + stats.norm.ppf([0.025, 0.975])
    return np.quantile(resampled, stats.norm.cdf(z0 + z / (1 - a * z))).tolist()


def judges(case):
    """People's numbers and two judges' on 2 to 8 items: continuous, or with ties."""
    items, scale = 2 + case % 7, 4 if case % 2 else 1000
    return [[math.floor(scale * uniform(case, column, i)) / scale for i in range(items)] for column in (80, 81, 82)]


def sign_flip(case):
    _, first, second = judges(case)
    return stats.permutation_test((first, second), lambda a, b, axis: np.mean(b - a, axis=axis), permutation_type="samples",
                                  vectorized=True, n_resamples=np.inf).pvalue


def swap(case):
    truth, first, second = judges(2 * case)
    columns = [stats.zscore(first), stats.zscore(second)]
    if len(truth) < 3 or len(set(truth)) == 1 or not all(np.isfinite(c).all() for c in columns):
        return math.nan
    r = lambda x: np.corrcoef(truth, x)[0, 1]
    return stats.permutation_test(columns, lambda a, b: r(b) - r(a), permutation_type="samples", vectorized=False,
                                  n_resamples=np.inf).pvalue


def wins(case):
    """How often each of 2 to 5 systems won against each other, in halves; sparse in some cases."""
    systems = 2 + case % 4
    table = np.zeros((systems, systems))
    for i in range(systems):
        for j in range(systems):
            if i != j:
                table[i, j] = bits(case, 86, 8 * i + j) % (3 if case % 3 == 0 else 12) / 2
    return table


def bradley_terry(case):
    """The first system's strength: logistic regression on who plays, weighted by wins, by Newton's method."""
    table = wins(case)
    if connected_components(table > 0, directed=True, connection="strong")[0] > 1:
        return math.nan
    systems = len(table)
    strength = np.zeros(systems)
    for _ in range(100):
        p = 1 / (1 + np.exp(strength[None, :] - strength[:, None]))
        games = table + table.T
        gradient = (table - games * p).sum(1)
        weight = games * p * (1 - p)
        hessian = np.diag(weight.sum(1)) - weight
        strength = strength + np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        strength -= strength.mean()
    return strength[0]


def mcnemar_p(case):
    only_first, only_second = bits(case, 83, 0) % (3 + case), bits(case, 84, 0) % (3 + case)
    exact = only_first + only_second < 25
    return min(1, mcnemar([[0, only_first], [only_second, 0]], exact=exact, correction=True).pvalue)


def holm(case):
    """The adjusted value of the first of 1 to 9 p-values."""
    return multipletests([uniform(case, 85, i) ** 4 for i in range(1 + case % 9)], method="holm")[1][0]


def value(compute):
    try:
        result = float(compute())
    except Exception:
        return None
    return float(f"{result:.13g}") if math.isfinite(result) else None


def column(compute):
    return [value(lambda: compute(case)) for case in range(CASES)]


def alpha(case, level):
    classes, table = ratings(case, True)
    return krippendorff.alpha(value_counts=np.array(table), value_domain=list(range(classes)), level_of_measurement=level)


def macro(case, index):
    _, truth, predicted = labels(case)
    return sk.precision_recall_fscore_support(truth, predicted, average="macro", zero_division=0)[index]


golden = {
    "cases": CASES,
    "pearson": column(lambda c: stats.pearsonr(*numbers(c))[0]),
    "spearman": column(lambda c: stats.spearmanr(*numbers(c))[0]),
    "kendall_tau_b": column(lambda c: stats.kendalltau(*numbers(c), variant="b")[0]),
    "mean_squared_error": column(lambda c: sk.mean_squared_error(*numbers(c))),
    "accuracy": column(lambda c: sk.accuracy_score(*labels(c)[1:])),
    "cohen_kappa": column(lambda c: sk.cohen_kappa_score(*labels(c)[1:])),
    "macro_precision": column(lambda c: macro(c, 0)),
    "macro_recall": column(lambda c: macro(c, 1)),
    "macro_f1": column(lambda c: macro(c, 2)),
    "fleiss_kappa": column(lambda c: fleiss_kappa(np.array(ratings(c, False)[1]))),
    "alpha_nominal": column(lambda c: alpha(c, "nominal")),
    "alpha_ordinal": column(lambda c: alpha(c, "ordinal")),
    "alpha_interval": column(lambda c: alpha(c, "interval")),
    "levenshtein": column(lambda c: edits(*words(c)) / max(1, *map(len, words(c)))),
    "bca_low": column(lambda c: bca(c)[0]),
    "bca_high": column(lambda c: bca(c)[1]),
    "normal_quantile": column(lambda c: stats.norm.ppf(uniform(c, 60, 0) ** (1 + c % 9))),
    "sign_flip_test": column(sign_flip),
    "swap_test": column(swap),
    "mcnemar": column(mcnemar_p),
    "holm": column(holm),
    "bradley_terry": column(bradley_terry),
}
out = Path(__file__).resolve().parents[2] / "tests/golden/metrics.json"
out.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in golden.items()) + "\n}\n")
print(out, {k: sum(x is None for x in v) for k, v in golden.items() if k != "cases"})
