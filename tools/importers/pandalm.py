"""PandaLM (WeOpenML/PandaLM, data/testset-v1.json): pairs of answers, three annotators, label by majority."""
from collections import Counter

from .facts import BadLabel, Facts, Problem
from .source import json_rows, need_fields

SUITES = {"pandalm": Facts(where="WeOpenML/PandaLM's README", counts=(999,), prompts_repeat=True, labels={"tie": 105, "A": 422, "B": 472})}
NAMES = {0: "tie", 1: "A", 2: "B"}
ANNOTATORS = ("annotator1", "annotator2", "annotator3")


def samples(name, source, options):
    (file,) = source.find("testset-v1.json")[:1]
    for where, row in json_rows(source, file):
        need_fields(row, ("idx", "instruction", "input", "response1", "response2", *ANNOTATORS), where)
        votes = [row[annotator] for annotator in ANNOTATORS]
        if any(vote not in NAMES for vote in votes):
            yield BadLabel(where, votes, "0, 1 and 2")
            continue
        label, count = Counter(votes).most_common(1)[0]
        if count < 2:
            raise Problem(f"{where}: has no majority label ({votes}); published: every item has one")
        yield {"id": str(row["idx"]), "group": row.get("motivation_app", ""),
               "question": row["instruction"] + (f"\n\n{row['input']}" if row["input"] else ""),
               "fields": {"instruction": row["instruction"], "input": row["input"]},
               "candidates": [{"text": row["response1"]}, {"text": row["response2"]}], "human": NAMES[label],
               "annotators": {annotator: NAMES[vote] for annotator, vote in zip(ANNOTATORS, votes)}}
