#!/usr/bin/env python3
"""vLLM's CPU engine. MODEL is a Hugging Face folder; the first start compiles for minutes."""
import os

import common


def main():
    settings = common.options(__doc__)
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "3")
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    os.environ.setdefault("OMP_NUM_THREADS", str(settings.threads))
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    import vllm

    engine = vllm.LLM(model=settings.model, dtype="float32", enable_prefix_caching=True, max_model_len=1024, max_num_seqs=256,
                      max_num_batched_tokens=2048, skip_tokenizer_init=True)

    def generate(prompts, generations, tokens, sampled):
        sampling = vllm.SamplingParams(n=generations, temperature=0.7 if sampled else 0.0, top_p=0.95 if sampled else 1.0,
                                       max_tokens=tokens, ignore_eos=True, detokenize=False)
        outputs = engine.generate([{"prompt_token_ids": p} for p in prompts], sampling, use_tqdm=False)
        return sum(len(one.token_ids) for output in outputs for one in output.outputs)

    common.measure(settings, "vllm-cpu", {"version": vllm.__version__, "dtype": "float32"}, generate)


if __name__ == "__main__":
    main()
