"""The general importer: a mapping file (YAML) says what the columns of a table are; configs/mappings/README.md has
its keys. In `candidates: {chosen, rejected}` the better answer of a pair stands first or second by a hash of the pair's id.
"""
import difflib
import hashlib
from collections import Counter
from pathlib import Path

from .environment import need
from .facts import BadLabel, Dropped, Facts, Problem
from .folder import REPOSITORY
from .source import embedded, file_of, number, rows

KEYS = {"id", "title", "source", "protocol", "ties", "range", "prompt", "rows", "count", "media_folder", "columns", "labels"}
COLUMN_KEYS = {"id", "question", "images", "videos", "audio", "candidates", "label", "group", "cluster", "fields", "annotators",
               "annotator"}
MEDIA = {"images": "image", "videos": "video", "audio": "audio"}
PROTOCOLS = ("score", "pair", "label", "rank")


def listed(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def check_keys(values, known, where):
    if not isinstance(values, dict):
        raise Problem(f"{where} must be a map")
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            raise Problem(f"{where}: unknown key '{key}'" + (f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(sorted(known))}"))


def cell(row, column, where):
    """The cell of a column; a.b.0 goes into nested cells."""
    if isinstance(row, dict) and column in row:
        return row[column]
    found = row
    for part in str(column).split("."):
        if isinstance(found, dict) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            raise Problem(f"{where}: has no column '{column}'")
    return found


class Mapping:
    """A mapping file, checked."""

    def __init__(self, path):
        yaml = need("yaml", "mapping files")
        try:
            data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeError) as error:
            raise Problem(f"{path}: cannot be read: {error}") from error
        except yaml.YAMLError as error:
            raise Problem(f"{path}: broken YAML: {' '.join(str(error).split())}") from error
        check_keys(data, KEYS, str(path))
        for key in ("id", "protocol", "prompt", "rows", "columns"):
            if key not in data:
                raise Problem(f"{path}: '{key}' is missing")
        if data["protocol"] not in PROTOCOLS:
            raise Problem(f"{path}: 'protocol' is '{data['protocol']}', it must be one of {', '.join(PROTOCOLS)}")
        check_keys(data["columns"], COLUMN_KEYS, f"{path}: columns")
        self.path, self.data, self.columns = Path(path), data, data["columns"]
        if not self.columns.get("candidates"):
            raise Problem(f"{path}: 'columns.candidates' is missing")
        votes = [key for key in ("label", "annotators") if key in self.columns]
        chosen = isinstance(self.columns["candidates"], dict)
        if chosen:
            check_keys(self.columns["candidates"], {"chosen", "rejected"}, f"{path}: columns.candidates")
            if data["protocol"] != "pair" or votes or len(self.columns["candidates"]) != 2:
                raise Problem(f"{path}: 'candidates: {{chosen, rejected}}' is for protocol pair, without 'label' and 'annotators'")
        elif not votes:
            raise Problem(f"{path}: 'columns' needs 'label' or 'annotators'")
        if "annotator" in self.columns and not ("id" in self.columns and "label" in self.columns):
            raise Problem(f"{path}: 'columns.annotator' needs 'columns.id' and 'columns.label': one row is one vote on an item")

    def facts(self):
        count = self.data.get("count")
        return Facts(where=str(self.path), counts=() if count is None else (count,))

    def suite_yaml(self):
        prompt = str(self.data["prompt"])
        beside = self.path.resolve().parent / prompt
        if beside.is_file() and not (REPOSITORY / prompt).is_file():
            prompt = str(beside)
        lines = [f"# Made by tools/import-suite --mapping {self.path.name}."]
        for key in ("id", "title", "source", "protocol", "ties", "range"):
            if key in self.data:
                value = self.data[key]
                lines.append(f"{key}: {value if isinstance(value, list) or key == 'protocol' else quoted(value)}")
        return "\n".join([*lines, f"prompt: {quoted(prompt)}"]) + "\n"

    def samples(self, source, options):
        if isinstance(self.columns["candidates"], dict):
            yield from self._pairs(source, options)
        elif "annotator" in self.columns:
            yield from self._joined_votes(source, options)
        else:
            for index, (where, row) in enumerate(self._rows(source)):
                yield self._labelled(self._item(row, where, index, source, options), row, where)

    def _rows(self, source):
        return rows(source, [name for pattern in listed(self.data["rows"]) for name in source.find(str(pattern))])

    def _item(self, row, where, index, source, options):
        """A sample without its label."""
        sample = {"id": f"{index:06d}"}
        for key in ("id", "question", "group", "cluster"):
            if key in self.columns:
                value = cell(row, self.columns[key], where)
                sample[key] = "" if value is None else value if key == "question" else str(value)
        if "fields" in self.columns:
            sample["fields"] = {name: cell(row, column, where) for name, column in self.columns["fields"].items()}
        sample["media"] = self._media(self.columns, row, where, source, options)
        if isinstance(self.columns["candidates"], list):
            sample["candidates"] = [self._candidate(entry, row, where, source, options) for entry in self.columns["candidates"]]
        return sample

    def _candidate(self, entry, row, where, source, options):
        if not isinstance(entry, dict):
            return {"text": cell(row, entry, where)}
        check_keys(entry, {"text", *MEDIA}, f"{self.path}: columns.candidates")
        candidate = {"media": self._media(entry, row, where, source, options)}
        if "text" in entry:
            candidate["text"] = cell(row, entry["text"], where)
        return candidate

    def _media(self, columns, row, where, source, options):
        media = []
        for key, kind in MEDIA.items():
            for column in listed(columns.get(key)):
                for value in listed(cell(row, column, where)) or [None]:
                    if isinstance(value, str) and value and len(value) < 1024:
                        folder = str(self.data.get("media_folder", "")).strip("/")
                        media.append(file_of(kind, source, options, (f"{folder}/{value}" if folder else value, value), where))
                    else:
                        media.append(embedded(kind, value, f"{where}, {column}"))
        return media

    def _meaning(self, value, where):
        """The label that a cell means, or BadLabel."""
        if "labels" in self.data:
            meanings = {str(key): meaning for key, meaning in self.data["labels"].items()}
            if str(value) not in meanings:
                return BadLabel(where, value, ", ".join(meanings))
            value = meanings[str(value)]
        if self.data["protocol"] == "score":
            found = number(value, where, "the label")
            low, high = self.data.get("range", [1, 5])
            return found if low <= found <= high else BadLabel(where, value, f"numbers from {low} to {high}")
        return BadLabel(where, value, "not empty") if value in (None, "") else str(value)

    def _combined(self, votes):
        """The label of several votes: their mean for scores, else the most frequent; None where two are equally frequent."""
        if self.data["protocol"] == "score":
            return sum(votes) / len(votes)
        counts = Counter(votes).most_common(2)
        if len(counts) == 2 and counts[0][1] == counts[1][1]:
            return "tie" if self.data["protocol"] == "pair" and self.data.get("ties", "allowed") == "allowed" else None
        return counts[0][0]

    def _labelled(self, sample, row, where):
        annotators = {}
        for name, column in self.columns.get("annotators", {}).items():
            value = cell(row, column, where)
            if value in (None, ""):
                continue  # this one did not vote on this item
            vote = self._meaning(value, where)
            if isinstance(vote, BadLabel):
                return vote
            annotators[name] = vote
        if "label" in self.columns:
            sample["human"] = self._meaning(cell(row, self.columns["label"], where), where)
            if isinstance(sample["human"], BadLabel):
                return sample["human"]
        return self._with_votes(sample, annotators, where)

    def _with_votes(self, sample, annotators, where):
        if "human" not in sample:
            if not annotators:
                return Dropped("nobody voted")
            sample["human"] = self._combined(list(annotators.values()))
            if sample["human"] is None:
                return Dropped("the votes have no majority")
        if annotators:
            sample["annotators"] = annotators
        return sample

    def _joined_votes(self, source, options):
        """Rows of single votes; an item is what stands in the first row with its id."""
        items = {}
        for index, (where, row) in enumerate(self._rows(source)):
            key = str(cell(row, self.columns["id"], where))
            who = str(cell(row, self.columns["annotator"], where))
            vote = self._meaning(cell(row, self.columns["label"], where), where)
            if isinstance(vote, BadLabel):
                yield vote
                continue
            if key not in items:
                items[key] = (where, self._item(row, where, index, source, options), {})
            if who in items[key][2]:
                raise Problem(f"{where}: '{who}' votes on item '{key}' a second time")
            items[key][2][who] = vote
        for where, sample, annotators in items.values():
            yield self._with_votes(sample, annotators, where)

    def _pairs(self, source, options):
        for index, (where, row) in enumerate(self._rows(source)):
            item = self._item(row, where, index, source, options)
            chosen, rejected = (listed(cell(row, self.columns["candidates"][key], where)) for key in ("chosen", "rejected"))
            if not chosen or not rejected:
                yield Dropped("no chosen or no rejected answer")
                continue
            for i, better in enumerate(chosen):
                for j, worse in enumerate(rejected):
                    name = f"{item['id']}/{i}-{j}"
                    first = hashlib.sha256(name.encode()).digest()[0] % 2 == 0
                    yield {**item, "id": name, "cluster": item.get("cluster", item["id"]), "media": list(item["media"]),
                           "candidates": [{"text": text} for text in ((better, worse) if first else (worse, better))],
                           "human": "A" if first else "B"}


def quoted(value):
    """A YAML scalar that is text whatever it looks like."""
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
