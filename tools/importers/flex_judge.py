"""The command tools/import-prompts: the published prompts of Flex-Judge, byte for byte, from the user's own checkout.

The texts are not ours and are not shipped; what is shipped is the SHA-256 of each at a known revision. A text of a script is
found by its hash, so nothing else can be taken for it. In the hashed form of an f-string, {expression} stands for its values.
"""
import argparse
import ast
import hashlib
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Sequence, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from importers.facts import Problem  # noqa: E402
from importers.folder import REPOSITORY  # noqa: E402
from importers.source import Source  # noqa: E402

REVISION = "0e34d5f3def975fc1e7c467ba17a332548ee2518"  # of jongwooko/flex-judge
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
FILLED = "<|vision_start|>{placeholder}<|vision_end|>"
AUDIO = "<|audio_bos|><|AUDIO|><|audio_eos|>"
QUESTION, FIRST, SECOND = ("{q}", "{question}"), ("{a1}", "{candidate_1}"), ("{a2}", "{candidate_2}")


@dataclass(frozen=True)
class Prompt:
    """Where the texts of a prompt stand, and how our placeholders replace the script's, each once and in this order."""

    script: str
    system: str  # SHA-256 of the system text
    user: str  # SHA-256 of the user text
    shows: Sequence[Tuple[str, str]]
    verdict: str
    each: str = ""  # SHA-256 of the text of one answer, where a script repeats it
    after: str = ""  # what the script's code puts behind the user text


SCORES_10 = "{form: scores, scale: [1, 10], repo: integers}"
LABEL = "{form: label, repo: four_way}"
MOS = "{form: scores, scale: [1, 5], repo: decimal}"
PAIR = (IMAGE, "{image}"), QUESTION, FIRST, SECOND
TWO_IMAGES = QUESTION, (IMAGE, "{candidate_1_image}"), (IMAGE, "{candidate_2_image}")
NISQA = Prompt("test/nisqa_vllm.py", "f09e1e3b33010f4ba68e14a45767755cb7f14b1cd6ca25fd17cbf5e6fdcd577c",
               "f27a35f4c70562c1dd0de9b92a5ff5efa560d3dd9d46f40355f4d5dd5ce36174", ((AUDIO, "{candidate_1_audio}"),), MOS)
#: suite -> its prompt. The scripts of JudgeLM and PandaLM ask for scores and look for labels, so they read nothing; here their
#: scores are read.
PROMPTS = {
    "mllm-judge-pair": Prompt(
        "test/mllm_as_a_judge_vllm.py", "9a936631952d98a8cb05cddba2f6c50beb10821ed521a82bb8b9ad5243fc45ad",
        "d0771d6a465282841fe7fde04fa23a7ac1484209df61a9da1441f6c461f288c4", PAIR, SCORES_10),
    "mllm-judge-score": Prompt(
        "test/mllm_as_a_judge_vllm.py", "4cdd1dea696598141ef2f478f3d6505645ca5254c3ff1398edc7f61db4997e85",
        "260e8d51eb009364fab41c4fa72bead69ddf7b47debc91e575054380609be4b9", PAIR[:3], "{form: scores, scale: [1, 5], repo: integers}"),
    "mllm-judge-batch": Prompt(
        "test/mllm_as_a_judge_vllm.py", "7a2830b61f78936dffa9fff17c37a2b447b2336f02c367000bca959a0589f64a",
        "1a04fa41754b380625482fd72a9271dff460522cb668b105ed5bbcf0338758e0", PAIR[:2], SCORES_10, after="{candidates}",
        each="70fb7f1b52e564d12e5cce264ada71d7c47f958b0e0975d0012cb0996c398fab"),
    "vl-rewardbench": Prompt(
        "test/vl_rewardbench_vllm.py", "a10b7c9d94686205dee24115e4ece0c9964072dc219a7ec0a1606dd7105ace28",
        "d0771d6a465282841fe7fde04fa23a7ac1484209df61a9da1441f6c461f288c4", PAIR, SCORES_10),
    **{f"mj-bench-{split}": Prompt(
        "test/mj_bench_vllm.py", system, "14b71883c712e1d94eb515395c03173007ad317a2d92a288246539a69df933cb", TWO_IMAGES, SCORES_10)
       for split, system in (("alignment", "4cef0b5a458dd7f705e6b29c03c4eceaabaf938a8c49f20b6020a065fab256a3"),
                             ("safety", "a9f2d08b5f70187d4f1301aef171b4ae0c6da72d176cc1b26caf2ede89201e44"),
                             ("quality", "18c88e2703b32427af4b4ab7693ba61ab72e1051f72b47e9df00a2abae2f9e1e"))},
    **{f"genai-bench-{kind.lower()}": Prompt(
        "test/genai_bench_vllm.py", system, "63643476a8c5bf734a982fa5cddad8d73646ffe943937d4d8e830932c1d55f0e",
        (QUESTION, ("{input_type}", kind), (FILLED, f"{{candidate_1_{kind.lower()}}}"), ("{input_type}", kind),
         (FILLED, f"{{candidate_2_{kind.lower()}}}")), LABEL)
       for kind, system in (("Image", "96af1f3d4be40f5aae32a3fa291038dd894d77c794c7e894dab5f2c3a14dcdab"),
                            ("Video", "6789e87b1470c413e753da795899f2de72b858228655c114b46399b1d342453f"))},
    "genai-bench-editing": Prompt(
        "test/genai_bench_vllm.py", "774ee37298f8e9d192f5a0a994e7b3b7d1f4e05bcd0abdcc0f837189e85134ad",
        "bb254d341ae24c37fbc4f6ac50fe012b55b7de91596cdc740274a40982beef43",
        (("{q1}", "{field:source_prompt}"), ("{q2}", "{field:target_prompt}"), ("{q3}", "{field:instruct_prompt}"), (FILLED, "{image}"),
         ("{input_type}", "Image"), (FILLED, "{candidate_1_image}"), ("{input_type}", "Image"), (FILLED, "{candidate_2_image}")), LABEL),
    "nisqa": NISQA,
    "somos": replace(NISQA, script="test/somos_vllm.py"),
    "bvcc": Prompt(
        "test/bvcc_vllm.py", "d1705bbe308d99fef51299301da19a2ee5ca1055840067d9f0a939ffa2216ec2",
        "8ce538c27b19453747a7af24f380c5ff3a558f89a2ba5c8e5a2848c1285eb887",
        ((AUDIO, "{candidate_1_audio}"), ("{question}", "sha256:335c4e2abe97543a63d1b789371794575a2476cd00302759f4e929ab27c3fb63")),
        "{form: scores, scale: [1, 5], repo: bvcc}"),
    "voxsim": Prompt(
        "test/voxsim_vllm.py", "aa6dd7e882e835316a70b5dd5764c57acb36f4118cbdb6aa440abfe49dc89fa8",
        "f7fa4a798e509de022d59d2a9aaf49ea9b921eea483e4f34abf72a8558681d76", ((AUDIO, "{audio_1}"), (AUDIO, "{audio_2}")), MOS),
    "judgelm-val": Prompt(
        "test/judgelm_vllm.py", "83ea16d598c008ecaf56c5aae1e70d1eac01289c73e0bf32788de2c5ba806751",
        "98b60e050ec1e5a570cdfb17d98ffe174101edad946ec3e152f8abd6c4f72bc0", PAIR[1:], SCORES_10),
    "pandalm": Prompt(
        "test/pandalm_vllm.py", "83ea16d598c008ecaf56c5aae1e70d1eac01289c73e0bf32788de2c5ba806751",
        "5ac3b50672f71667d99fc8b61afe3a1d4e09d2838f87ca6e05bae55e46522fab",
        (("{instruction}", "{field:instruction}"), ("{input}", "{field:input}"), ("{response1}", "{candidate_1}"),
         ("{response2}", "{candidate_2}")), SCORES_10),
    "pampa": Prompt(
        "example/pampa/prompts.py", "f3056437b84db2067ecfd870d1af598bb2c5c1e87be195ec53f382bc37559e09",
        "c62ff4e37f379a877953c1aae9da0fad036ac913ab6125b9d0824984917880f9", (("<mol>", "{molecule}"),),
        "{form: scores, scale: [1, 10], repo: molecules}", after="{candidate_1}"),
}


def strings(text, name):
    """SHA-256 -> text of every string in a Python file; an f-string's expressions stand in braces."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise Problem(f"{name}: is not Python: {error}") from error
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            value = node.value
        elif isinstance(node, ast.JoinedStr):
            value = "".join(part.value if isinstance(part, ast.Constant) else "{" + ast.unparse(part.value) + "}" for part in node.values)
        else:
            continue
        found[hashlib.sha256(value.encode()).hexdigest()] = value
    return found


def with_placeholders(found, text, shows, prompt):
    """The text with the script's own places replaced by ours, or by a further text of the script."""
    for old, new in shows:
        if new.startswith("sha256:"):
            if new[7:] not in found:
                raise Problem(f"{prompt.script}: holds no text {new[7:19]}")
            new = found[new[7:]]
        if old not in text:
            raise Problem(f"{prompt.script}: its text does not show {old}")
        text = text.replace(old, new, 1)
    return text


def prompt_file(suite, prompt, found, revision):
    """The text of a prompt file in our form; JSON strings keep every byte in YAML."""
    missing = [f"{what} {digest[:12]}" for what, digest in (("system", prompt.system), ("user", prompt.user), ("answer", prompt.each))
               if digest and digest not in found]
    if missing:
        raise Problem(f"{prompt.script}: holds no {', '.join(missing)}")
    user = with_placeholders(found, found[prompt.user], prompt.shows, prompt) + prompt.after
    lines = [f"# Flex-Judge's prompt for {suite}, from {prompt.script} at {revision}; made by tools/import-prompts.",
             f"id: flex-judge-{suite}", f"system: {json.dumps(found[prompt.system], ensure_ascii=False)}",
             f"user: {json.dumps(user, ensure_ascii=False)}"]
    if prompt.each:
        each = with_placeholders(found, found[prompt.each], (("{i + 1}", "{number}"), ("{a[i]['answer']}", "{candidate}")), prompt)
        lines.append(f"each: {json.dumps(each.removesuffix(chr(10) * 2), ensure_ascii=False)}")
    return "\n".join([*lines, f"verdict: {prompt.verdict}"]) + "\n"


def import_prompts(checkout, out):
    source = Source(checkout)
    revision = source.revision()
    files, problems = {}, []
    for suite, prompt in PROMPTS.items():
        if not source.has(prompt.script):
            problems.append(f"{prompt.script}: does not exist")
            continue
        try:
            files[suite] = prompt_file(suite, prompt, strings(source.text(prompt.script), prompt.script), revision)
        except Problem as problem:
            problems.append(str(problem))
    if problems:
        raise Problem(f"{checkout} (revision {revision}) has not the published prompts of revision {REVISION}:\n  "
                      + "\n  ".join(sorted(set(problems))))
    out.mkdir(parents=True, exist_ok=True)
    for suite, text in files.items():
        (out / f"{suite}.yaml").write_text(text, encoding="utf-8")
    manifest = {"revision": revision, "checked_against": REVISION, "scripts_sha256": source.hashes,
                "prompts_sha256": {suite: hashlib.sha256(text.encode()).hexdigest() for suite, text in files.items()}}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    print(f"{len(files)} prompts in {out}, equal to those of jongwooko/flex-judge at {REVISION[:12]}")


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="import-prompts", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Takes the published prompts of Flex-Judge from your checkout, byte for byte, and checks them against the\n"
                    "hashes that we ship. Nothing is written unless all of them are the published ones.",
        epilog="Example: git clone https://github.com/jongwooko/flex-judge && tools/import-prompts flex-judge\n"
               "Then a suite uses one with prompt: configs/prompts/flex-judge/SUITE.yaml. suites:\n  " + ", ".join(PROMPTS))
    parser.add_argument("checkout", metavar="FLEX_JUDGE_CHECKOUT", type=Path)
    parser.add_argument("out", metavar="OUT", type=Path, nargs="?", default=REPOSITORY / "configs" / "prompts" / "flex-judge")
    parsed = parser.parse_args(arguments)
    try:
        import_prompts(parsed.checkout, parsed.out)
    except Problem as problem:
        sys.exit(f"import-prompts: {problem}")
    except (OSError, UnicodeError) as error:
        sys.exit(f"import-prompts: {error}")


if __name__ == "__main__":
    main()
