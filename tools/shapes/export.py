"""Writes the checkpoint folder from a training state, through the Hugging Face class that it is a checkpoint of.

    python tools/shapes/export.py --state FILE [--output configs/judges/shapes-judge]
"""

import argparse
import json
import pathlib

import torch
import transformers

import chat
import evaluate
import model
import tokens

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a judge.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PREPROCESSOR = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "processor_class": "Qwen2_5_VLProcessor",
    "min_pixels": 3136,
    "max_pixels": 200704,
    "patch_size": 14,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}


def make_config(tokenizer):
    """The configuration of the whole model, as transformers knows it."""
    text = dict(model.CONFIG)
    sections = text.pop("mrope_section")
    return transformers.Qwen2_5_VLConfig(
        **text,
        hidden_act="silu",
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        use_sliding_window=False,
        rope_scaling={"type": "mrope", "mrope_section": sections},
        vision_config=model.VISION
        | {"hidden_act": "silu", "in_channels": 3, "tokens_per_second": 2, "out_hidden_size": text["hidden_size"]},
        bos_token_id=tokenizer.token_to_id("<|endoftext|>"),
        eos_token_id=tokenizer.token_to_id("<|im_end|>"),
        pad_token_id=tokenizer.token_to_id("<|endoftext|>"),
        image_token_id=tokenizer.token_to_id("<|image_pad|>"),
        video_token_id=tokenizer.token_to_id("<|video_pad|>"),
        vision_start_token_id=tokenizer.token_to_id("<|vision_start|>"),
        vision_end_token_id=tokenizer.token_to_id("<|vision_end|>"),
        vision_token_id=tokenizer.token_to_id("<|vision_pad|>"),
        torch_dtype="bfloat16",
    )


def hugging_face_model(judge, tokenizer, dtype):
    """The reference class with the weights of `judge`."""
    reference = transformers.Qwen2_5_VLForConditionalGeneration(make_config(tokenizer))
    missing, unexpected = reference.load_state_dict(judge.state_dict(), strict=False)
    if set(missing) - {"lm_head.weight"} or unexpected:
        raise SystemExit(f"the training model and the reference class differ: {missing} {unexpected}")
    reference.tie_weights()
    return reference.to(dtype).eval()


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def tokenizer_config(tokenizer):
    added = {
        str(tokenizer.token_to_id(text)): {
            "content": text,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": True,
        }
        for text in tokens.SPECIAL
    }
    return {
        "tokenizer_class": "Qwen2Tokenizer",
        "processor_class": "Qwen2_5_VLProcessor",
        "added_tokens_decoder": added,
        "additional_special_tokens": tokens.SPECIAL[1:],
        "add_prefix_space": False,
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "unk_token": None,
        "clean_up_tokenization_spaces": False,
        "errors": "replace",
        "split_special_tokens": False,
        "model_max_length": 2048,
        "chat_template": CHAT_TEMPLATE,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--state", type=pathlib.Path, required=True, help="state.pt of a training run")
    parser.add_argument("--output", type=pathlib.Path, default=chat.ROOT / "configs" / "judges" / "shapes-judge")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    judge, tokenizer = evaluate.load_judge(arguments.state, None)
    folder = arguments.output
    reference = hugging_face_model(judge, tokenizer, torch.bfloat16)
    reference.generation_config = transformers.GenerationConfig(
        do_sample=False,
        bos_token_id=reference.config.bos_token_id,
        eos_token_id=[reference.config.eos_token_id, reference.config.bos_token_id],
        pad_token_id=reference.config.pad_token_id,
    )
    reference.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", tokenizer_config(tokenizer))
    write_json(folder / "chat_template.json", {"chat_template": CHAT_TEMPLATE})
    write_json(folder / "preprocessor_config.json", PREPROCESSOR)


if __name__ == "__main__":
    main()
