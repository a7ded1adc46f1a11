#!/usr/bin/env python3
"""CTranslate2's Generator. MODEL is a folder of `ct2-transformers-converter --quantization float32`."""
import json
import os

import common


def add(parser):
    parser.add_argument("--batch", type=int, default=8, help="prompts a call")


def main():
    settings = common.options(__doc__, add)
    import ctranslate2

    generator = ctranslate2.Generator(settings.model, device="cpu", compute_type="float32", intra_threads=settings.threads)
    with open(os.path.join(settings.model, "vocabulary.json"), encoding="utf-8") as file:
        words = json.load(file)

    def generate(prompts, generations, tokens, sampled):
        made = 0
        for begin in range(0, len(prompts), settings.batch):
            part = [[words[id] for id in prompt] for prompt in prompts[begin:begin + settings.batch]]
            way = {"sampling_topk": 0, "sampling_topp": 0.95, "sampling_temperature": 0.7} if sampled else {"sampling_topk": 1}
            results = generator.generate_batch(part, max_length=tokens, min_length=tokens, num_hypotheses=generations,
                                               include_prompt_in_result=False, end_token=[words[0]], **way)
            made += sum(len(ids) for result in results for ids in result.sequences_ids)
        return made

    common.measure(settings, "ctranslate2", {"version": ctranslate2.__version__}, generate)


main()
