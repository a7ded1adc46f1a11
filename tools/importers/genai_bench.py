"""GenAI-Bench (TIGER-Lab/GenAI-Bench, split test_v1): four-way votes on two pictures, two edits, two videos.

The videos are published apart (tianleliphoebe/genai-arena-video-mp4); the rows hold their addresses, of which the last part
is the file's name.
"""
from .facts import BadLabel, Facts
from .source import embedded, file_of, need_fields, rows

WHERE = "TIGER-AI-Lab/GenAI-Bench, results of split test_v1"
VOTES = {"leftvote": "A>B", "rightvote": "B>A", "tievote": "A=B=Good", "bothbad_vote": "A=B=Bad"}
SUITES = {
    "genai-bench-image": Facts(where=WHERE, prompts_repeat=True, counts=(1735,), labels={"A>B": 643, "B>A": 663, "A=B=Good": 156, "A=B=Bad": 273}),
    "genai-bench-editing": Facts(where=WHERE, prompts_repeat=True, counts=(919,), labels={"A>B": 240, "B>A": 263, "A=B=Good": 24, "A=B=Bad": 392}),
    "genai-bench-video": Facts(where=WHERE, prompts_repeat=True, counts=(1069,), labels={"A>B": 325, "B>A": 375, "A=B=Good": 138, "A=B=Bad": 231}),
}
CONFIGURATIONS = {"image": "image_generation", "editing": "image_edition", "video": "video_generation"}
COLUMNS = {"image": ("left_image", "right_image"), "editing": ("left_output_image", "right_output_image"),
           "video": ("left_video", "right_video")}
TEXTS = ("source_prompt", "target_prompt", "instruct_prompt")


def samples(name, source, options):
    task = name.rsplit("-", 1)[1]
    configuration = CONFIGURATIONS[task]
    for index, (where, row) in enumerate(rows(source, source.find(f"{configuration}/test_v1*.parquet"))):
        need_fields(row, (*COLUMNS[task], "vote_type", *(TEXTS if task == "editing" else ("prompt",))), where)
        if row["vote_type"] not in VOTES:
            yield BadLabel(where, row["vote_type"], ", ".join(VOTES))
            continue
        sample = {"id": f"{index:05d}", "question": row["instruct_prompt" if task == "editing" else "prompt"]}
        if task == "editing":
            sample["fields"] = {key: row[key] for key in TEXTS}
            sample["media"] = [embedded("image", row.get("source_image"), f"{where}, source_image")]
        if task == "video":
            sample["candidates"] = []
            for key in COLUMNS[task]:
                file = str(row[key]).split("/")[-1]
                sample["candidates"].append({"media": [file_of("video", source, options, (file, f"videos/{file}"), f"{where}, {key}")]})
        else:
            sample["candidates"] = [{"media": [embedded("image", row[key], f"{where}, {key}")]} for key in COLUMNS[task]]
        sample["human"] = VOTES[row["vote_type"]]
        yield sample
