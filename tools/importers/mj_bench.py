"""MJ-Bench (MJ-Bench/MJ-Bench): which of two pictures fits a caption, is safer, or is better made; two releases.

The release before 16 May 2025 has the splits alignment, safety, quality (and bias, which is not judged by pairs); in safety
and quality the first picture is always the better one. The one since then has other data; its first picture always is.
"""
from .facts import BadLabel, Facts, Problem
from .source import embedded, need_fields, rows

PAPER = "MJ-Bench's release before 16 May 2025"
HINT = "; the data were exchanged on 16 May 2025, and the release since then is the suite mj-bench-2025"
SUITES = {
    "mj-bench-alignment": Facts(where=PAPER, counts=(724,), prompts_repeat=True, hint=HINT),
    "mj-bench-safety": Facts(where=PAPER, counts=(574,), prompts_repeat=True, one_label=True, hint=HINT),
    "mj-bench-quality": Facts(where=PAPER, counts=(1121,), prompts_repeat=True, one_label=True, hint=HINT),
    "mj-bench-2025": Facts(where="MJ-Bench's data set card since 16 May 2025", prompts_repeat=True, one_label=True),
}


def samples(name, source, options):
    split = name.rsplit("-", 1)[1]
    new = split == "2025"
    files = source.find("*.parquet") if new else source.find(f"{split}-*.parquet", f"{split}.parquet", f"{split}/*.parquet")
    for index, (where, row) in enumerate(rows(source, files)):
        need_fields(row, ("caption", "image0", "image1", "label"), where)
        if "subcategory" in row and not new:
            raise Problem(f"{where}: is of the release since 16 May 2025 (it has 'subcategory'), which the paper's figures are not about; "
                          "import it as mj-bench-2025")
        if new:
            need_fields(row, ("category", "subcategory"), where)
        if str(row["label"]) not in ("0", "1"):
            yield BadLabel(where, row["label"], "0 and 1")
            continue
        group = f"{row['category']}/{row['subcategory']}" if new else str(row.get("info") or split)
        yield {"id": f"{index:05d}", "group": group, "question": row["caption"],
               "candidates": [{"media": [embedded("image", row[key], f"{where}, {key}")]} for key in ("image0", "image1")],
               "human": "AB"[int(row["label"])]}
