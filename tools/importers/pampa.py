"""PAMPA (pampa.json of Flex-Judge's molecule example): is a molecule permeable; responses of a model are rated, the label is whether they are right.

--responses names the files with the responses (rows SMILES, Label, Prediction, Response, in the order of the test split), one
file a run. As in the published scripts a response is shown up to "Final answer:", so that the judge sees the reasons only.
"""
import json

from .facts import BadLabel, Facts, Media, Problem
from .source import Source, json_rows, need_fields

SUITES = {"pampa": Facts(where="PAMPA's test split: 407 molecules")}
MOLECULES = 407
QUESTION = ("Does the molecule pass the artificial membrane of a parallel artificial membrane permeability assay (PAMPA) well, or "
            "only little to moderately?")


def molecule(row):
    data = json.dumps({"smiles": row["smiles"], "atoms": row["atoms"], "coordinates": row["coordinates"][0]}).encode()
    return Media("molecule", row["smiles"], lambda: data)


def samples(name, source, options):
    (file,) = source.find("pampa.json")[:1]
    try:
        data = json.loads(source.text(file))
        rows = [data["data_list"][index] for index in data["split"]["test"]]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise Problem(f"{source.path}: {file}: is not the published file ({error!r})") from error
    if len(rows) != MOLECULES and "count" not in options.accepted:
        raise Problem(f"{source.path}: {file}: the test split has {len(rows)} molecules, published {MOLECULES}; --accept count takes it as it is")
    if not options.responses:
        raise Problem("pampa needs --responses FILE… : the judge rates responses of a model to the molecules")
    for run, path in enumerate(options.responses):
        responses = Source(path)
        answers = json_rows(responses, path.name)
        source.hashes[path.name] = responses.hashes[path.name]
        if len(answers) != len(rows):
            raise Problem(f"{path}: {len(answers)} responses, but the test split has {len(rows)} molecules")
        for index, ((where, answer), row) in enumerate(zip(answers, rows)):
            need_fields(answer, ("SMILES", "Prediction", "Response"), where)
            need_fields(row, ("smiles", "atoms", "coordinates", "answer"), f"{file}: test row {index}")
            if answer["SMILES"] != row["smiles"]:
                raise Problem(f"{where}: is about {answer['SMILES']}, but the molecule is {row['smiles']}")
            if str(row["answer"]) not in ("0", "1"):
                yield BadLabel(f"{file}: test row {index}", row["answer"], "0 and 1")
                continue
            yield {"id": f"{index:03d}-{run:02d}", "cluster": f"{index:03d}", "question": QUESTION, "media": [molecule(row)],
                   "candidates": [{"text": answer["Response"].split("Final answer:")[0].rstrip()}],
                   "human": int(str(answer["Prediction"]) == str(row["answer"]))}
