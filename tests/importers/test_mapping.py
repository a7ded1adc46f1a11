"""The general importer: what a mapping file says becomes a suite folder; the shipped examples work."""
import json
import unittest

from support import ROOT, ImporterTest, needs_pyarrow, png

try:
    import yaml
except ImportError:
    yaml = None

EXAMPLES = ROOT / "configs" / "mappings"
BASE = """id: own
protocol: pair
prompt: configs/prompts/pair.yaml
rows: rows.csv
columns:
  question: q
  candidates: [a, b]
  label: vote
"""


@unittest.skipUnless(yaml, "this Python has no PyYAML")
class Mapping(ImporterTest):
    def mapping(self, text):
        return self.write("mapping.yaml", text)

    def imports_by(self, mapping):
        outcome = self.run_command("--mapping", mapping, self.source, self.out)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        return self.result()

    def refuses_by(self, text, *words):
        outcome = self.run_command("--mapping", self.mapping(text), self.source, self.out)
        self.assertNotEqual(outcome.returncode, 0)
        self.assertEqual(len(outcome.stderr.strip().splitlines()), 1, outcome.stderr)
        for word in words:
            self.assertIn(word, outcome.stderr)
        self.assertFalse(self.out.exists())

    def test_own_votes_one_row_a_vote(self):
        votes = {"one": ["first", "first", "second"], "two": ["second", "first"], "three": ["equal"]}
        lines = ["item,question,answer_a,answer_b,voter,vote,topic"]
        for item, given in votes.items():
            lines += [f'{item},"Which, then?",x,y,voter{i},{vote},t' for i, vote in enumerate(given)]
        self.write("votes.csv", "\n".join(lines))
        samples = self.imports_by(EXAMPLES / "own-votes.yaml")
        self.assertEqual({sample["id"]: sample["human"] for sample in samples}, {"one": "A", "two": "tie", "three": "tie"})
        self.assertEqual(samples[0]["annotators"], {"voter0": "A", "voter1": "A", "voter2": "B"})
        self.assertEqual((samples[0]["question"], samples[0]["group"]), ("Which, then?", "t"))
        self.write("votes.csv", "\n".join([*lines, "one,q,x,y,voter0,first,t"]))
        outcome = self.run_command("--mapping", EXAMPLES / "own-votes.yaml", self.source, self.folder / "out2")
        self.assertIn("votes.csv:8: 'voter0' votes on item 'one' a second time", outcome.stderr)

    def test_own_ratings_with_pictures(self):
        self.write("pictures/1.png", png(1))
        self.write("pictures/2.png", png(2))
        self.write("ratings.csv", "question,picture,answer,ana,ben,chris\nq,1.png,x,1,2,\nq,2.png,y,5,5,4\n")
        samples = self.imports_by(EXAMPLES / "own-ratings.yaml")
        self.assertEqual(samples[0]["human"], 1.5)
        self.assertEqual(samples[0]["annotators"], {"ana": 1, "ben": 2})
        self.assertEqual(self.medium(samples[1]["images"][0]), png(2))

    def test_multimodal_rewardbench(self):
        rows = [{"ID": f"math-{i}", "Text": "q", "Image": f"images/{i}.png", "Output1": "x", "Output2": "y", "Better": f"Output{i % 2 + 1}",
                 "Category": "reasoning"} for i in range(4)]
        for i in range(4):
            self.write(f"data/images/{i}.png", png(i))
        self.write("data/all_data.json", json.dumps(rows))
        samples = self.imports_by(EXAMPLES / "multimodal-rewardbench.yaml")
        self.assertEqual([sample["human"] for sample in samples], ["A", "B", "A", "B"])
        self.assertEqual(samples[2]["id"], "math-2")

    @needs_pyarrow
    def test_rewardbench_2_becomes_pairs(self):
        self.write_parquet("data/test-00000-of-00001.parquet", [
            {"id": str(i), "prompt": "q", "chosen": ["right"], "rejected": ["w1", "w2", "w3"], "subset": "Math"} for i in range(20)])
        samples = self.imports_by(EXAMPLES / "rewardbench-2.yaml")
        self.assertEqual(len(samples), 60)
        for sample in samples:
            self.assertEqual(sample["candidates"]["AB".index(sample["human"])], {"text": "right"})
        self.assertEqual(samples[4]["cluster"], "1")
        self.assertTrue(15 < self.manifest["labels"]["A"] < 45)

    def test_nested_cells_fields_and_media_of_candidates(self):
        self.write("x.png", png(1))
        self.write("y.png", png(2))
        self.write_json_lines("rows.jsonl", [{"a": [{"p": "x.png"}, {"p": "y.png"}], "more": {"s": "caption"}, "v": v} for v in (1, 2, 2)])
        samples = self.imports_by(self.mapping(
            "id: own\nprotocol: label\nprompt: configs/prompts/label-images.yaml\nrows: rows.jsonl\ncolumns:\n  question: more.s\n"
            "  fields: {source: more.s}\n  candidates: [{images: a.0.p}, {images: a.1.p}]\n  label: v\n"
            "labels: {1: A>B, 2: A=B=Bad}\n"))
        self.assertEqual(samples[1]["human"], "A=B=Bad")
        self.assertEqual(samples[1]["fields"], {"source": "caption"})
        self.assertEqual(self.medium(samples[0]["candidates"][1]["images"][0]), png(2))

    def test_refuses_what_it_cannot_read(self):
        self.write("rows.csv", "q,a,b,vote\nq,x,y,A\nq,x,y,B\n")
        self.refuses_by(BASE + "count: 3\n", "2 rows, published 3")
        self.refuses_by(BASE.replace("rows:", "row:"), "unknown key 'row'; did you mean 'rows'?")
        self.refuses_by(BASE.replace("label: vote", "lable: vote"), "unknown key 'lable'; did you mean 'label'?")
        self.refuses_by(BASE.replace("label: vote", "label: votes"), "rows.csv:2: has no column 'votes'")
        self.refuses_by(BASE.replace("  label: vote\n", ""), "'columns' needs 'label' or 'annotators'")
        self.refuses_by(BASE + "labels: {A: A}\n", "rows.csv:3: has the label 'B', known labels are A")
        self.refuses_by(BASE.replace("protocol: pair", "protocol: pairs"), "'protocol' is 'pairs', it must be one of score, pair, label, rank")
        self.refuses_by(BASE.replace("protocol: pair", "protocol: score"), "rows.csv:2: the label is 'A', it must be a number")
        self.refuses_by("id: [", "broken YAML")
        self.write("rows.csv", "q,a,b,vote\nq,x\n")
        self.refuses_by(BASE, "rows.csv:2: has another number of cells than the header")

    def test_scores_outside_the_range(self):
        self.write("rows.csv", "q,a,vote\nq,x,4\nq,x,nan\n")
        text = BASE.replace("pair", "score").replace("[a, b]", "[a]")
        self.refuses_by(text, "rows.csv:3: the label is 'nan', it must be a number")
        self.write("rows.csv", "q,a,vote\nq,x,4\nq,x,7\n")
        self.refuses_by(text, "rows.csv:3: has the label '7', known labels are numbers from 1 to 5")


if __name__ == "__main__":
    unittest.main()
