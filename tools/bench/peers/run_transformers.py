#!/usr/bin/env python3
"""transformers' generate(), prompts sorted by length and padded on the left. MODEL is a Hugging Face folder."""
import common


def add(parser):
    parser.add_argument("--batch", type=int, default=8, help="prompts a call")


def main():
    settings = common.options(__doc__, add)
    import torch
    import transformers

    torch.set_num_threads(settings.threads)
    model = transformers.AutoModelForCausalLM.from_pretrained(settings.model, torch_dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None

    @torch.inference_mode()
    def generate(prompts, generations, tokens, sampled):
        prompts = sorted(prompts, key=len)
        made = 0
        for begin in range(0, len(prompts), settings.batch):
            part = prompts[begin:begin + settings.batch]
            width = max(map(len, part))
            ids = torch.tensor([[0] * (width - len(p)) + p for p in part])
            mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in part])
            way = {"do_sample": False}
            if sampled:
                way = {"do_sample": True, "temperature": 0.7, "top_p": 0.95, "top_k": 0, "num_return_sequences": generations}
            out = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=tokens, min_new_tokens=tokens, pad_token_id=0, **way)
            made += out.shape[0] * (out.shape[1] - width)
        return made

    common.measure(settings, "transformers", {"version": transformers.__version__, "torch": torch.__version__}, generate)


main()
