"""MLLM-as-a-Judge (Benchmark/{score,pair,batch}.jsonl and image/): answers about a picture, rated, compared, ranked.

The published copies differ: the label is `human` or `human_answer`, pictures are `N.jpg` or `image/N.jpg`, scores are
numbers or text. Row counts of the files are not published; 14 sub-data sets are.
"""
from .facts import BadLabel, Facts
from .source import file_of, json_rows, need_fields

WHERE = "MLLM-as-a-Judge's paper"
SUITES = {f"mllm-judge-{form}": Facts(where=WHERE, group_count=14) for form in ("score", "pair", "batch")}


def label_of(row, where):
    need_fields(row, ("human_answer",) if "human" not in row else (), where)
    return str(row["human"] if "human" in row else row["human_answer"]).strip()


def samples(name, source, options):
    form = name.rsplit("-", 1)[1]
    for index, (where, row) in enumerate(json_rows(source, source.find(f"{form}.jsonl")[0])):
        need_fields(row, ("id", "instruction", "image_path", "original_dataset"), where)
        label = label_of(row, where)
        picture = str(row["image_path"]).split("/")[-1]
        sample = {"id": f"{index:05d}", "group": row["original_dataset"], "cluster": str(row["id"]), "question": row["instruction"],
                  "media": [file_of("image", source, options, (f"image/{picture}", picture), where)]}
        if form == "score":
            need_fields(row, ("answer",), where)
            answers = [{"answer": row["answer"]}]
            if label not in ("1", "2", "3", "4", "5"):
                yield BadLabel(where, label, "1 to 5")
                continue
            sample["human"] = int(label)
        elif form == "pair":
            need_fields(row, ("answer1", "answer2"), where)
            answers = [row["answer1"], row["answer2"]]
            if label not in ("A", "B", "C"):
                yield BadLabel(where, label, "A, B and C (tie)")
                continue
            sample["human"] = {"A": "A", "B": "B", "C": "tie"}[label]
        else:
            need_fields(row, ("answers",), where)
            answers = row["answers"]
            if sorted(label) != [chr(ord("A") + i) for i in range(len(answers))]:
                yield BadLabel(where, label, f"the {len(answers)} letters of the answers, best first")
                continue
            sample["human"] = label
        for answer in answers:
            need_fields(answer, ("answer",), where)
        sample["candidates"] = [{"text": answer["answer"]} for answer in answers]
        yield sample
