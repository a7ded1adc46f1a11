"""LLMBar, PandaLM, JudgeLM-val: miniatures in the published layouts, with the published counts."""
import json
import os
import subprocess
import sys
import unittest
import zipfile

from support import ROOT, ImporterTest, main


class LlmBar(ImporterTest):
    def dataset(self, name, count, label=lambda i: i % 2 + 1):
        rows = [{"input": f"question {i}", "output_1": "one", "output_2": "two", "label": label(i)} for i in range(count)]
        self.write(f"Dataset/{name}/dataset.json", json.dumps(rows))

    def test_sets_are_groups(self):
        self.dataset("LLMBar/Natural", 100)
        self.dataset("Processed/LLMEval^2", 200)
        samples = self.imports("llmbar")
        self.assertEqual(self.manifest["groups"], {"LLMBar/Natural": 100, "Processed/LLMEval2": 200})
        self.assertEqual(samples[1], {"id": "LLMBar/Natural/001", "group": "LLMBar/Natural", "question": "question 1",
                                      "candidates": [{"text": "one"}, {"text": "two"}], "human": "B"})

    def test_only_one_set_and_from_a_zip(self):
        self.dataset("LLMBar/Natural", 100)
        self.dataset("LLMBar/Adversarial/GPTOut", 47)
        with zipfile.ZipFile(self.folder / "source.zip", "w") as archive:
            for path in self.source.rglob("*.json"):
                archive.write(path, f"LLMBar-main/{path.relative_to(self.source)}")
        self.assertEqual(len(self.imports("llmbar", "--only", "Natural", source=self.folder / "source.zip")), 100)
        self.assertIn("id: llmbar-natural\n", self.suite_yaml)

    def test_refuses_another_count_labels_and_sets(self):
        self.dataset("LLMBar/Natural", 99)
        self.refuses("llmbar", "group 'LLMBar/Natural' has 99 samples, published 100")
        self.dataset("LLMBar/Natural", 100, lambda i: 1)
        self.refuses("llmbar", "every label is 'A'")
        self.dataset("LLMBar/Natural", 100, lambda i: i % 2)
        self.refuses("llmbar", "dataset.json: row 0: has the label 0, known labels are 1 and 2")
        self.write("Dataset/LLMBar/Natural/dataset.json", '[{"input": ""}]')
        self.refuses("llmbar", "has no field output_1, output_2, label")
        self.write("Dataset/LLMBar/Natural/dataset.json", "[{]")
        self.refuses("llmbar", "broken JSON")

    def test_accepting_another_count_is_in_the_manifest(self):
        self.dataset("LLMBar/Natural", 99)
        self.imports("llmbar", "--accept", "count")
        self.assertEqual(self.manifest["accepted"], ["count"])


class PandaLm(ImporterTest):
    def rows(self):
        labels = [0] * 105 + [1] * 422 + [2] * 472
        return [{"idx": i, "motivation_app": "app", "cmp_key": "a_b", "instruction": f"do {i}", "input": "this" if i else "",
                 "response1": "one" if i else True, "response2": "two", "annotator1": label, "annotator2": label, "annotator3": (label + i) % 3}
                for i, label in enumerate(labels)]

    def test_majority_and_annotators(self):
        self.write("data/testset-v1.json", json.dumps(self.rows()))
        samples = self.imports("pandalm")
        self.assertEqual(samples[1]["human"], "tie")
        self.assertEqual(samples[1]["annotators"], {"annotator1": "tie", "annotator2": "tie", "annotator3": "A"})
        self.assertEqual(samples[0]["candidates"][0]["text"], "True")  # a truth value in the published file too
        self.assertEqual(samples[0]["question"], "do 0")
        self.assertEqual(samples[1]["question"], "do 1\n\nthis")
        self.assertEqual(samples[1]["fields"], {"instruction": "do 1", "input": "this"})

    def test_samples_with_the_same_prompt_are_one_cluster(self):
        rows = self.rows()
        rows[3].update(instruction="do 1", input="this")
        self.write("testset-v1.json", json.dumps(rows))
        clusters = [sample["cluster"] for sample in self.imports("pandalm")]
        self.assertEqual(clusters[1], clusters[3])
        self.assertEqual(len(set(clusters)), 998)

    def test_refuses_no_majority_and_other_labels(self):
        rows = self.rows()
        rows[7].update(annotator1=0, annotator2=1, annotator3=2)
        self.write("testset-v1.json", json.dumps(rows))
        self.refuses("pandalm", "row 7: has no majority label")
        rows[7].update(annotator1=1, annotator2=1)
        self.write("testset-v1.json", json.dumps(rows))
        self.refuses("pandalm", "'tie': 104", "published {'A': 422, 'B': 472, 'tie': 105}")


class JudgeLm(ImporterTest):
    def write_files(self, first_lines):
        self.write_json_lines("judgelm_val_5k.jsonl", [
            {"question_id": i, "question_body": f"q{i}", "answer1_body": "one", "answer2_body": "two"} for i in range(len(first_lines))])
        self.write_json_lines("judgelm_val_5k_gpt4.jsonl", [
            {"question_id": i, "text": f"{line}\nbecause"} for i, line in enumerate(first_lines)])

    def test_labels_are_gpt4s_scores(self):
        self.write_files(["8 7", "7.5 8", "5 5", "-1 -1", "9, 3"] * 1000)
        samples = self.imports("judgelm-val")
        self.assertEqual([sample["human"] for sample in samples[:4]], ["A", "B", "tie", "A"])
        self.assertEqual(self.manifest["dropped"], {"GPT-4 gave no scores": 1000})

    def test_refuses_files_that_do_not_belong_together(self):
        self.write_files(["8 7", "7 8"])
        self.refuses("judgelm-val", "2 rows, published 5000")
        self.write_files(["8 7", "seven"])
        self.refuses("judgelm-val", "judgelm_val_5k_gpt4.jsonl:2: has the label 'seven'")
        self.write_json_lines("judgelm_val_5k_gpt4.jsonl", [{"question_id": 1, "text": "1 2"}] * 2)
        self.refuses("judgelm-val", "is question 0, but judgelm_val_5k_gpt4.jsonl:1 is 1")


class Command(ImporterTest):
    def test_wrong_input_is_one_line(self):
        outcome = self.run_command("llmbra", self.source, self.out)
        self.assertIn("unknown suite 'llmbra'; known: llmbar", outcome.stderr)
        outcome = self.run_command("llmbar", self.folder / "none", self.out)
        self.assertIn("none: does not exist", outcome.stderr)
        self.refuses("llmbar", "holds no file dataset.json")
        self.refuses("pandalm", "--only is for llmbar", arguments=("--only", "x"))

    def test_the_command_itself(self):
        command = str(ROOT / "tools" / "import-suite")
        environment = dict(os.environ, PYTHON=sys.executable)
        shown = subprocess.run([command, "--help"], capture_output=True, text=True, env=environment, check=True)
        self.assertIn("Nothing is downloaded", shown.stdout)
        self.assertIn("vl-rewardbench", shown.stdout)
        refused = subprocess.run([command, "llmbar", self.source], capture_output=True, text=True, env=environment, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertTrue(refused.stderr.startswith("import-suite: "), refused.stderr)

    def test_every_suite_is_shipped_with_the_published_count(self):
        shipped = {path.stem for path in (ROOT / "configs" / "suites").glob("*.yaml")}
        self.assertEqual(shipped, set(main.BENCHMARKS))
        for name, module in main.BENCHMARKS.items():
            text = (ROOT / "configs" / "suites" / f"{name}.yaml").read_text()
            counts = module.SUITES[name].counts
            if name != "judgelm-val":  # its rows without a truth are left out
                self.assertEqual(f"\ncount: {counts[0]}\n" in text, True) if len(counts) == 1 else self.assertNotIn("\ncount:", text)
            self.assertIn(f"\nsamples: data/{name}/samples.jsonl\n", text)

    def test_a_folder_that_is_no_import_is_kept(self):
        self.out.mkdir()
        (self.out / "precious").write_text("data")
        outcome = self.run_command("llmbar", self.source, self.out)
        self.assertIn("exists and is not an imported suite", outcome.stderr)
        self.assertEqual((self.out / "precious").read_text(), "data")


if __name__ == "__main__":
    unittest.main()
