#!/usr/bin/env python3
"""Makes the golden files of tests/text: strings, three small tokenizers, and the ids the `tokenizers` library gives.

  $(tools/python-env) tools/golden/tokenizer.py

writes tests/golden/tokenizer_*.json. With ASSIZE_PUBLISHED_DATA set, ids of the real Qwen2.5 tokenizer too
(tokenizer_ids_qwen25.json); without it that file is left as it is.

Strings use only characters that Unicode 14 assigns: the Oniguruma of Debian 12 and of this library know different
versions, and letters of later versions may be cut differently."""
import json
import os
import random
import unicodedata
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

OUT = Path(__file__).resolve().parents[2] / "tests" / "golden"
SEED = 20261124
EXPLICIT = 250  # strings whose ids are written out; the others have a hash

QWEN_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
              r"|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA_SPLIT = QWEN_SPLIT.replace(r"|\p{N}|", r"|\p{N}{1,3}|")

SCRIPTS = {
    "latin": (0x61, 0x7A), "latin-extended": (0xC0, 0x24F), "greek": (0x386, 0x3CE), "cyrillic": (0x400, 0x45F),
    "armenian": (0x531, 0x587), "hebrew": (0x5B0, 0x5EA), "arabic": (0x620, 0x669), "devanagari": (0x900, 0x96F),
    "bengali": (0x980, 0x9EF), "gurmukhi": (0xA01, 0xA6F), "gujarati": (0xA81, 0xAEF), "tamil": (0xB82, 0xBEF),
    "telugu": (0xC00, 0xC6F), "kannada": (0xC80, 0xCEF), "malayalam": (0xD00, 0xD6F), "sinhala": (0xD81, 0xDEF),
    "thai": (0xE01, 0xE59), "lao": (0xE81, 0xED9), "tibetan": (0xF00, 0xFBC), "myanmar": (0x1000, 0x1049),
    "georgian": (0x10A0, 0x10FF), "jamo": (0x1100, 0x11FF), "ethiopic": (0x1200, 0x137C), "cherokee": (0x13A0, 0x13F5),
    "khmer": (0x1780, 0x17E9), "mongolian": (0x1810, 0x1878), "hiragana": (0x3041, 0x3096),
    "katakana": (0x30A1, 0x30FA), "han": (0x4E00, 0x9FFC), "hangul": (0xAC00, 0xD7A3), "gothic": (0x10330, 0x1034A),
    "mathematical": (0x1D400, 0x1D7FF), "han-b": (0x20000, 0x2A6DD),
}
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\r", "\v", "\f", "\u0085", "\u00a0", "\u1680", "\u180e", "\u2003", "\u2028",
          "\u2029", "\u202f", "\u3000", "\u200b", "\ufeff"]
CODE = ["int main(void) {{\n\treturn {a};\n}}\n", "for {x} in range({a}, {b}):\n    {y} += {x}**2  # sum\n",
        "SELECT {x}, COUNT(*) FROM {y} WHERE {x} >= {a} GROUP BY {x};", "<div class=\"{x}\">{y}&nbsp;</div>\r\n",
        "let {x} = {y}.map(v => v * {a}.{b}e-3) ?? null;", "{{\"{x}\": [{a}, {b}, null], \"{y}\": true}}",
        "template <class {x}>\nauto {y}({x}&& v) -> decltype(v) {{ return v; }}", "#define {x} 0x{a:X}u\\\n  | {b}ULL\n",
        "$ grep -rn '{x}' ./{y} | awk '{{print $2}}' > /dev/null 2>&1", "\\frac{{{x}_{{{a}}}}}{{{y}^{b}}} \\leq \\infty"]
CONTRACTIONS = ["it's", "IT'S", "we'Re", "don't", "DON'T", "I'm", "they'll", "he'D", "y'all've", "'s", "''s", "x'\u017f",
                "'\u017f", "rock'n'roll", "o'clock", "'tis", "we\u2019re", "'ll'd've", "K'm \u212a'M"]
EMOJI = ["\U0001F600", "\U0001F468\u200d\U0001F469\u200d\U0001F467", "\U0001F44D\U0001F3FD", "\U0001F1E9\U0001F1EA", "\u2764\ufe0f",
         "1\ufe0f\u20e3", "\U0001F3F4\u200d\u2620\ufe0f", "\u00a9", "\u2122", "\u2192", "\u221e", "\u2588\u2591", "\U0001F9D1\U0001F3FF\u200d\U0001F680"]
COMPOSING = ["e\u0301", "A\u030a", "\u212b", "\u1100\u1161\u11a8", "\u0958", "o\u0323\u0302", "\u1e69", "s\u0323\u0307", "\ufb01",
             "\u0344", "q\u0307\u0323", "\u2126", "\uf900", "\ufa30", "n\u0303o", "\u0b92\u0bd7", "\u0cc6\u0cc2", "\u30ab\u3099"]
SPECIALS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_end", "im_end|>", "<|im_start|><|im_end|>", "<think>",
            "</think>", "<|image_pad|>", "<|vision_start|><|image_pad|><|vision_end|>", "<|im_<|im_end|>", "<tool_call>",
            "<|begin_of_text|>", "<|eot_id|>", "<mol>", "mask", "[STRIP]", "caf\u00e9", "cafe\u0301", "<|", "<|<|im_end|>|>"]
INVALID = ["80", "c0af", "c3", "e28c", "f09f98", "f4908080", "eda080", "ff", "fe", "c328", "e2282a", "f0288cbc", "f8888080",
           "61c3", "c3a9c3", "e0809f", "f0808080", "efbfbd", "00ff00", "c2c2a0", "f09f9880f09f98"]


def assigned(c):
    return unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")


def word(rng, script, longest=9):
    low, high = SCRIPTS[script]
    letters = []
    while len(letters) < rng.randint(1, longest):
        c = rng.randint(low, high)
        if assigned(c):
            letters.append(chr(c))
    text = "".join(letters)
    return rng.choice([text, text, text.capitalize(), text.upper()]) if script in ("latin", "greek", "cyrillic") else text


SYLLABLES = "ka to ri sun mel dor fen is ing the er an re on at pre con ness ly tion un able st ch qu ea ou".split()


def prose_word(rng):
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(1, 4)))


def prose(rng, words):
    text = " ".join(prose_word(rng) for _ in range(words))
    return text.capitalize() + rng.choice([".", "!", "?", "...", ",", ":", ";", " -", "\n", ""])


def number(rng):
    return rng.choice([str(rng.randint(0, 10**rng.randint(1, 12))), f"{rng.random() * 1000:.{rng.randint(0, 6)}f}", f"{rng.randint(0, 10**9):,}",
                       "".join(chr(0x660 + rng.randint(0, 9)) for _ in range(4)), "\u00bd\u00b2\u2167\u2460", f"-{rng.randint(1, 99)}%",
                       "".join(chr(0x966 + rng.randint(0, 9)) for _ in range(3)), f"{rng.randint(1, 31)}.{rng.randint(1, 12)}.2026"])


def code(rng):
    return rng.choice(CODE).format(x=prose_word(rng), y=prose_word(rng), a=rng.randint(0, 9999), b=rng.randint(0, 99))


def controls(rng):
    return "".join(chr(rng.choice(list(range(32)) + list(range(127, 160)))) for _ in range(rng.randint(1, 6)))


def blanks(rng, longest):
    kind = rng.randint(0, 2)
    if kind == 0:
        return rng.choice(SPACES) * rng.randint(1, longest)
    return "".join(rng.choice(SPACES[:6] if kind == 1 else SPACES) for _ in range(rng.randint(1, longest)))


def one_of_all(rng):
    kind = rng.randint(0, 10)
    if kind == 0:
        return code(rng)
    if kind == 1:
        return number(rng)
    if kind == 2:
        return rng.choice(EMOJI)
    if kind == 3:
        return rng.choice(COMPOSING)
    if kind == 4:
        return rng.choice(SPECIALS)
    if kind == 5:
        return rng.choice(CONTRACTIONS)
    if kind == 6:
        return blanks(rng, 6)
    if kind == 7:
        return controls(rng)
    if kind == 8:
        return prose(rng, 3)
    return word(rng, rng.choice(list(SCRIPTS)))


def marks_of_another_unicode():
    """Characters that the library's NFC (Unicode 9) and Python's treat differently."""
    nfc = normalizers.NFC()
    return [chr(c) for c in range(0x300, 0x20000) if assigned(c)
            and nfc.normalize_str(f"a\u0301{chr(c)}\u0334") != unicodedata.normalize("NFC", f"a\u0301{chr(c)}\u0334")]


def make_strings(rng):
    """List of bytes; some are not UTF-8."""
    out = ["", " ", "  ", "a", "\n", " a", "a ", "\u00e9", "\x00", "'", "\u3000"]
    out += [code(rng) for _ in range(250)]
    out += [" ".join(number(rng) for _ in range(rng.randint(1, 4))) for _ in range(250)]
    for script in SCRIPTS:
        out += [rng.choice([" ", " ", "", ", ", "\u3002", "\u00b7"]).join(word(rng, script) for _ in range(rng.randint(1, 4))) for _ in range(20)]
    out += ["".join(rng.choice(EMOJI + [" "]) for _ in range(rng.randint(1, 4))) for _ in range(100)]
    out += ["".join(rng.choice(COMPOSING + ["", " ", "a"]) for _ in range(rng.randint(1, 5))) for _ in range(150)]
    out += [f"a{c}\u0334" if i % 2 else f"a\u0301{c}\u0334\u0301" for i, c in enumerate(marks_of_another_unicode())]
    out += [rng.choice(["", " "]) + rng.choice(CONTRACTIONS) + rng.choice(["", " ", "."]) + rng.choice(CONTRACTIONS) for _ in range(100)]
    out += [controls(rng) + rng.choice(["", "x", " y"]) for _ in range(100)]
    out += [blanks(rng, 12) + rng.choice(["", "x", "9", "!", "\u4e2d"]) + blanks(rng, 5) for _ in range(250)]
    out += [c * n + tail for c in (" ", "\n", "\t", "a", "\u3000", "-", "0", "\u4e2d", "ab", " \n") for n in (63, 64, 65, 257) for tail in ("", "z")]
    out += [blanks(rng, 2) + rng.choice(SPECIALS) + rng.choice(SPACES + ["", "x", "_", "9"]) + rng.choice(SPECIALS + [""]) for _ in range(250)]
    out += [prose(rng, rng.randint(1, 12)) for _ in range(250)]
    out += ["".join(one_of_all(rng) for _ in range(rng.randint(2, 4))) for _ in range(750)]
    strings = [s.encode() for s in out]
    for _ in range(150):
        strings.append(b"".join(rng.choice([bytes.fromhex(rng.choice(INVALID)), rng.choice([" ", "ok", "\u00e9", "\U0001F600", "\n"]).encode()])
                                for _ in range(rng.randint(1, 5))))
    for _ in range(100):
        strings.append(bytes(rng.randint(0, 255) for _ in range(rng.randint(1, 16))))
    return strings


def readable(data):
    return data.decode("utf-8", "replace")


def clean(text):
    return all(assigned(ord(c)) or c == "\ufffd" for c in text)


def fnv(data):
    h = 0x811C9DC5
    for b in data:
        h = ((h ^ b) * 0x01000193) & 0xFFFFFFFF
    return f"{h:08x}"


def ids_hash(ids):
    return fnv(b"".join(i.to_bytes(4, "little") for i in ids))


def added(start, rows):
    return [{"id": start + i, "content": c, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **flags}
            for i, (c, flags) in enumerate(rows)]


def train(pre, normalizer, vocab_size, corpus, alphabet, specials=()):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre
    if normalizer:
        tok.normalizer = normalizer
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, special_tokens=list(specials), show_progress=False))
    return json.loads(tok.to_str())


def small_qwen(corpus, alphabet):
    """Structure of Qwen2.5: NFC, Split, ByteLevel; merges as pairs; added tokens after the vocabulary."""
    pre = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN_SPLIT), "isolated", False),
                                   pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t = train(pre, normalizers.NFC(), 1500, corpus, alphabet)
    rows = [(c, {}) for c in ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")]
    rows += [("<think>", {"special": False}), ("</think>", {"special": False}), ("<tool_call>", {"special": False})]
    t["added_tokens"] = added(len(t["model"]["vocab"]), rows)
    return t


def small_smollm(corpus, alphabet):
    """Structure of SmolLM2: Digits, GPT-2 ByteLevel; no normaliser; special tokens first; some bytes have no token."""
    missing = {"\u0104", "\u0106", "\u0111"}  # bytes 4, 6 and 17
    corpus = [s for s in corpus if not set(s) & {"\x04", "\x06", "\x11"}]
    pre = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    return train(pre, None, 1500, corpus, [c for c in alphabet if c not in missing], ("<|endoftext|>", "<|im_start|>", "<|im_end|>"))


def small_llama(corpus, alphabet):
    """Structure of Llama 3: digits by three, ignore_merges, TemplateProcessing; merges as strings; added tokens with every flag."""
    pre = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA_SPLIT), "isolated", False),
                                   pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t = train(pre, None, 900, corpus, alphabet)
    model = t["model"]
    model["ignore_merges"] = True
    # Without these merges some tokens can only be reached as whole pieces.
    model["merges"] = [" ".join(m) for i, m in enumerate(model["merges"]) if i % 7]
    rows = [("<|begin_of_text|>", {}), ("<|end_of_text|>", {}), ("<|start_header_id|>", {}), ("<|end_header_id|>", {}), ("<|eot_id|>", {}),
            ("<mol>", {"lstrip": True}), ("[STRIP]", {"lstrip": True, "rstrip": True, "special": False}), ("mask", {"single_word": True}),
            ("caf\u00e9", {"normalized": True, "special": False}), ("<|im_end|>", {"rstrip": True})]
    t["added_tokens"] = added(len(model["vocab"]), rows)
    first = t["added_tokens"][0]
    t["normalizer"] = {"type": "NFC"}  # not so in Llama 3; here it makes "normalized" matter
    t["post_processor"] = {"type": "Sequence", "processors": [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
        {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": first["content"], "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
         "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
         "special_tokens": {first["content"]: {"id": first["content"], "ids": [first["id"]], "tokens": [first["content"]]}}}]}
    return t


def write(name, value):
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    (OUT / name).write_text(text + "\n", encoding="utf-8")
    size = (OUT / name).stat().st_size
    print(f"{name}: {size} bytes")
    assert size < 200_000


def golden(spec, strings, rng):
    """Ids with added tokens recognised ("parse") and without ("as_text"), and decoded texts of random ids."""
    out = {}
    for mode, table in (("parse", spec), ("as_text", {**spec, "added_tokens": [], "post_processor": None})):
        tok = Tokenizer.from_str(json.dumps(table))
        ids = [tok.encode(readable(s), add_special_tokens=False).ids for s in strings]
        picked = range(0, len(ids), max(1, len(ids) // EXPLICIT))
        out[mode] = {"hashes": " ".join(map(ids_hash, ids)), "explicit": {str(i): ids[i] for i in picked}}
    tok = Tokenizer.from_str(json.dumps(spec))
    size = tok.get_vocab_size()
    # The library takes added tokens outside of ASCII for byte-level spellings when it decodes; we do not.
    odd = {a["id"] for a in spec["added_tokens"] if not a["content"].isascii()}
    out["decode"] = []
    for _ in range(200):
        ids = [rng.randrange(size) if rng.random() < 0.5 else rng.randrange(300) for _ in range(rng.randint(1, 10))]
        ids = [i for i in ids if i not in odd]
        out["decode"].append({"ids": ids, "keep": tok.decode(ids, skip_special_tokens=False), "skip": tok.decode(ids, skip_special_tokens=True)})
    out["with_template"] = {s: tok.encode(s).ids for s in ("", "hello there")}
    return out


def main():
    rng = random.Random(SEED)
    strings = [s for s in make_strings(rng) if clean(readable(s))]
    assert len(strings) >= 3000, len(strings)
    rows = []
    for s in strings:
        try:
            rows.append(s.decode("utf-8"))
        except UnicodeDecodeError:
            rows.append({"hex": s.hex()})
    write("tokenizer_strings.json", rows)
    corpus = [prose(rng, 12) for _ in range(1500)] + [code(rng) for _ in range(400)] + [readable(s) for s in strings]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    for name, make in (("qwen", small_qwen), ("smollm", small_smollm), ("llama", small_llama)):
        spec = make(corpus, alphabet)
        write(f"tokenizer_small_{name}.json", spec)
        write(f"tokenizer_ids_{name}.json", golden(spec, strings, rng))
    data = os.environ.get("ASSIZE_PUBLISHED_DATA")
    if data:
        spec = json.loads((Path(data) / "tokenizers/qwen2.5/tokenizer.json").read_text(encoding="utf-8"))
        write("tokenizer_ids_qwen25.json", golden(spec, strings, rng))
    else:
        print("tokenizer_ids_qwen25.json: left as it is, ASSIZE_PUBLISHED_DATA is not set")


main()
