"""Writes a suite folder: suite.yaml, samples.jsonl, media/ and manifest.json; refuses what differs from the published facts."""
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from collections import Counter
from pathlib import Path

from .facts import BadLabel, Dropped, Media, Problem

REPOSITORY = Path(__file__).resolve().parents[2]
SUITES = REPOSITORY / "configs" / "suites"
MEDIA_KEYS = {"image": "images", "video": "videos", "audio": "audio", "molecule": "molecules"}


def suffix_of(kind, data):
    """The suffix of media by their first bytes; None where they are not of that kind."""
    riff = data[8:12] if data[:4] == b"RIFF" else b""
    signs = {
        "image": [(data[:8] == b"\x89PNG\r\n\x1a\n", "png"), (data[:3] == b"\xff\xd8\xff", "jpg"), (riff == b"WEBP", "webp"),
                  (data[:4] == b"GIF8", "gif"), (data[:2] == b"BM", "bmp")],
        "audio": [(riff == b"WAVE", "wav"), (data[:4] == b"fLaC", "flac"), (data[:4] == b"OggS", "ogg"),
                  (data[:3] == b"ID3" or data[:2] in (b"\xff\xfb", b"\xff\xf3"), "mp3"), (data[4:8] == b"ftyp", "m4a")],
        "video": [(data[4:8] == b"ftyp", "mp4"), (data[:4] == b"\x1aE\xdf\xa3", "webm"), (riff == b"AVI ", "avi"),
                  (data[:4] == b"GIF8", "gif")],
        "molecule": [(data[:1] == b"{", "json")],
    }[kind]
    return next((suffix for fits, suffix in signs if fits), None)


def make_text(holder, key, sample):
    """Text that the published file holds as a number or a truth value becomes text, written as Python writes it."""
    value = holder.get(key, "")
    if isinstance(value, (bool, int, float)):
        holder[key] = str(value)
    elif not isinstance(value, str):
        raise Problem(f"sample '{sample}': its {key} is {value!r}, it must be text")


class Shards:
    """Media in uncompressed tar archives of about a GiB, each with an index ("OFFSET SIZE MEMBER" a line): few large files."""

    LIMIT_BYTES = 1 << 30

    def __init__(self, folder):
        self._folder = folder
        self._tar = self._index = None
        self._count = 0

    def add(self, name, data):
        """Stores a file; returns its path in the suite folder."""
        if self._tar is None or self._tar.offset > self.LIMIT_BYTES:
            self.close()
            self._folder.mkdir(exist_ok=True)
            path = self._folder / f"{self._count:03d}.tar"
            self._count += 1
            self._tar = tarfile.open(path, "w:", format=tarfile.USTAR_FORMAT)
            self._index = open(f"{path}.index", "w", encoding="utf-8")
        member = tarfile.TarInfo(name)
        member.size = len(data)
        self._index.write(f"{self._tar.offset + tarfile.BLOCKSIZE} {len(data)} {name}\n")
        self._tar.addfile(member, io.BytesIO(data))
        return f"{self._folder.name}/{self._count - 1:03d}.tar/{name}"

    def close(self):
        if self._tar is not None:
            self._tar.close()
            self._index.close()
            self._tar = None


class SuiteFolder:
    """A suite folder in the making. It takes its final name when everything is checked; a refusal leaves nothing."""

    def __init__(self, out, accepted, prompts_repeat=False, shard_files=False):
        self._prompts_repeat = prompts_repeat
        self._shard_files = shard_files  # pictures and sounds that are files already go into shards too
        self.out = Path(out)
        self.accepted = set(accepted)
        if self.out.exists() and not (self.out / "manifest.json").is_file() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise Problem(f"{self.out}: exists and is not an imported suite; name another folder or remove it")
        self.partial = self.out.with_name(self.out.name + ".partial")
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        self._lines = open(self.partial / "samples.jsonl", "w", encoding="utf-8")
        self._text_hash = hashlib.sha256()
        self._media = {}  # SHA-256 -> (path in the folder, bytes)
        self._shards = Shards(self.partial / "media")
        self._ids = set()
        self.labels, self.groups, self.dropped = Counter(), Counter(), Counter()
        self.samples = 0

    def discard(self):
        self._lines.close()
        self._shards.close()
        shutil.rmtree(self.partial, ignore_errors=True)

    def add(self, item):
        """Takes what an importer yields for a row."""
        if isinstance(item, Dropped):
            self.dropped[item.reason] += 1
            return
        if isinstance(item, BadLabel):
            if "labels" not in self.accepted:
                raise Problem(f"{item.where}: has the label {item.label!r}, known labels are {item.known}; "
                              "--accept labels leaves such rows out and counts them")
            self.dropped["label is not a published one"] += 1
            return
        line, missing = self._with_media(item)
        make_text(line, "question", line["id"])
        for key in line.get("fields", {}):
            make_text(line["fields"], key, line["id"])
        for candidate in line["candidates"]:
            make_text(candidate, "text", line["id"])
        if missing:
            if "media" not in self.accepted:
                raise Problem(f"{missing.where}: the {missing.kind} is missing; the published data have all of them "
                              "(--media FOLDER names a further folder; --accept media leaves such rows out and counts them)")
            self.dropped[f"{missing.kind} is missing"] += 1
            return
        if self._prompts_repeat:
            asked = [line["question"], line.get("fields"), line.get("images"), line.get("videos"), line.get("audio")]
            line["cluster"] = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
        if line["id"] in self._ids:
            raise Problem(f"the id '{line['id']}' stands in the data twice: this is not the published data")
        self._ids.add(line["id"])
        self.samples += 1
        self.labels[str(line.get("human"))] += 1
        self.groups[line.get("group", "")] += 1
        text = json.dumps(line, ensure_ascii=False) + "\n"
        self._text_hash.update(text.encode())
        self._lines.write(text)

    def check(self, facts):
        """Compares with the published facts."""
        problems = []
        rows = self.samples + sum(self.dropped.values())
        kept = self.samples
        if facts.counts and "count" not in self.accepted and rows not in facts.counts and kept not in facts.counts:
            published = " or ".join(str(count) for count in facts.counts)
            problems.append(f"{rows} rows, published {published} ({facts.where}){facts.hint}")
        if facts.group_count and "count" not in self.accepted and len(self.groups) != facts.group_count:
            problems.append(f"{len(self.groups)} groups, published {facts.group_count} ({facts.where})")
        if facts.groups and "count" not in self.accepted:
            for group in sorted(set(facts.groups) | set(self.groups)):
                found, published = self.groups.get(group, 0), facts.groups.get(group)
                if found != published and not (facts.parts and found == 0):
                    problems.append(f"group '{group}' has {found} samples, published {published or 'no such group'} ({facts.where})")
        if "labels" not in self.accepted:
            if facts.labels and dict(self.labels) != dict(facts.labels):
                problems.append(f"labels {dict(sorted(self.labels.items()))}, published {dict(sorted(facts.labels.items()))} ({facts.where})")
            if len(self.labels) == 1 and not facts.one_label:
                problems.append(f"every label is '{next(iter(self.labels))}': this is not the published data")
        if not self.samples:
            problems.append("no samples")
        if problems:
            raise Problem("; ".join(problems) + "; --accept count or labels takes them as they are")

    def finish(self, suite_yaml, provenance):
        """Writes suite.yaml and the manifest and gives the folder its name. Returns the manifest."""
        self._lines.close()
        self._shards.close()
        media_hash = hashlib.sha256("".join(f"{digest}\n" for digest in sorted(self._media)).encode())
        manifest = dict(provenance)
        manifest.update({
            "samples": self.samples, "dropped": dict(self.dropped), "labels": dict(sorted(self.labels.items())),
            "groups": dict(sorted(self.groups.items())), "samples_sha256": self._text_hash.hexdigest(),
            "media": {"files": len(self._media), "bytes": sum(size for _, size in self._media.values()),
                      "sha256": media_hash.hexdigest()},
            "accepted": sorted(self.accepted)})
        (self.partial / "suite.yaml").write_text(suite_yaml, encoding="utf-8")
        (self.partial / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if self.out.exists():
            shutil.rmtree(self.out)
        os.replace(self.partial, self.out)
        return manifest

    def _with_media(self, sample):
        """The line of a sample with its media stored; and the first medium that is missing, if one is."""
        line, missing = dict(sample), None
        for holder in [line, *line["candidates"]]:
            for medium in holder.pop("media", []):
                path = self._store(medium)
                if path is None:
                    missing = missing or medium
                else:
                    holder.setdefault(MEDIA_KEYS[medium.kind], []).append(path)
        return line, missing

    def _store(self, medium):
        data = medium.read()
        if not data:
            return None
        suffix = suffix_of(medium.kind, data)
        if suffix is None:
            raise Problem(f"{medium.where}: is no {medium.kind} file of a known format (first bytes {data[:8]!r})")
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self._media:
            name = f"{digest[:24]}.{suffix}"
            self._media[digest] = (self._place(medium, name, data), len(data))
        return self._media[digest][0]

    def _place(self, medium, name, data):
        """Stores data that were in a cell in a shard; links a large file, or copies it where that cannot be."""
        if medium.path is None or (self._shard_files and medium.kind != "video"):
            return self._shards.add(name, data)
        target = self.partial / "media" / name
        target.parent.mkdir(exist_ok=True)
        try:
            os.link(medium.path.resolve(), target)
        except OSError:
            target.write_bytes(data)
        return f"media/{name}"


def shipped_suite(name):
    """The text of configs/suites/NAME.yaml."""
    return (SUITES / f"{name}.yaml").read_text(encoding="utf-8")


def with_values(suite_yaml, **values):
    """A suite.yaml with the values of some of its keys replaced or added."""
    for key, value in values.items():
        line = f"{key}: {value}"
        suite_yaml, found = re.subn(rf"(?m)^{key}:.*$", lambda _: line, suite_yaml)
        if not found:
            suite_yaml = suite_yaml.rstrip("\n") + f"\n{line}\n"
    return suite_yaml
