#!/usr/bin/env python3
"""Draws the test pictures of tests/golden/pixels and writes what the reference implementations make of them.

    $(tools/python-env) tools/golden/pixels.py            # pictures and pixels.json
    $(tools/python-env) tools/golden/pixels.py --published FOLDER   # also published.json: hashes of its media

pixels.json: after decoding (Pillow, convert("RGB")), after bicubic resizing (Pillow; torch on uint8), and
pixel_values of transformers' slow image processor and of the fast one's arithmetic. Images are compared by the
CRC-32 of their bytes; a few raw values stand beside it so that a difference can be looked at.
"""
import argparse
import io
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import PIL
import torch
import transformers
from PIL import Image
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor, smart_resize

ROOT = Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "tests" / "golden" / "pixels"
PUBLISHED_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def drawing(width, height, seed):
    """A picture with smooth parts, hard edges and some noise: [height, width, 3] uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    picture = np.stack([255 * x / max(width - 1, 1), 255 * y / max(height - 1, 1),
                        127 + 120 * np.sin(x / 5.0 + y / 9.0)], axis=-1)
    for _ in range(5):
        cx, cy, r = random.uniform(0, width), random.uniform(0, height), random.uniform(3, 3 + min(width, height) / 3)
        picture[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = random.integers(0, 256, 3)
    x0, y0 = int(width * 0.6), int(height * 0.55)
    picture[y0:, x0:] = random.integers(0, 256, picture[y0:, x0:].shape)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


# ---- a PNG writer for the kinds that Pillow cannot write

def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def packed_rows(samples, depth):
    """samples [h, w, channels] of integers < 2**depth as PNG scanlines, filter 0."""
    rows = []
    for row in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            body = row.astype(">u2").tobytes()
        elif depth == 8:
            body = row.astype(np.uint8).tobytes()
        else:
            bits = ((row[:, None] >> np.arange(depth - 1, -1, -1)) & 1).astype(np.uint8).ravel()
            body = np.packbits(bits).tobytes()
        rows.append(b"\0" + body)
    return b"".join(rows)


def png(samples, depth, color_type, interlaced=False, palette=None, trns=None):
    height, width = samples.shape[:2]
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [samples[y0::dy, x0::dx] for x0, y0, dx, dy in passes]
    body = b"".join(packed_rows(p, depth) for p in parts if p.size)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, interlaced))
    if palette is not None:
        out += chunk(b"PLTE", palette)
    if trns is not None:
        out += chunk(b"tRNS", trns)
    return out + chunk(b"IDAT", zlib.compress(body, 9)) + chunk(b"IEND", b"")


def saved(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


def with_adobe_transform(jpeg, transform):
    """The same JPEG with another colour transform in its Adobe marker (None: without the marker)."""
    at = jpeg.index(b"\xff\xee")
    length = struct.unpack(">H", jpeg[at + 2:at + 4])[0]
    if transform is None:
        return jpeg[:at] + jpeg[at + 2 + length:]
    return jpeg[:at + 15] + bytes([transform]) + jpeg[at + 16:]


def pictures():
    """File name -> bytes."""
    small = drawing(61, 43, 1)
    rgb = Image.fromarray(small)
    grey = rgb.convert("L")
    alpha = Image.fromarray(np.linspace(0, 255, small.shape[0] * small.shape[1]).reshape(small.shape[:2]).astype(np.uint8))
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    cmyk = Image.fromarray(np.concatenate([small, drawing(61, 43, 2)[..., :1]], axis=-1), "CMYK")
    levels = np.asarray(grey)
    wide = np.asarray(grey).astype(np.uint16) * 257
    noisy = np.random.default_rng(3).integers(0, 65536, (13, 17, 4))
    palette16 = bytes(np.random.default_rng(4).integers(0, 256, 48, dtype=np.uint8))
    files = {
        "jpeg_420.jpg": saved(rgb, format="JPEG", quality=75, subsampling=2),
        "jpeg_422.jpg": saved(rgb, format="JPEG", quality=60, subsampling=1),
        "jpeg_444.jpg": saved(rgb, format="JPEG", quality=92, subsampling=0),
        "jpeg_progressive.jpg": saved(rgb, format="JPEG", quality=80, progressive=True),
        "jpeg_restart.jpg": saved(rgb, format="JPEG", quality=50, restart_marker_blocks=3),
        "jpeg_rgb.jpg": saved(rgb, format="JPEG", quality=70, keep_rgb=True),
        "jpeg_grey.jpg": saved(grey, format="JPEG", quality=75),
        "jpeg_grey_progressive.jpg": saved(grey, format="JPEG", quality=30, progressive=True),
        "jpeg_cmyk.jpg": saved(cmyk, format="JPEG", quality=70),
        "jpeg_1x33.jpg": saved(Image.fromarray(drawing(1, 33, 5)), format="JPEG", quality=75),
        "jpeg_33x1.jpg": saved(Image.fromarray(drawing(33, 1, 5)), format="JPEG", quality=75),
        "jpeg_large.jpg": saved(Image.fromarray(drawing(320, 201, 6)), format="JPEG", quality=40),
        "png_rgb.png": saved(rgb, format="PNG", optimize=True),
        "png_rgba.png": saved(rgba, format="PNG", optimize=True),
        "png_la.png": saved(rgba.convert("LA"), format="PNG", optimize=True),
        "png_grey.png": saved(grey, format="PNG", optimize=True),
        "png_1bit.png": saved(rgb.convert("1"), format="PNG"),
        "png_palette.png": saved(rgb.quantize(200), format="PNG"),
        "png_palette_trns.png": saved(rgb.quantize(9), format="PNG", transparency=bytes([0, 128, 255])),
        "png_palette1.png": png(levels[..., None] >> 7, 1, 3, palette=palette16[:6]),
        "png_palette2.png": png(levels[..., None] >> 6, 2, 3, palette=palette16[:12], trns=b"\0\x40"),
        "png_palette4.png": png(levels[..., None] >> 4, 4, 3, palette=palette16, interlaced=True),
        "png_palette_beyond.png": png(levels[..., None], 8, 3, palette=palette16),
        "png_grey1.png": png(levels[..., None] >> 7, 1, 0, trns=b"\0\1"),
        "png_grey2.png": png(levels[..., None] >> 6, 2, 0),
        "png_grey4.png": png(levels[..., None] >> 4, 4, 0, interlaced=True),
        "png_grey_trns.png": png(levels[..., None], 8, 0, trns=b"\0\x80"),
        "png_grey16.png": png(wide[..., None], 16, 0),
        "png_grey16_low.png": png(noisy[..., :1] >> 7, 16, 0),
        "png_grey16_trns.png": png(noisy[..., :1], 16, 0, trns=b"\x12\x34"),
        "png_la16.png": png(noisy[..., :2], 16, 4),
        "png_rgb16.png": png(noisy[..., :3], 16, 2),
        "png_rgb16_interlaced.png": png(noisy[..., :3], 16, 2, interlaced=True),
        "png_rgba16.png": png(noisy, 16, 6),
        "png_rgb_trns.png": png(drawing(17, 13, 8), 8, 2, trns=b"\0\1\0\2\0\3"),
        "png_rgba_interlaced.png": png(noisy >> 8, 8, 6, interlaced=True),
        "png_interlaced_1x1.png": png(noisy[:1, :1, :3] >> 8, 8, 2, interlaced=True),
        "png_1x29.png": saved(Image.fromarray(drawing(1, 29, 9)), format="PNG"),
        "png_29x1.png": saved(Image.fromarray(drawing(29, 1, 9)), format="PNG"),
        "webp_lossy.webp": saved(rgb, format="WEBP", quality=70),
        "webp_lossy_alpha.webp": saved(rgba, format="WEBP", quality=50),
        "webp_lossless.webp": saved(rgb.quantize(40).convert("RGB"), format="WEBP", lossless=True),
        "webp_lossless_alpha.webp": saved(rgba.resize((30, 21)), format="WEBP", lossless=True, exact=True),
        "webp_animated.webp": saved(rgba.resize((32, 20)), format="WEBP", save_all=True, duration=40, quality=40,
                                    append_images=[rgba.rotate(90).resize((32, 20))]),
        "webp_odd_5x3.webp": saved(Image.fromarray(drawing(5, 3, 10)), format="WEBP", quality=90),
    }
    files["jpeg_ycck.jpg"] = with_adobe_transform(files["jpeg_cmyk.jpg"], 2)
    files["jpeg_cmyk_plain.jpg"] = with_adobe_transform(files["jpeg_cmyk.jpg"], None)
    return files


def crc(array):
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


def pixels_entry(array):
    """What the test compares of an RGB picture [h, w, 3]."""
    return {"width": array.shape[1], "height": array.shape[0], "crc32": crc(array),
            "first": array.reshape(-1)[:12].tolist(), "last": array.reshape(-1)[-12:].tolist()}


def torch_resized(array, width, height):
    """torchvision's resize of a uint8 CPU tensor: torch's own antialiased bicubic kernel."""
    if (height, width) == array.shape[:2]:
        return array
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)[None].contiguous(memory_format=torch.channels_last)
    out = torch.nn.functional.interpolate(tensor, size=(height, width), mode="bicubic", antialias=True, align_corners=False)
    return out[0].permute(1, 2, 0).contiguous().numpy()


def fast_values(array, width, height, processor):
    """Qwen2VLImageProcessorFast of 4.51.3: torch resize, then rescale and normalise fused in float32."""
    tensor = torch.from_numpy(torch_resized(array, width, height).copy()).permute(2, 0, 1).to(torch.float32)
    mean = torch.tensor(processor.image_mean) * (1.0 / processor.rescale_factor)
    std = torch.tensor(processor.image_std) * (1.0 / processor.rescale_factor)
    tensor = ((tensor - mean[:, None, None]) / std[:, None, None]).numpy()
    patch, merge = processor.patch_size, processor.merge_size
    frames = np.stack([tensor, tensor])
    gh, gw = height // patch, width // patch
    cut = frames.reshape(1, 2, 3, gh // merge, merge, patch, gw // merge, merge, patch)
    return cut.transpose(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(gh * gw, -1), [1, gh, gw]


def values_entry(values, grid):
    values = np.ascontiguousarray(values, dtype=np.float32)
    return {"grid": [int(v) for v in grid], "crc32": crc(values),
            "first": [float(v) for v in values[0][:6]], "last": [float(v) for v in values[-1][-6:]]}


RESIZES = {
    "png_rgb.png": [(61, 43), (61, 86), (122, 43), (28, 28), (56, 56), (84, 56), (1, 1), (1, 43), (61, 1), (200, 3),
                    (7, 191), (60, 42), (62, 44), (500, 400), (17, 13), (448, 448)],
    "jpeg_420.jpg": [(84, 56), (56, 28), (31, 97), (13, 7)],
    "jpeg_large.jpg": [(308, 196), (320, 200), (319, 201), (28, 28), (448, 448), (641, 403), (100, 63), (2, 2), (56, 392),
                       (1, 300), (33, 11)],
    "png_1x29.png": [(28, 28), (1, 58), (3, 3), (56, 1), (1, 7)],
    "png_29x1.png": [(28, 28), (58, 1), (3, 3), (1, 56), (7, 1)],
    "png_interlaced_1x1.png": [(28, 28), (3, 5)],
    "webp_lossy.webp": [(56, 56), (30, 21), (122, 86)],
    "jpeg_cmyk.jpg": [(64, 64), (20, 90)],
}

# file, min_pixels, max_pixels, fixed width and height before (0: none)
PATCHES = [
    ("png_rgb.png", 3136, 12845056, 0, 0),
    ("png_rgb.png", 3136, 12845056, 112, 84),
    ("png_rgb.png", 50176, 12845056, 0, 0),
    ("jpeg_420.jpg", 784, 1568, 0, 0),
    ("jpeg_large.jpg", 3136, 12845056, 0, 0),
    ("jpeg_large.jpg", 3136, 20000, 0, 0),
    ("jpeg_large.jpg", 3136, 12845056, 448, 448),
    ("jpeg_grey.jpg", 3136, 1003520, 0, 0),
    ("jpeg_cmyk.jpg", 3136, 1003520, 0, 0),
    ("png_grey16.png", 3136, 1003520, 0, 0),
    ("webp_lossy_alpha.webp", 3136, 1003520, 0, 0),
    ("png_1x29.png", 3136, 1003520, 30, 29),
]


def published(folder):
    entries = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in PUBLISHED_SUFFIXES:
            continue
        name = path.relative_to(folder).as_posix()
        try:
            with Image.open(path) as image:
                array = np.asarray(image.convert("RGB"))
            width, height = (max(1, array.shape[1] * 2 // 3), max(1, array.shape[0] * 3 // 4))
            resized = np.asarray(Image.fromarray(array).resize((width, height), Image.BICUBIC))
            entries[name] = {"decoded": pixels_entry(array), "resized": pixels_entry(resized)}
        except Exception:  # Pillow raises many kinds; the test asks only that we refuse it too
            entries[name] = {"refused": True}
    return entries


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path, help="folder of the published data (ASSIZE_PUBLISHED_DATA)")
    arguments = parser.parse_args()
    if int(PIL.__version__.split(".")[0]) >= 13:
        sys.exit(f"Pillow {PIL.__version__} resizes in another order of passes than 10 to 12; install pillow<13")
    OUT.mkdir(parents=True, exist_ok=True)
    made_with = f"Pillow {PIL.__version__}, transformers {transformers.__version__}, torch {torch.__version__}"
    if arguments.published:
        golden = {"made_with": made_with, "files": published(arguments.published)}
        (OUT / "published.json").write_text(json.dumps(golden, indent=1) + "\n")
        return

    arrays, golden = {}, {"made_with": made_with, "decoded": {}, "resized": [], "sizes": [], "patches": []}
    for name, body in sorted(pictures().items()):
        (OUT / name).write_bytes(body)
        arrays[name] = np.asarray(Image.open(OUT / name).convert("RGB"))
        golden["decoded"][name] = pixels_entry(arrays[name])
    for name, sizes in RESIZES.items():
        for width, height in sizes:
            resized = np.asarray(Image.fromarray(arrays[name]).resize((width, height), Image.BICUBIC))
            golden["resized"].append({"file": name, "pillow": pixels_entry(resized),
                                      "torch": pixels_entry(torch_resized(arrays[name], width, height))})
    random = np.random.default_rng(12)
    sides = [(h, w) for h in (28, 42, 70, 98, 112, 499, 720) for w in (28, 42, 70, 1000, 1280)]
    sides += [tuple(int(v) for v in random.integers(1, 5000, 2)) for _ in range(60)] + [(28, 5600), (28, 5601), (27, 100), (100, 27)]
    for height, width in sides:
        for low, high in ((3136, 12845056), (3136, 1003520), (100352, 602112), (784, 784)):
            try:
                size = list(smart_resize(height, width, 28, low, high))
            except ValueError:
                size = None
            golden["sizes"].append([height, width, low, high, size if size is None or min(size) > 0 else None])
    for name, low, high, width, height in PATCHES:
        image = Image.open(OUT / name).convert("RGB")
        if width:
            image = image.resize((width, height))
        processor = Qwen2VLImageProcessor(min_pixels=low, max_pixels=high)
        slow = processor(images=[image], return_tensors="np")
        h, w = smart_resize(image.height, image.width, 28, low, high)
        golden["patches"].append({"file": name, "min_pixels": low, "max_pixels": high, "width": width, "height": height,
                                  "slow": values_entry(slow["pixel_values"], slow["image_grid_thw"][0]),
                                  "fast": values_entry(*fast_values(np.asarray(image), w, h, processor))})
    text = json.dumps(golden)
    # One entry a line.
    text = text.replace("}, {\"file\"", "},\n{\"file\"").replace("}, \"", "},\n\"").replace("], [", "],\n[")
    (OUT / "pixels.json").write_text(text + "\n")
    total = sum(p.stat().st_size for p in OUT.iterdir())
    print(f"{len(golden['decoded'])} pictures, {len(golden['resized'])} resizes, {len(golden['patches'])} patch cases, "
          f"{total} bytes in {OUT}", file=sys.stderr)


main()
