"""Published files as rows: a folder (a Hugging Face snapshot too), a zip archive or one file, without network."""
import base64
import binascii
import csv
import fnmatch
import hashlib
import io
import json
import os
import re
import zipfile
from pathlib import Path

from .environment import need
from .facts import Media, Problem

csv.field_size_limit(1 << 30)  # pictures in base64 stand in TSV cells


class Source:
    """Files below a folder or in a zip archive, by their POSIX names; a single file is a folder that holds only it."""

    def __init__(self, path):
        self.path = Path(path)
        self.hashes = {}  # name -> SHA-256 of every file of rows that was read
        self._zip = None
        self._names = self._known = None
        if not self.path.exists():
            raise Problem(f"{self.path}: does not exist")
        self.root = self.path
        if self.path.is_file():
            if zipfile.is_zipfile(self.path):
                self._zip = zipfile.ZipFile(self.path)
            else:
                self.root = self.path.parent
                self._names = [self.path.name]

    def names(self):
        if self._names is None:
            if self._zip:
                self._names = sorted(name for name in self._zip.namelist() if not name.endswith("/"))
            else:
                self._names = sorted((Path(folder) / name).relative_to(self.root).as_posix()
                                     for folder, _, names in os.walk(self.root) for name in names)
        return self._names

    def find(self, *patterns):
        """Names that fit the first pattern that any name fits, at the root or below."""
        for pattern in patterns:
            found = [name for name in self.names() if fnmatch.fnmatch("/" + name, "*/" + pattern)]
            if found:
                return found
        raise Problem(f"{self.path}: holds no file {' or '.join(patterns)}; is this the published layout?")

    def has(self, name):
        if self._zip or self.root != self.path:
            if self._known is None:
                self._known = set(self.names())
            return name in self._known
        return (self.root / name).is_file()

    def open(self, name):
        """A file of rows, open for reading in binary; its hash goes to the manifest."""
        if self._zip:
            data = self.read(name)
            self.hashes[name] = hashlib.sha256(data).hexdigest()
            return io.BytesIO(data)
        digest = hashlib.sha256()
        file = open(self.root / name, "rb")
        while block := file.read(1 << 20):
            digest.update(block)
        self.hashes[name] = digest.hexdigest()
        file.seek(0)
        return file

    def read(self, name):
        try:
            return self._zip.read(name) if self._zip else (self.root / name).read_bytes()
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise Problem(f"{self.path}: {name} cannot be read: {error}") from error

    def text(self, name):
        """A file of rows as text; its hash goes to the manifest."""
        data = self.read(name)
        self.hashes[name] = hashlib.sha256(data).hexdigest()
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Problem(f"{self.path}: {name} is not UTF-8: {error}") from error

    def revision(self):
        """The commit of a Hugging Face snapshot folder or of a git checkout, else "unknown"."""
        for part in reversed(self.path.resolve().parts):
            if re.fullmatch("[0-9a-f]{40}", part):
                return part
        for folder in [self.root.resolve(), *self.root.resolve().parents]:
            head = folder / ".git" / "HEAD"
            if head.is_file():
                text = head.read_text().strip()
                ref = folder / ".git" / text[5:] if text.startswith("ref: ") else None
                return ref.read_text().strip() if ref and ref.is_file() else (text if ref is None else "unknown")
        return "unknown"


def json_rows(source, name):
    """The rows of a JSON list, or of JSON lines; (place, row) each."""
    text = source.text(name)
    if name.endswith(".json"):
        try:
            rows = json.loads(text)
        except ValueError as error:
            raise Problem(f"{source.path}: {name}: broken JSON: {error}") from error
        if not isinstance(rows, list):
            raise Problem(f"{source.path}: {name}: must hold a list of rows")
        return [(f"{name}: row {index}", row) for index, row in enumerate(rows)]
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                rows.append((f"{name}:{number}", json.loads(line)))
            except ValueError as error:
                raise Problem(f"{source.path}: {name}:{number}: broken JSON: {error}") from error
    return rows


def table_rows(source, name):
    """The rows of a CSV or TSV file with a header; (place, row) each."""
    delimiter = "\t" if name.endswith((".tsv", ".tab")) else ","
    reader = csv.DictReader(io.StringIO(source.text(name), newline=""), delimiter=delimiter)
    for row in reader:
        if None in row or None in row.values():
            raise Problem(f"{source.path}: {name}:{reader.line_num}: has another number of cells than the header")
        yield f"{name}:{reader.line_num}", row


def parquet_rows(source, names):
    """The rows of parquet files, in the order of the names; (place, row) each. Media columns stay bytes."""
    parquet = need("pyarrow.parquet", "parquet files")
    for name in names:
        try:
            with source.open(name) as file:
                index = 0
                for batch in parquet.ParquetFile(file).iter_batches(batch_size=64):
                    for row in batch.to_pylist():
                        yield f"{name}: row {index}", row
                        index += 1
        except (OSError, ValueError) as error:  # pyarrow's errors are both
            raise Problem(f"{source.path}: {name}: broken parquet file: {error}") from error


def rows(source, names):
    """The rows of files of any of these kinds."""
    for name in names:
        if name.endswith(".parquet"):
            yield from parquet_rows(source, [name])
        elif name.endswith((".csv", ".tsv", ".tab")):
            yield from table_rows(source, name)
        elif name.endswith((".json", ".jsonl", ".ndjson")):
            yield from json_rows(source, name)
        else:
            raise Problem(f"{source.path}: {name}: rows are read from parquet, csv, tsv, json and jsonl files")


def need_fields(row, keys, where):
    """Refuses a row that lacks a field."""
    missing = [key for key in keys if not isinstance(row, dict) or key not in row]
    if missing:
        raise Problem(f"{where}: has no field {', '.join(missing)}; is this the published file?")


def number(value, where, key):
    """A finite number, also where the file has it as text; whole numbers stay whole."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = float("nan")
    if found != found or abs(found) == float("inf"):
        raise Problem(f"{where}: {key} is {value!r}, it must be a number")
    return int(found) if found == int(found) else found


def embedded(kind, value, where):
    """Media in a cell: bytes, Hugging Face's {"bytes", "path"}, or base64 text."""
    if isinstance(value, dict):
        value = value.get("bytes")
    if isinstance(value, str) and value:
        try:
            value = base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise Problem(f"{where}: its {kind} is neither bytes nor base64") from error
    return Media(kind, where, lambda: value)


def file_of(kind, source, options, names, where):
    """A media file under one of these names, in the source or in --media."""
    for name in names:
        if source.has(name):
            path = None if source._zip else source.root / name
            return Media(kind, f"{where}: {name}", lambda: source.read(name), path)
        if options.media is not None and (options.media / name).is_file():
            path = options.media / name
            return Media(kind, f"{where}: {name}", path.read_bytes, path)
    return Media(kind, f"{where}: {names[0]}", lambda: None)
