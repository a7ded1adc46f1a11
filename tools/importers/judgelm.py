"""JudgeLM-val (BAAI/JudgeLM-100K): pairs of answers; the label is which one GPT-4 gave more points."""
from .facts import BadLabel, Dropped, Facts, Problem
from .source import json_rows, need_fields, number

SUITES = {"judgelm-val": Facts(where="JudgeLM's README", counts=(5000,))}


def samples(name, source, options):
    questions = json_rows(source, source.find("judgelm_val_5k.jsonl")[0])
    truths = json_rows(source, source.find("judgelm_val_5k_gpt4.jsonl")[0])
    if len(questions) != len(truths):
        raise Problem(f"{source.path}: {len(questions)} questions, but {len(truths)} judgements of GPT-4")
    for (where, row), (truth_where, truth) in zip(questions, truths):
        need_fields(row, ("question_id", "question_body", "answer1_body", "answer2_body"), where)
        need_fields(truth, ("question_id", "text"), truth_where)
        if row["question_id"] != truth["question_id"]:
            raise Problem(f"{where}: is question {row['question_id']}, but {truth_where} is {truth['question_id']}")
        words = str(truth["text"]).split("\n")[0].replace(",", " ").split()
        if len(words) != 2:
            yield BadLabel(truth_where, " ".join(words), "two scores in the first line")
            continue
        first, second = (number(word, truth_where, "a score") for word in words)
        if first < 0 or second < 0:
            yield Dropped("GPT-4 gave no scores")
            continue
        yield {"id": str(row["question_id"]), "question": row["question_body"],
               "candidates": [{"text": row["answer1_body"]}, {"text": row["answer2_body"]}],
               "human": "A" if first > second else "B" if second > first else "tie"}
