"""MLLM-as-a-Judge and VL-RewardBench: miniatures in the published layouts."""
import base64
import unittest

from support import ImporterTest, needs_pyarrow, png


class MllmJudge(ImporterTest):
    def row(self, i, **more):
        return {"id": 100 + i, "image_path": f"{i}.jpg", "original_dataset": f"set{i % 14}", "instruction": f"look {i}", **more}

    def answers(self, count):
        return [{"name": f"model{k}", "answer": f"answer {k}"} for k in range(count)]

    def write_pictures(self):
        for i in range(28):
            self.write(f"image/{i}.jpg", png(i))

    def test_scores_are_numbers_or_text(self):
        self.write_pictures()
        self.write_json_lines("Benchmark/score.jsonl", [
            self.row(i, score_id=i, name="m", answer="a", human=i % 5 + 1 if i % 2 else str(i % 5 + 1)) for i in range(28)])
        samples = self.imports("mllm-judge-score")
        self.assertEqual([sample["human"] for sample in samples[:3]], [1, 2, 3])
        self.assertEqual(samples[3]["cluster"], "103")
        self.assertEqual(self.manifest["groups"]["set3"], 2)

    def test_pairs_with_either_label_key_and_path_form(self):
        self.write_pictures()
        rows = []
        for i in range(28):
            first, second = self.answers(2)
            row = self.row(i, pair_id=i, answer1=first, answer2=second)
            row["human" if i % 2 else "human_answer"] = "ABC"[i % 3]
            row["image_path"] = f"image/{i}.jpg" if i % 2 else f"{i}.jpg"
            rows.append(row)
        self.write_json_lines("Benchmark/pair.jsonl", rows)
        samples = self.imports("mllm-judge-pair")
        self.assertEqual([sample["human"] for sample in samples[:3]], ["A", "B", "tie"])
        self.assertEqual(samples[0]["candidates"], [{"text": "answer 0"}, {"text": "answer 1"}])

    def test_batch_orders(self):
        self.write_pictures()
        rows = [self.row(i, answers=self.answers(4 if i else 3), human="CDAB" if i else "CAB") for i in range(28)]
        self.write_json_lines("Benchmark/batch.jsonl", rows)
        samples = self.imports("mllm-judge-batch")
        self.assertEqual((samples[0]["human"], samples[1]["human"]), ("CAB", "CDAB"))
        rows[5]["human"] = "CDA"
        self.write_json_lines("Benchmark/batch.jsonl", rows)
        samples = self.imports("mllm-judge-batch", "--accept", "labels")
        self.assertEqual(self.manifest["dropped"], {"label is not a published one": 1})

    def test_refuses_missing_pictures_groups_and_labels(self):
        rows = [self.row(i, answer="a", human=i % 5 + 1) for i in range(28)]
        self.write_json_lines("Benchmark/score.jsonl", rows)
        self.refuses("mllm-judge-score", "score.jsonl:1: image/0.jpg: the image is missing")
        self.write_pictures()
        self.write("image/3.jpg", "<html>not found</html>")
        self.refuses("mllm-judge-score", "score.jsonl:4: image/3.jpg: is no image file of a known format")
        self.write("image/3.jpg", png(3))
        rows[2]["human"] = 6
        self.write_json_lines("Benchmark/score.jsonl", rows)
        self.refuses("mllm-judge-score", "has the label '6', known labels are 1 to 5")
        self.write_json_lines("Benchmark/score.jsonl", rows[3:10])
        self.refuses("mllm-judge-score", "7 groups, published 14")

    def test_rows_without_pictures_are_left_out_on_request(self):
        self.write_json_lines("Benchmark/score.jsonl", [self.row(i, answer="a", human=i % 5 + 1) for i in range(30)])
        self.write_pictures()
        self.imports("mllm-judge-score", "--accept", "media")
        self.assertEqual(self.manifest["dropped"], {"image is missing": 2})


class VlRewardBench(ImporterTest):
    def rows(self):
        prefixes = ["wildvision_", "vlfeedback_"] * 91 + ["x"] + ["RLAIF-V_"] * 700 + ["hallucination_pair-"] * 49 + ["mathverse_"] * 300 + ["mmmu_pro_"] * 18
        return [{"id": f"{prefix}{i}", "query": f"q{i}", "response": ["one", "two"], "image": {"bytes": png(i % 20), "path": None},
                 "human_ranking": [0, 1] if i % 3 else [1, 0], "models": ["a", "b"]} for i, prefix in enumerate(prefixes)]

    @needs_pyarrow
    def test_a_snapshot_folder_with_parquet(self):
        revision = "0123456789abcdef0123456789abcdef01234567"
        rows = self.rows()
        self.write_parquet(f"snapshots/{revision}/data/test-00000-of-00002.parquet", rows[:600])
        self.write_parquet(f"snapshots/{revision}/data/test-00001-of-00002.parquet", rows[600:])
        samples = self.imports("vl-rewardbench", source=self.source / "snapshots" / revision)
        self.assertEqual(self.manifest["revision"], revision)
        self.assertEqual(self.manifest["groups"], {"general": 183, "hallucination": 749, "reasoning": 318})
        self.assertEqual((samples[0]["human"], samples[1]["human"]), ("B", "A"))
        self.assertEqual(self.medium(samples[5]["images"][0]), png(5))
        self.assertEqual(self.manifest["media"]["files"], 20)  # the same bytes are stored once

    @needs_pyarrow
    def test_refuses_another_count_and_pictures_that_are_missing(self):
        rows = self.rows()
        self.write_parquet("data/test.parquet", rows[1:])
        self.refuses("vl-rewardbench", "group 'general' has 182 samples, published 183", "1249 rows, published 1250")
        rows[9]["image"] = None
        self.write_parquet("data/test.parquet", rows)
        self.refuses("vl-rewardbench", "test.parquet: row 9: the image is missing")
        self.write("data/test.parquet", "no parquet")
        self.refuses("vl-rewardbench", "test.parquet: broken parquet file")

    def test_vlmevalkits_tsv(self):
        lines = ["index\timage\tquestion\tresponse\tanswer\tcategory"]
        groups = ["general"] * 183 + ["hallucination"] * 749 + ["reasoning"] * 318
        for i, group in enumerate(groups):
            lines.append(f"{i}\t{base64.b64encode(png(i % 20)).decode()}\tq{i}\t\"['one', 'it''s']\"\t\"[{i % 2}, {1 - i % 2}]\"\t{group}")
        self.write("vl_rewardbench.tsv", "\n".join(lines) + "\n")
        samples = self.imports("vl-rewardbench", source=self.source / "vl_rewardbench.tsv")
        self.assertEqual((samples[0]["human"], samples[1]["human"]), ("A", "B"))
        self.assertEqual(samples[0]["group"], "general")


if __name__ == "__main__":
    unittest.main()
