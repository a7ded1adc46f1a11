"""From a judging task to the exact text a judge is given, by the prompt files that assize itself reads."""

import pathlib

import yaml

import protocols

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
# Training on pictures alone: as short as can be, without the chat format.
DESCRIBE = {"describe": f"{IMAGE}\n", "describe-two": f"1: {IMAGE}\n2: {IMAGE}\n"}


def load_prompts():
    """The prompt files of the protocols, by protocol."""
    folder = ROOT / "configs" / "prompts"
    return {
        protocol: yaml.safe_load((folder / f"shapes-{protocol}.yaml").read_text()) for protocol in protocols.PROTOCOLS
    }


def question(task):
    return protocols.QUESTIONS[task.protocol].format(caption=protocols.caption_text(task.captions[0]))


def user_text(prompt, question_text, candidates, image_count):
    """The user turn: `candidates` are texts, or None where the candidate is a picture."""
    text = prompt["user"].replace("{image}", IMAGE * image_count).replace("{question}", question_text)
    for number, candidate in enumerate(candidates, 1):
        text = text.replace(f"{{candidate_{number}_image}}", IMAGE)
        text = text.replace(f"{{candidate_{number}}}", candidate or "")
    return text


def chat(system, user):
    """The ChatML text up to where the judge starts to write."""
    return f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"


def prompt_text(prompts, task):
    """The whole prompt of a task; each `<|image_pad|>` stands for one picture, in the order of `task.pictures`."""
    prompt = prompts[task.protocol]
    if task.protocol == "pair-images":
        candidates = [None] * len(task.pictures)
    else:
        candidates = [protocols.caption_text(caption) for caption in task.captions]
    return chat(prompt["system"], user_text(prompt, question(task), candidates, len(task.pictures)))


def short_text(task):
    """For training: only the pictures and captions of the prompt, without the chat format and the question."""
    shown = "".join(f"{number}: {IMAGE}\n" for number in range(1, len(task.pictures) + 1))
    if task.protocol == "pair-images":
        return f"{shown}Caption: {protocols.caption_text(task.captions[0])}\n"
    captions = (f"{name}: {protocols.caption_text(caption)}\n" for name, caption in zip("ABCD", task.captions))
    return f"{IMAGE}\n{''.join(captions)}"
