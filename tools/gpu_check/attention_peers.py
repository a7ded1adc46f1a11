#!/usr/bin/env python3
"""Times PyTorch's causal attention on the shapes of rates.cpp's attention_prefill (28 query heads, 4 key-value heads of 128, bf16):
the median of 20 times ten launches between two events. Prints one JSON object; {"missing": why} where there is no PyTorch."""
import json
import statistics
import sys

HEADS, KV_HEADS, HEAD_DIM, LAUNCHES = 28, 4, 128, 10


def main():
    try:
        import torch
        from torch.nn.attention import SDPBackend, sdpa_kernel
    except ImportError as error:
        return {"missing": str(error)}
    if not torch.cuda.is_available():
        return {"missing": "PyTorch sees no GPU"}
    rows = []
    for tokens in (512, 2048, 4096):
        q, k, v = (torch.randn(1, heads, tokens, HEAD_DIM, device="cuda", dtype=torch.bfloat16)
                   for heads in (HEADS, KV_HEADS, KV_HEADS))
        for name in ("FLASH_ATTENTION", "CUDNN_ATTENTION"):
            try:
                with sdpa_kernel(getattr(SDPBackend, name)):
                    def attend():
                        torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
                    times = []
                    for i in range(23):
                        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                        begin.record()
                        for _ in range(LAUNCHES):
                            attend()
                        end.record()
                        end.synchronize()
                        times.append(begin.elapsed_time(end) / LAUNCHES)
            except RuntimeError as error:
                print(f"{name}: {error}", file=sys.stderr)
                continue
            rows.append({"shape": f"{tokens} tokens, causal", "backend": name.lower(), "ms": statistics.median(times[3:])})
    return {"torch": torch.__version__, "attention": rows}


print(json.dumps(main()))
