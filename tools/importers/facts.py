"""What is published about a benchmark, and what an importer yields for a row."""
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence


class Problem(Exception):
    """A reason to refuse: one line for the user."""


@dataclass(frozen=True)
class Facts:
    """Published figures; empty where nothing is published."""

    where: str                                      # where the figures stand
    counts: Sequence[int] = ()                      # rows; several where several figures are published
    groups: Mapping[str, int] = field(default_factory=dict)   # rows of each group
    group_count: int = 0                            # number of groups
    labels: Mapping[str, int] = field(default_factory=dict)   # rows of each label
    one_label: bool = False                         # the published labels are all the same
    parts: bool = False                             # a part of the groups may be imported
    hint: str = ""                                  # added to a refusal for the count
    prompts_repeat: bool = False                    # samples with the same question and media of it are one cluster


@dataclass(frozen=True)
class Media:
    """A media file that is yet to be read; `where` names it in messages."""

    kind: str                                       # image, video, audio, molecule
    where: str
    read: Callable[[], bytes]
    path: Optional[Path] = None                     # where it can be linked instead of copied


@dataclass(frozen=True)
class Dropped:
    """A row that is no sample, and why; it counts as a row."""

    reason: str


@dataclass(frozen=True)
class BadLabel:
    """A row whose label is not one of the benchmark's."""

    where: str
    label: object
    known: str


@dataclass
class Options:
    """What the command line says besides the source."""

    only: str = ""                                  # llmbar: sets whose name ends so
    media: Optional[Path] = None                    # folder with media that the source lacks
    responses: Sequence[Path] = ()                  # pampa: responses to judge
    accepted: Sequence[str] = ()                    # surprises that are taken as they are
