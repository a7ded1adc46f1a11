"""LLMBar (princeton-nlp/LLMBar, folder Dataset): pairs of answers to an instruction, one objectively better."""
from .facts import BadLabel, Facts, Problem
from .source import json_rows, need_fields

SUITES = {"llmbar": Facts(
    where="LLMBar's README", parts=True,
    groups={"LLMBar/Natural": 100, "LLMBar/Adversarial/Neighbor": 134, "LLMBar/Adversarial/GPTInst": 92,
            "LLMBar/Adversarial/GPTOut": 47, "LLMBar/Adversarial/Manual": 46, "Processed/FairEval": 66,
            "Processed/LLMEval2": 200, "Processed/MT-Bench": 200})}


def samples(name, source, options):
    found = False
    for file in source.find("dataset.json"):
        parts = file.split("/")[:-1]
        start = next((i for i, part in enumerate(parts) if part in ("LLMBar", "Processed") and i + 1 < len(parts)
                      and parts[i + 1] not in ("Dataset", "LLMBar")), 0)
        group = "/".join(parts[start:]).replace("LLMEval^2", "LLMEval2")
        if options.only and not group.endswith(options.only):
            continue
        found = True
        for index, (where, row) in enumerate(json_rows(source, file)):
            need_fields(row, ("input", "output_1", "output_2", "label"), where)
            if row["label"] not in (1, 2):
                yield BadLabel(where, row["label"], "1 and 2")
                continue
            yield {"id": f"{group}/{index:03d}", "group": group, "question": row["input"],
                   "candidates": [{"text": row["output_1"]}, {"text": row["output_2"]}], "human": "AB"[row["label"] - 1]}
    if not found:
        raise Problem(f"{source.path}: no set ends in '{options.only}'")
