"""Speech quality (NISQA, BVCC, SOMOS) and speaker similarity (VoxSim): mean opinion scores of recordings.

NISQA:  NISQA_TEST_X/NISQA_TEST_X_file.csv, columns filepath_deg and mos, recordings below NISQA_TEST_X/.
BVCC:   main/DATA/sets/test_mos_list.txt, lines "sysX-uttY.wav,mos", recordings in main/DATA/wav, people's means of the systems in
        main/DATA/mydata_system.csv. The challenge's list is longer than what can be had without the Blizzard recordings.
SOMOS:  training_files/split1/clean/test_mos_list.txt, a header, then "file.wav,mos", recordings in audios/, test_system.csv.
VoxSim: voxsim_test_list.txt, lines "wav1,wav2,same speaker,…,score", recordings of VoxCeleb1 (wav/, dev/wav/ or test/wav/).
"""
from pathlib import PurePosixPath

from .facts import Facts, Problem
from .source import file_of, need_fields, number, table_rows

NISQA_SETS = {"FOR": 240, "LIVETALK": 232, "P501": 240}
SUITES = {
    "nisqa": Facts(where="the NISQA corpus's test sets", counts=(712,), groups=NISQA_SETS),
    "bvcc": Facts(where="742: Flex-Judge's paper; 1066: VoiceMOS Challenge 2022", counts=(742, 1066),
                  hint="; --accept media keeps the rows whose recordings you have"),
    "somos": Facts(where="SOMOS's README", counts=(3000,), group_count=200),
    "voxsim": Facts(where="VoxSim's test list", counts=(2776,)),
}


def list_lines(source, name):
    """The cells of the lines of a list without header; (place, cells)."""
    for index, line in enumerate(source.text(name).splitlines(), 1):
        if line.strip():
            yield f"{name}:{index}", [cell.strip() for cell in line.split(",")]


def nisqa(source, options):
    for group in NISQA_SETS:
        (name,) = source.find(f"NISQA_TEST_{group}_file.csv")[:1]
        folder = PurePosixPath(name).parent
        for index, (where, row) in enumerate(table_rows(source, name)):
            need_fields(row, ("filepath_deg", "mos"), where)
            names = (str(folder / row["filepath_deg"]), f"NISQA_TEST_{group}/{row['filepath_deg']}")
            yield {"id": f"{group}-{index:03d}", "group": group,
                   "candidates": [{"media": [file_of("audio", source, options, names, where)]}],
                   "human": number(row["mos"], where, "mos")}


def mean_scores(source, options, list_pattern, audio_folder, header, system_of):
    """A list of recordings with their mean scores; the group is the system that made the recording."""
    (name,) = source.find(list_pattern)[:1]
    root = PurePosixPath(name[:-len(list_pattern)])
    for index, (where, cells) in enumerate(list_lines(source, name)):
        if header and index == 0:
            continue
        if len(cells) != 2:
            raise Problem(f"{where}: must hold a file name and a score")
        stem = PurePosixPath(cells[0]).stem
        names = (str(root / audio_folder / cells[0]), cells[0])
        yield {"id": stem, "group": system_of(stem), "candidates": [{"media": [file_of("audio", source, options, names, where)]}],
               "human": number(cells[1], where, "the score")}


def voxsim(source, options):
    (name,) = source.find("voxsim_test_list.txt")[:1]
    for index, (where, cells) in enumerate(list_lines(source, name)):
        if len(cells) < 5 or cells[2] not in ("0", "1"):
            raise Problem(f"{where}: must hold two files, 0 or 1 for the same speaker, a further cell and a score")
        recordings = [file_of("audio", source, options, tuple(f"{folder}{cell}" for folder in ("wav/", "dev/wav/", "test/wav/", "")), where)
                      for cell in cells[:2]]
        yield {"id": f"{index:04d}", "group": "same speaker" if cells[2] == "1" else "different speakers", "media": recordings,
               "candidates": [{"text": "Both recordings are of the same speaker."}], "human": number(cells[4], where, "the score")}


def samples(name, source, options):
    if name == "nisqa":
        return nisqa(source, options)
    if name == "bvcc":
        return mean_scores(source, options, "main/DATA/sets/test_mos_list.txt", "main/DATA/wav", False, lambda stem: stem.split("-")[0])
    if name == "somos":
        return mean_scores(source, options, "training_files/split1/clean/test_mos_list.txt", "audios", True,
                           lambda stem: stem.split("_")[-1])
    return voxsim(source, options)


def extra(name, source):
    """People's means of the systems, which are not the means of the listed recordings; for the manifest."""
    pattern = {"bvcc": "main/DATA/mydata_system.csv", "somos": "training_files/split1/clean/test_system.csv"}.get(name)
    if pattern is None:
        return {}
    (file,) = source.find(pattern)[:1]
    systems = {}
    for where, cells in list_lines(source, file):
        if len(cells) != 2:
            raise Problem(f"{where}: must hold a system and a score")
        try:
            systems[cells[0]] = float(cells[1])
        except ValueError:
            if systems:
                raise Problem(f"{where}: the score is {cells[1]!r}, it must be a number") from None
    return {"systems": systems}
