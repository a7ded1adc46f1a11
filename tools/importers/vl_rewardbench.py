"""VL-RewardBench (MMInstruction/VL-RewardBench, split test as parquet, or VLMEvalKit's TSV): pairs of answers about a picture."""
import ast

from .facts import BadLabel, Facts
from .source import embedded, need_fields, rows

SUITES = {"vl-rewardbench": Facts(
    where="VL-RewardBench's paper; groups from VLMEvalKit pull request 703", counts=(1250,), prompts_repeat=True,
    groups={"general": 183, "hallucination": 749, "reasoning": 318})}


def group_of(row):
    """The paper's three groups, by the prefix of the id."""
    key = str(row["id"]).lower()
    if key.startswith(("rlaif", "rlhf", "hallucination")):
        return "hallucination"
    return "reasoning" if key.startswith(("mathverse", "mmmu")) else "general"


def listed(value):
    """A list that a TSV cell holds as Python text."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value


def samples(name, source, options):
    files = source.find("test-*.parquet", "test/*.parquet", "*.parquet", "*.tsv")
    for index, (where, row) in enumerate(rows(source, files)):
        if "question" in row and "query" not in row:  # the TSV's names
            row = {"query": row["question"], "human_ranking": row.get("answer"), **row}
        need_fields(row, ("query", "response", "image", "human_ranking"), where)
        need_fields(row, ("id",) if "category" not in row else (), where)
        ranking, answers = listed(row["human_ranking"]), listed(row["response"])
        if ranking not in ([0, 1], [1, 0]) or not isinstance(answers, list) or len(answers) != 2:
            yield BadLabel(where, row["human_ranking"], "[0, 1] and [1, 0] for two answers")
            continue
        yield {"id": f"{index:04d}-{row['id']}" if "id" in row else f"{index:04d}",
               "group": group_of(row) if "id" in row else row["category"], "question": row["query"],
               "media": [embedded("image", row["image"], where)],
               "candidates": [{"text": answer} for answer in answers], "human": "AB"[ranking.index(0)]}
