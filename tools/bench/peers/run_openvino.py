#!/usr/bin/env python3
"""OpenVINO GenAI, continuous batching. MODEL is a folder of `optimum-cli export openvino --weight-format fp32`.

--prime asks for one token of the first prompt before all others, so that they find their common beginning computed.
"""
import common


def add(parser):
    parser.add_argument("--cache-gib", type=int, default=3)
    parser.add_argument("--step-tokens", type=int, default=1024)
    parser.add_argument("--kv", default="f32", help="f32, f16 or u8")
    parser.add_argument("--prime", action="store_true")


def main():
    settings = common.options(__doc__, add)
    import numpy
    import openvino
    import openvino_genai as genai

    scheduler = genai.SchedulerConfig()
    scheduler.cache_size = settings.cache_gib
    scheduler.max_num_batched_tokens = settings.step_tokens
    scheduler.max_num_seqs = 256
    scheduler.enable_prefix_caching = True
    pipeline = genai.ContinuousBatchingPipeline(settings.model, scheduler, "CPU", {
        "INFERENCE_NUM_THREADS": settings.threads, "INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": settings.kv})

    def tensor(ids):
        return openvino.Tensor(numpy.array([ids], dtype=numpy.int64))

    def config(generations, tokens, sampled):
        made = genai.GenerationConfig()
        made.max_new_tokens = made.min_new_tokens = tokens
        made.ignore_eos = True
        made.num_return_sequences = generations
        made.do_sample = sampled
        if sampled:
            made.temperature, made.top_p, made.top_k = 0.7, 0.95, 2**31
        return made

    def generate(prompts, generations, tokens, sampled):
        if settings.prime:
            pipeline.generate([tensor(prompts[0])], [config(1, 1, False)])
        results = pipeline.generate([tensor(p) for p in prompts], [config(generations, tokens, sampled)] * len(prompts))
        return sum(len(ids) for result in results for ids in result.m_generation_ids)

    common.measure(settings, "openvino-genai", {"version": genai.__version__, "kv": settings.kv, "primed": settings.prime}, generate)


main()
