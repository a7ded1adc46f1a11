"""The command tools/import-suite."""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from importers import genai_bench, judgelm, llmbar, mj_bench, mllm_judge, pampa, pandalm, speech, vl_rewardbench  # noqa: E402
from importers.facts import Options, Problem  # noqa: E402
from importers.folder import REPOSITORY, SuiteFolder, shipped_suite, with_values  # noqa: E402
from importers.source import Source  # noqa: E402

MODULES = (llmbar, pandalm, judgelm, mllm_judge, vl_rewardbench, mj_bench, genai_bench, speech, pampa)
BENCHMARKS = {name: module for module in MODULES for name in module.SUITES}

DESCRIPTION = """Turns a published benchmark into a suite folder: suite.yaml, samples.jsonl, media/, manifest.json.

SOURCE is the published data, already here: a Hugging Face snapshot folder, a checkout, a zip archive or the one file that
holds the rows. Nothing is downloaded. OUT defaults to data/NAME beside configs/, where configs/suites/NAME.yaml looks.
What does not look like the published data is refused with the published figure beside the found one."""


def suites_text():
    lines = []
    for name, module in BENCHMARKS.items():
        lines.append(f"  {name:<22}{module.__doc__.splitlines()[0]}")
    return "suites:\n" + "\n".join(lines) + "\n\nExample: tools/import-suite vl-rewardbench ~/snapshots/VL-RewardBench"


def read_arguments(arguments):
    parser = argparse.ArgumentParser(prog="import-suite", description=DESCRIPTION, epilog=suites_text(),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME", help="a suite from the list below")
    parser.add_argument("source", metavar="SOURCE", type=Path)
    parser.add_argument("out", metavar="OUT", type=Path, nargs="?")
    parser.add_argument("--media", metavar="FOLDER", type=Path, help="folder with media that SOURCE lacks")
    parser.add_argument("--responses", metavar="FILE", type=Path, action="append", default=[],
                        help="pampa: a file with a model's responses; once for each run")
    parser.add_argument("--only", metavar="SET", default="", help="llmbar: only sets whose name ends in SET")
    parser.add_argument("--accept", action="append", choices=["count", "labels", "media"], default=[],
                        help="take another count, other labels or rows without media as they are; the manifest says so")
    return parser.parse_args(arguments)


def import_published(arguments):
    if arguments.name not in BENCHMARKS:
        raise Problem(f"unknown suite '{arguments.name}'; known: {', '.join(BENCHMARKS)}")
    module = BENCHMARKS[arguments.name]
    facts = module.SUITES[arguments.name]
    if arguments.only and arguments.name != "llmbar":
        raise Problem("--only is for llmbar")
    if arguments.responses and arguments.name != "pampa":
        raise Problem("--responses is for pampa")
    if arguments.media is not None and not arguments.media.is_dir():
        raise Problem(f"{arguments.media}: is no folder")
    source = Source(arguments.source)
    options = Options(only=arguments.only, media=arguments.media, responses=arguments.responses, accepted=arguments.accept)
    suite_id = arguments.name + (f"-{arguments.only.split('/')[-1].lower()}" if arguments.only else "")
    out = arguments.out or REPOSITORY / "data" / suite_id
    folder = SuiteFolder(out, arguments.accept)
    try:
        for item in module.samples(arguments.name, source, options):
            folder.add(item)
        folder.check(facts)
        suite_yaml = with_values(shipped_suite(arguments.name), id=suite_id, samples="samples.jsonl", count=folder.samples)
        manifest = folder.finish(suite_yaml, {
            "suite": suite_id, "source": str(arguments.source), "revision": source.revision(), "files_sha256": source.hashes,
            "published": facts.where, **(module.extra(arguments.name, source) if hasattr(module, "extra") else {})})
    except BaseException:
        folder.discard()
        raise
    dropped = f", {sum(manifest['dropped'].values())} rows left out {manifest['dropped']}" if manifest["dropped"] else ""
    media = f", {manifest['media']['files']} media files" if manifest["media"]["files"] else ""
    labels = manifest["labels"] if len(manifest["labels"]) <= 12 else f"{len(manifest['labels'])} different scores"
    print(f"{manifest['samples']} samples{media} in {out}{dropped}; labels {labels}")


def main(arguments=None):
    try:
        import_published(read_arguments(arguments))
    except Problem as problem:
        sys.exit(f"import-suite: {problem}")
    except (OSError, UnicodeError) as error:
        sys.exit(f"import-suite: {error}")


if __name__ == "__main__":
    main()
