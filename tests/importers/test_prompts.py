"""tools/import-prompts: texts come out of a checkout byte for byte, found by their hashes, or not at all."""
import contextlib
import hashlib
import io
import json
import unittest
from unittest import mock

from support import ImporterTest, main

from importers import flex_judge
from importers.flex_judge import Prompt

SCRIPT = '''
import sys
def run(example, a):
    SYSTEM = ("Be \\u00e4 judge: \\\\t "
              "really \\"fair\\".\\n")
    q, a1 = example
    text = f"<|vision_start|><|image_pad|><|vision_end|>\\n\\n[Q]\\n{q}\\n\\n"
    for i in range(len(a)):
        text += f"[A {i+1}]\\n{a[i]['answer']}\\n\\n"
    return SYSTEM, text
'''
SYSTEM = 'Be \u00e4 judge: \\t really "fair".\n'


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


PROMPT = Prompt("test/script.py", sha(SYSTEM), sha("<|vision_start|><|image_pad|><|vision_end|>\n\n[Q]\n{q}\n\n"),
                ((flex_judge.IMAGE, "{image}"), ("{q}", "{question}")), "{form: scores}", after="{candidates}",
                each=sha("[A {i + 1}]\n{a[i]['answer']}\n\n"))


class Prompts(ImporterTest):
    def run_prompts(self, prompts):
        output, errors = io.StringIO(), io.StringIO()
        with mock.patch.object(flex_judge, "PROMPTS", prompts), contextlib.redirect_stdout(output):
            try:
                flex_judge.main([str(self.source), str(self.out)])
            except SystemExit as stop:
                errors.write(str(stop.code))
        return output.getvalue(), errors.getvalue()

    def test_byte_for_byte(self):
        self.write("test/script.py", SCRIPT)
        printed, errors = self.run_prompts({"s": PROMPT})
        self.assertEqual(errors, "")
        self.assertIn("1 prompts in", printed)
        lines = (self.out / "s.yaml").read_text(encoding="utf-8").splitlines()
        values = {line.split(": ", 1)[0]: json.loads(line.split(": ", 1)[1]) for line in lines if line.startswith(("system", "user", "each"))}
        self.assertEqual(values, {"system": SYSTEM, "user": "{image}\n\n[Q]\n{question}\n\n{candidates}", "each": "[A {number}]\n{candidate}"})
        manifest = json.loads((self.out / "manifest.json").read_text())
        self.assertEqual(manifest["scripts_sha256"], {"test/script.py": sha(SCRIPT)})

    def test_another_byte_is_refused_and_nothing_is_written(self):
        self.write("test/script.py", SCRIPT.replace("fair", "fare"))
        _, errors = self.run_prompts({"s": PROMPT})
        self.assertIn(f"test/script.py: holds no system {sha(SYSTEM)[:12]}", errors)
        self.assertIn("revision unknown", errors)
        self.assertFalse(self.out.exists())

    def test_no_checkout(self):
        _, errors = self.run_prompts({"s": PROMPT})
        self.assertIn("test/script.py: does not exist", errors)
        self.write("test/script.py", "def (")
        _, errors = self.run_prompts({"s": PROMPT})
        self.assertIn("is not Python", errors)

    def test_every_suite_of_the_evaluation_has_one(self):
        self.assertEqual(set(flex_judge.PROMPTS), set(main.BENCHMARKS) - {"llmbar", "mj-bench-2025"})


if __name__ == "__main__":
    unittest.main()
