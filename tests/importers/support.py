"""What the tests of the importers share: running the command, tiny media, files in the published layouts."""
import contextlib
import io
import json
import os
import pathlib
import struct
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

try:
    import pyarrow
    import pyarrow.parquet
except ImportError:
    pyarrow = None

from importers import main  # noqa: E402

os.environ["ASSIZE_IN_IMPORT_VENV"] = "1"  # never make an environment from a test
needs_pyarrow = unittest.skipUnless(pyarrow, "this Python has no pyarrow")


def png(number):
    """A picture of one pixel, another one for every number below 2**24."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    pixel = bytes([0, number >> 16 & 255, number >> 8 & 255, number & 255])
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(pixel))
            + chunk(b"IEND", b""))


def wav(number):
    """A sound of one sample, another one for every number below 2**15."""
    return (b"RIFF" + struct.pack("<I", 38) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16) + b"data"
            + struct.pack("<Ih", 2, number))


def mp4(number):
    """The head of an MP4 file: enough to be known as one."""
    return struct.pack(">I", 16) + b"ftypisom" + struct.pack(">I", number)


class ImporterTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.source = self.folder / "source"
        self.out = self.folder / "out"
        self.source.mkdir()

    def write(self, name, data):
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def write_json_lines(self, name, rows):
        return self.write(name, "".join(json.dumps(row) + "\n" for row in rows))

    def write_parquet(self, name, rows):
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)

    def run_command(self, *arguments):
        """What `tools/import-suite ARGUMENTS` prints and returns, run in this process."""
        output, errors, code = io.StringIO(), io.StringIO(), 0
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            try:
                main.main([str(argument) for argument in arguments])
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 1
                errors.write("" if isinstance(stop.code, int) else f"{stop.code}\n")
        return subprocess.CompletedProcess(arguments, code, output.getvalue(), errors.getvalue())

    def imports(self, name, *arguments, source=None):
        """Runs an import that must work; returns its samples. Its suite.yaml counts them and its media exist."""
        outcome = self.run_command(name, source or self.source, self.out, *arguments)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        return self.result()

    def result(self):
        samples = [json.loads(line) for line in (self.out / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
        self.manifest = json.loads((self.out / "manifest.json").read_text(encoding="utf-8"))
        self.suite_yaml = (self.out / "suite.yaml").read_text(encoding="utf-8")
        self.assertIn(f"\ncount: {len(samples)}\n", self.suite_yaml)
        self.assertIn("\nsamples: samples.jsonl\n", self.suite_yaml)
        self.assertEqual(self.manifest["samples"], len(samples))
        names = {name for sample in samples for holder in [sample, *sample["candidates"]]
                 for key in ("images", "audio", "videos", "molecules") for name in holder.get(key, [])}
        stored = set()
        for path in (self.out / "media").glob("*"):
            if path.suffix == ".tar":
                with tarfile.open(path) as archive:
                    stored |= {f"media/{path.name}/{name}" for name in archive.getnames()}
            elif path.suffix != ".index":
                stored.add(f"media/{path.name}")
        self.assertEqual(names, stored)
        self.assertEqual(self.manifest["media"]["files"], len(stored))
        self.check_with_assize()
        return samples

    def medium(self, name):
        """The bytes of a medium of the suite, in an archive as its index says."""
        if ".tar/" not in name:
            return (self.out / name).read_bytes()
        archive, member = name.split(".tar/")
        for line in (self.out / f"{archive}.tar.index").read_text().splitlines():
            offset, size, found = line.split(" ", 2)
            if found == member:
                return (self.out / f"{archive}.tar").read_bytes()[int(offset):int(offset) + int(size)]
        raise AssertionError(f"{name} is not in the index")

    def check_with_assize(self):
        """Lets assize itself read the suite: it plans its calls, or names the media that it has no judge for."""
        program = os.environ.get("ASSIZE_PROGRAM")
        if not program:
            return
        (self.folder / "table.yaml").write_text("default: {text: x}\n")
        job = self.folder / "job.yaml"
        job.write_text(f"kind: evaluate\njudge: {{fake: table.yaml, id: j}}\nsuites: [out]\noutput: {self.folder}/run\n")
        outcome = subprocess.run([program, "check", str(job)], capture_output=True, text=True, check=False)
        text = outcome.stdout + outcome.stderr
        if outcome.returncode:
            self.assertRegex(text, r"^assize: \S*: suite '\S*' cannot be judged by this build: its prompt shows (audio|video|molecule)")
            self.assertEqual(len(text.splitlines()), 1, text)
        else:
            self.assertRegex(text, rf" {self.manifest['samples']} ")
        for path in (job, self.folder / "table.yaml"):
            path.unlink()

    def refuses(self, name, *words, arguments=()):
        """Runs an import that must be refused in one line with these words, and leave nothing behind."""
        outcome = self.run_command(name, self.source, self.out, *arguments)
        self.assertNotEqual(outcome.returncode, 0)
        self.assertEqual(len(outcome.stderr.strip().splitlines()), 1, outcome.stderr)
        for word in words:
            self.assertIn(str(word), outcome.stderr)
        self.assertFalse(self.out.exists())
        self.assertEqual([path.name for path in self.folder.iterdir()], ["source"])
