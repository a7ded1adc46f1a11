"""The tokenizer of the small judge: byte-level BPE with the pipeline and special tokens of Qwen2.5-VL."""

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

import chat
import protocols
import world

VOCABULARY = 512
SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
# Contractions, a word with at most one leading sign or space, one digit, signs, line ends, other white space.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def texts(count=3000):
    """Training text: prompts and replies of random tasks of the training split."""
    prompts = chat.load_prompts()
    rng = world.generator("tokenizer")
    for _ in range(count):
        for protocol in protocols.PROTOCOLS:
            task = protocols.item(rng, protocol, "train")
            yield chat.prompt_text(prompts, task) + protocols.reply(task)


def train():
    """A tokenizer of VOCABULARY ids at most; the special tokens come after the merges, as in Qwen2.5."""
    tokenizer = tokenizers.Tokenizer(models.BPE(byte_fallback=False))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL),
        min_frequency=20,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    # The chat marks are special tokens: nothing of them may enter the merges.
    plain = ("".join(_without_marks(text)) for text in texts())
    tokenizer.train_from_iterator(plain, trainer)
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def _without_marks(text):
    for mark in SPECIAL:
        text = text.replace(mark, "")
    return text
