"""The command tools/import-suite."""
import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from importers import genai_bench, judgelm, llmbar, mj_bench, mllm_judge, pampa, pandalm, speech, vl_rewardbench  # noqa: E402
from importers.facts import Facts, Options, Problem  # noqa: E402
from importers.folder import REPOSITORY, SuiteFolder, shipped_suite, with_values  # noqa: E402
from importers.mapping import Mapping  # noqa: E402
from importers.source import Source  # noqa: E402

@dataclass
class Job:
    """One import: where the data are, what is published about them, and what is written."""

    source: Source
    facts: Facts
    suite_yaml: str
    out: Path
    extra: dict       # further entries of the manifest
    samples: Callable  # Options -> what the importer yields


MODULES = (llmbar, pandalm, judgelm, mllm_judge, vl_rewardbench, mj_bench, genai_bench, speech, pampa)
BENCHMARKS = {name: module for module in MODULES for name in module.SUITES}

DESCRIPTION = """Turns a published benchmark into a suite folder: suite.yaml, samples.jsonl, media/, manifest.json.

SOURCE is the published data, already here: a Hugging Face snapshot folder, a checkout, a zip archive or the one file that
holds the rows. Nothing is downloaded. OUT defaults to data/NAME beside configs/, where configs/suites/NAME.yaml looks.
What does not look like the published data is refused with the published figure beside the found one."""


def suites_text():
    lines = []
    for module in MODULES:
        lines.append(f"  {', '.join(module.SUITES)}\n      {module.__doc__.splitlines()[0]}")
    return "suites:\n" + "\n".join(lines) + "\n\nExample: tools/import-suite vl-rewardbench ~/snapshots/VL-RewardBench"


def read_arguments(arguments):
    parser = argparse.ArgumentParser(prog="import-suite", description=DESCRIPTION, epilog=suites_text(),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", metavar="NAME SOURCE [OUT]", nargs="*",
                        help="a suite from the list below, its data, the new folder; with --mapping: SOURCE OUT")
    parser.add_argument("--mapping", metavar="FILE", type=Path,
                        help="a file that says what the columns of a table are; examples and rules in configs/mappings/")
    parser.add_argument("--media", metavar="FOLDER", type=Path, help="folder with media that SOURCE lacks")
    parser.add_argument("--responses", metavar="FILE", type=Path, action="append", default=[],
                        help="pampa: a file with a model's responses; once for each run")
    parser.add_argument("--only", metavar="SET", default="", help="llmbar: only sets whose name ends in SET")
    parser.add_argument("--accept", action="append", choices=["count", "labels", "media"], default=[],
                        help="take another count, other labels or rows without media as they are; the manifest says so")
    return parser.parse_args(arguments)


def benchmark_job(arguments):
    """(items, facts, suite.yaml, folder, further entries of the manifest) of a published benchmark."""
    if not 2 <= len(arguments.words) <= 3:
        raise Problem("give NAME SOURCE [OUT]; --help lists the names")
    name, path, *out = arguments.words
    if name not in BENCHMARKS:
        raise Problem(f"unknown suite '{name}'; known: {', '.join(BENCHMARKS)}")
    for option, owner in (("only", "llmbar"), ("responses", "pampa")):
        if getattr(arguments, option) and name != owner:
            raise Problem(f"--{option} is for {owner}")
    module, source = BENCHMARKS[name], Source(path)
    suite_id = name + (f"-{arguments.only.split('/')[-1].lower()}" if arguments.only else "")
    yaml = with_values(shipped_suite(name), id=suite_id)
    extra = module.extra(name, source) if hasattr(module, "extra") else {}
    return Job(source, module.SUITES[name], yaml, Path(out[0]) if out else REPOSITORY / "data" / suite_id, extra,
               lambda options: module.samples(name, source, options))


def mapping_job(arguments):
    if len(arguments.words) != 2:
        raise Problem("give --mapping FILE SOURCE OUT")
    path, out = arguments.words
    mapping, source = Mapping(arguments.mapping), Source(path)
    extra = {"mapping": mapping.path.read_text(encoding="utf-8")}
    return Job(source, mapping.facts(), mapping.suite_yaml(), Path(out), extra, lambda options: mapping.samples(source, options))


def run(arguments):
    if arguments.media is not None and not arguments.media.is_dir():
        raise Problem(f"{arguments.media}: is no folder")
    job = mapping_job(arguments) if arguments.mapping else benchmark_job(arguments)
    options = Options(only=arguments.only, media=arguments.media, responses=arguments.responses, accepted=arguments.accept)
    folder = SuiteFolder(job.out, arguments.accept, job.facts.prompts_repeat, shard_files=arguments.mapping is None)
    try:
        for item in job.samples(options):
            folder.add(item)
        folder.check(job.facts)
        manifest = folder.finish(with_values(job.suite_yaml, samples="samples.jsonl", count=folder.samples), {
            "source": str(job.source.path), "revision": job.source.revision(), "files_sha256": job.source.hashes,
            "published": job.facts.where, **job.extra})
    except BaseException:
        folder.discard()
        raise
    dropped = f", {sum(manifest['dropped'].values())} rows left out {manifest['dropped']}" if manifest["dropped"] else ""
    media = f", {manifest['media']['files']} media files" if manifest["media"]["files"] else ""
    labels = manifest["labels"] if len(manifest["labels"]) <= 12 else f"{len(manifest['labels'])} different scores"
    print(f"{manifest['samples']} samples{media} in {job.out}{dropped}; labels {labels}")


def main(arguments=None):
    try:
        run(read_arguments(arguments))
    except Problem as problem:
        sys.exit(f"import-suite: {problem}")
    except (OSError, UnicodeError) as error:
        sys.exit(f"import-suite: {error}")


if __name__ == "__main__":
    main()
