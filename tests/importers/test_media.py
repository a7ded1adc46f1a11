"""MJ-Bench, GenAI-Bench, the speech benchmarks and PAMPA: miniatures in the published layouts, with the published counts."""
import json
import unittest
import zipfile

from support import ImporterTest, mp4, needs_pyarrow, png, wav


def cell(number):
    return {"bytes": png(number % 20), "path": f"{number}.png"}


@needs_pyarrow
class MjBench(ImporterTest):
    def write_split(self, name, count, label, **more):
        self.write_parquet(name, [{"caption": f"c{i}", "image0": cell(i), "image1": cell(i + 1), "label": label(i), "info": f"kind{i % 3}", **more}
                                  for i in range(count)])

    def test_alignment(self):
        self.write_split("data/alignment-00000-of-00001.parquet", 724, lambda i: i % 2)
        samples = self.imports("mj-bench-alignment")
        self.assertEqual((samples[0]["human"], samples[1]["human"], samples[1]["group"]), ("A", "B", "kind1"))
        self.assertEqual(self.medium(samples[3]["candidates"][1]["images"][0]), png(4))

    def test_in_safety_the_first_is_always_better(self):
        self.write_split("data/safety-00000-of-00001.parquet", 574, lambda i: 0)
        self.imports("mj-bench-safety")
        self.assertEqual(self.manifest["labels"], {"A": 574})

    def test_the_releases_are_kept_apart(self):
        self.write_split("data/quality.parquet", 30, lambda i: 0, category="quality", subcategory="colour", model="flux")
        self.refuses("mj-bench-quality", "is of the release since 16 May 2025", "mj-bench-2025")
        samples = self.imports("mj-bench-2025")
        self.assertEqual(samples[0]["group"], "quality/colour")

    def test_refuses_another_count(self):
        self.write_split("data/quality.parquet", 30, lambda i: 0)
        self.refuses("mj-bench-quality", "30 rows, published 1121", "the suite mj-bench-2025")


@needs_pyarrow
class GenAiBench(ImporterTest):
    VOTES = {"image": [643, 663, 156, 273], "editing": [240, 263, 24, 392], "video": [325, 375, 138, 231]}

    def votes(self, task):
        names = ("leftvote", "rightvote", "tievote", "bothbad_vote")
        return [name for name, count in zip(names, self.VOTES[task]) for _ in range(count)]

    def test_pictures(self):
        rows = [{"prompt": f"p{i}", "left_image": cell(i), "right_image": cell(i + 1), "left_model": "a", "right_model": "b", "vote_type": vote}
                for i, vote in enumerate(self.votes("image"))]
        self.write_parquet("image_generation/test_v1-00000-of-00001.parquet", rows)
        samples = self.imports("genai-bench-image")
        self.assertEqual(self.manifest["labels"], {"A>B": 643, "B>A": 663, "A=B=Good": 156, "A=B=Bad": 273})
        self.assertEqual(len(samples[0]["candidates"][0]["images"]), 1)
        self.assertEqual(samples[0]["question"], "p0")
        rows[0]["vote_type"] = "both"
        self.write_parquet("image_generation/test_v1-00000-of-00001.parquet", rows)
        (self.folder / "out").rename(self.source / "former")
        self.refuses("genai-bench-image", "has the label 'both', known labels are leftvote")

    def test_edits_have_a_source_and_three_texts(self):
        rows = [{"source_prompt": "s", "target_prompt": "t", "instruct_prompt": "i", "source_image": cell(9), "left_output_image": cell(i),
                 "right_output_image": cell(i + 1), "vote_type": vote} for i, vote in enumerate(self.votes("editing"))]
        self.write_parquet("image_edition/test_v1-00000-of-00001.parquet", rows)
        samples = self.imports("genai-bench-editing")
        self.assertEqual(samples[0]["fields"], {"source_prompt": "s", "target_prompt": "t", "instruct_prompt": "i"})
        self.assertEqual(self.medium(samples[0]["images"][0]), png(9))

    def test_videos_come_from_a_further_folder(self):
        rows = [{"prompt": "p", "left_video": f"https://host/{i % 20}.mp4", "right_video": f"https://host/{(i + 1) % 20}.mp4", "vote_type": vote}
                for i, vote in enumerate(self.votes("video"))]
        self.write_parquet("video_generation/test_v1-00000-of-00001.parquet", rows)
        self.refuses("genai-bench-video", "left_video: 0.mp4: the video is missing", "--media FOLDER")
        for i in range(20):
            self.write(f"apart/{i}.mp4", mp4(i))
        samples = self.imports("genai-bench-video", "--media", self.source / "apart")
        self.assertEqual(self.medium(samples[2]["candidates"][1]["videos"][0]), mp4(3))


class Speech(ImporterTest):
    def test_nisqa(self):
        for name, count in (("FOR", 240), ("LIVETALK", 232), ("P501", 240)):
            folder = f"NISQA_Corpus/NISQA_TEST_{name}"
            lines = [f"{name},deg/{i % 10}.wav,{1 + i % 40 / 10}" for i in range(count)]
            self.write(f"{folder}/NISQA_TEST_{name}_file.csv", "\r\n".join(["db,filepath_deg,mos", *lines]) + "\r\n")
            for i in range(10):
                self.write(f"{folder}/deg/{i}.wav", wav(i))
        samples = self.imports("nisqa")
        self.assertEqual((samples[3]["group"], samples[3]["human"], samples[10]["human"]), ("FOR", 1.3, 2))
        self.assertEqual(self.medium(samples[3]["candidates"][0]["audio"][0]), wav(3))
        self.write("NISQA_Corpus/NISQA_TEST_FOR/deg/7.wav", b"")
        (self.folder / "out").rename(self.source / "former")
        self.refuses("nisqa", "NISQA_TEST_FOR_file.csv:9: NISQA_Corpus/NISQA_TEST_FOR/deg/7.wav: the audio is missing")

    def test_bvcc_as_far_as_it_can_be_had(self):
        lines = [f"sys{i % 10:02d}-utt{i:04d}.wav,{1 + i % 4}" for i in range(1066)]
        self.write("main/DATA/sets/test_mos_list.txt", "\n".join(lines))
        self.write("main/DATA/mydata_system.csv", "system,mean\nsys00,2.5\nsys01,3.25\n")
        self.refuses("bvcc", "the audio is missing", "--accept media")
        for i in range(742):
            self.write(f"main/DATA/wav/sys{i % 10:02d}-utt{i:04d}.wav", wav(i % 5))
        samples = self.imports("bvcc", "--accept", "media")
        self.assertEqual(len(samples), 742)
        self.assertEqual(self.manifest["dropped"], {"audio is missing": 324})
        self.assertEqual(self.manifest["systems"], {"sys00": 2.5, "sys01": 3.25})
        self.assertEqual((samples[13]["group"], samples[13]["human"]), ("sys03", 2))

    def test_somos_from_a_zip_archive(self):
        names = [f"text{i:04d}_{i % 200:03d}.wav" for i in range(3000)]
        with zipfile.ZipFile(self.source / "somos.zip", "w") as archive:
            archive.writestr("training_files/split1/clean/test_mos_list.txt",
                             "\n".join(["utteranceId,mean", *(f"{name},{1 + i % 5}" for i, name in enumerate(names))]))
            archive.writestr("training_files/split1/clean/test_system.csv", "000,3.5\n")
            for i, name in enumerate(names):
                archive.writestr(f"audios/{name}", wav(i % 10))
        samples = self.imports("somos", source=self.source / "somos.zip")
        self.assertEqual(len(self.manifest["groups"]), 200)
        self.assertEqual(samples[7]["group"], "007")
        self.assertEqual(self.medium(samples[7]["candidates"][0]["audio"][0]), wav(7))

    def test_voxsim(self):
        for i in range(6):
            self.write(f"dev/wav/id{i}.wav", wav(i))
        lines = [f"id{i % 5}.wav,id{i % 5 + 1}.wav,{i % 2},x,{1 + i % 6}" for i in range(2776)]
        self.write("voxsim_test_list.txt", "\n".join(lines))
        samples = self.imports("voxsim")
        self.assertEqual([self.medium(name) for name in samples[1]["audio"]], [wav(1), wav(2)])
        self.assertEqual((samples[1]["human"], samples[1]["group"]), (2, "same speaker"))
        self.write("voxsim_test_list.txt", "a.wav,b.wav,2,x,3\n")
        (self.folder / "out").rename(self.source / "former")
        self.refuses("voxsim", "voxsim_test_list.txt:1: must hold two files")


class Pampa(ImporterTest):
    def setUp(self):
        super().setUp()
        rows = [{"smiles": f"C{i}", "atoms": ["C"], "coordinates": [[[0, 0, i % 3]]], "answer": i % 2} for i in range(500)]
        self.write("pampa.json", json.dumps({"prompts": {}, "data_list": rows, "split": {"test": list(range(0, 407))}}))

    def responses(self, name, count=407):
        return self.write_json_lines(name, [{"SMILES": f"C{i}", "Label": i % 2, "Prediction": 1 if i % 4 else "None",
                                             "Response": "It is greasy.\nFinal answer: high"} for i in range(count)])

    def test_responses_are_cut_and_right_or_wrong(self):
        first, second = self.responses("run0.jsonl"), self.responses("run1.jsonl")
        samples = self.imports("pampa", "--responses", first, "--responses", second, source=self.source / "pampa.json")
        self.assertEqual(len(samples), 814)
        self.assertEqual([sample["human"] for sample in samples[:4]], [0, 1, 0, 1])
        self.assertEqual(samples[407]["id"], "000-01")
        self.assertEqual(samples[0]["candidates"], [{"text": "It is greasy."}])
        stored = json.loads(self.medium(samples[5]["molecules"][0]))
        self.assertEqual(stored, {"smiles": "C5", "atoms": ["C"], "coordinates": [[0, 0, 2]]})

    def test_refuses_what_does_not_belong_together(self):
        self.refuses("pampa", "needs --responses FILE")
        self.refuses("pampa", "300 responses, but the test split has 407", arguments=("--responses", self.responses("run.jsonl", 300)))
        self.write("pampa.json", "{}")
        self.refuses("pampa", "is not the published file", arguments=("--responses", self.responses("run.jsonl")))


if __name__ == "__main__":
    unittest.main()
