"""The Qwen2.5-VL architecture for pictures of one size, written for training on a CPU.

Parameter names are those of a Hugging Face checkpoint (`visual.*`, `model.*`, tied `lm_head`), and the arithmetic is
that of its `Qwen2_5_VLForConditionalGeneration`: `evaluate.py` compares the two. What makes it fast is that every
picture is one window (112 px), so that attention runs picture by picture and needs no mask.
"""

import torch
from torch import nn
from torch.nn import functional as F

CONFIG = {
    "vocab_size": 512,
    "hidden_size": 256,
    "intermediate_size": 576,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rope_theta": 10000.0,
    "rms_norm_eps": 1e-6,
    "mrope_section": [8, 12, 12],
}
VISION = {
    "depth": 4,
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_heads": 2,
    "patch_size": 14,
    "temporal_patch_size": 2,
    "spatial_merge_size": 2,
    "window_size": 112,
    "fullatt_block_indexes": [1, 3],
}
GRID = 8  # patches along a side of 112 px
PICTURE_TOKENS = (GRID // 2) ** 2
HEAD = 64
MEAN = torch.tensor((0.48145466, 0.4578275, 0.40821073))
DEVIATION = torch.tensor((0.26862954, 0.26130258, 0.27577711))


def patches(pixels):
    """uint8 [P, 112, 112, 3] to normalised patches [P, 64, 588] in merge-group order, columns (channel, y, x)."""
    values = (pixels.to(torch.float32) / 255 - MEAN) / DEVIATION
    count, half, side = pixels.shape[0], GRID // 2, VISION["patch_size"]
    values = values.view(count, half, 2, side, half, 2, side, 3).permute(0, 1, 4, 2, 5, 7, 3, 6)
    return values.reshape(count, GRID * GRID, -1)


def _rotate(x, cos, sin):
    """Rotary embedding in fp32 of x [..., T, heads, 64] by tables that broadcast to it."""
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def _attend(q, k, v, **mask):
    """Attention in fp32 over [B, T, heads, 64]; the CPU's backward pass is several times slower in bf16."""
    out = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.float().transpose(1, 2), **mask)
    return out.transpose(1, 2).flatten(2).to(v.dtype)


class _RootMeanSquare(torch.autograd.Function):
    """RMSNorm in the dtype of its input with the statistics in fp32; written out to save passes over memory."""

    @staticmethod
    def forward(ctx, x, weight):
        square = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32).square()
        scale = torch.rsqrt(square / x.shape[-1] + 1e-6).to(x.dtype)
        normed = x * scale
        ctx.save_for_backward(normed, scale, weight)
        return normed * weight

    @staticmethod
    def backward(ctx, gradient):
        normed, scale, weight = ctx.saved_tensors
        for_weight = (gradient * normed).flatten(0, -2).sum(0)
        gradient = gradient * weight
        along = (gradient * normed).mean(-1, keepdim=True)
        return (gradient - normed * along) * scale, for_weight


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return _RootMeanSquare.apply(x, self.weight)


class Mlp(nn.Module):
    def __init__(self, width, inner, bias):
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=bias)
        self.up_proj = nn.Linear(width, inner, bias=bias)
        self.down_proj = nn.Linear(inner, width, bias=bias)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class VisionAttention(nn.Module):
    def __init__(self):
        super().__init__()
        width = VISION["hidden_size"]
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x, cos, sin):
        count, tokens, width = x.shape
        q, k, v = self.qkv(x).view(count, tokens, 3, VISION["num_heads"], HEAD).unbind(2)
        q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
        return self.proj(_attend(q, k, v))


class VisionBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = Norm(VISION["hidden_size"])
        self.norm2 = Norm(VISION["hidden_size"])
        self.attn = VisionAttention()
        self.mlp = Mlp(VISION["hidden_size"], VISION["intermediate_size"], bias=True)

    def forward(self, x, cos, sin):
        x = x + self.attn(self.norm1(x), cos, sin)
        return x + self.mlp(self.norm2(x))


class Merger(nn.Module):
    def __init__(self):
        super().__init__()
        width = VISION["hidden_size"] * VISION["spatial_merge_size"] ** 2
        self.ln_q = Norm(VISION["hidden_size"])
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, CONFIG["hidden_size"]))

    def forward(self, x):
        return self.mlp(self.ln_q(x).reshape(x.shape[0], PICTURE_TOKENS, -1))


class PatchEmbed(nn.Module):
    def __init__(self):
        super().__init__()
        side = VISION["patch_size"]
        self.proj = nn.Conv3d(3, VISION["hidden_size"], (2, side, side), stride=(2, side, side), bias=False)

    def forward(self, x):
        """Patches of a still picture: both frames are the same, so their weights add up."""
        weight = self.proj.weight.sum(2).flatten(1)
        return F.linear(x.to(weight.dtype), weight)


class Vision(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch_embed = PatchEmbed()
        self.blocks = nn.ModuleList(VisionBlock() for _ in range(VISION["depth"]))
        self.merger = Merger()
        frequencies = 1 / 10000 ** (torch.arange(0, HEAD // 2, 2) / (HEAD // 2))
        row, column = torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij")
        in_groups = [
            axis.view(GRID // 2, 2, GRID // 2, 2).permute(0, 2, 1, 3).flatten()[:, None] * frequencies
            for axis in (row, column)
        ]
        angles = torch.cat(in_groups, dim=-1)[:, None]
        self.tables = angles.cos(), angles.sin()

    def forward(self, pixels):
        """uint8 [P, 112, 112, 3] to [P, 16, hidden]."""
        x = self.patch_embed(patches(pixels))
        for block in self.blocks:
            x = block(x, *self.tables)
        return self.merger(x)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        width = CONFIG["hidden_size"]
        kv_width = CONFIG["num_key_value_heads"] * HEAD
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, kv_width)
        self.v_proj = nn.Linear(width, kv_width)
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(self, x, cos, sin, cache):
        count, tokens, _ = x.shape
        q = _rotate(self.q_proj(x).view(count, tokens, -1, HEAD), cos, sin)
        k = _rotate(self.k_proj(x).view(count, tokens, -1, HEAD), cos, sin)
        v = self.v_proj(x).view(count, tokens, -1, HEAD)
        mask = None
        if cache is not None:
            k, v, mask = cache.extend(self, k, v)
        repeat = CONFIG["num_attention_heads"] // CONFIG["num_key_value_heads"]
        k, v = (t.repeat_interleave(repeat, dim=2) for t in (k, v))
        return self.o_proj(_attend(q, k, v, attn_mask=mask, is_causal=mask is None))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn = Attention()
        self.mlp = Mlp(CONFIG["hidden_size"], CONFIG["intermediate_size"], bias=False)
        self.input_layernorm = Norm(CONFIG["hidden_size"])
        self.post_attention_layernorm = Norm(CONFIG["hidden_size"])

    def forward(self, x, cos, sin, cache):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(CONFIG["vocab_size"], CONFIG["hidden_size"])
        self.layers = nn.ModuleList(Layer() for _ in range(CONFIG["num_hidden_layers"]))
        self.norm = Norm(CONFIG["hidden_size"])


class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        self.visual = Vision()
        self.model = Decoder()
        inverse = 1 / CONFIG["rope_theta"] ** (torch.arange(0, HEAD, 2) / HEAD)
        section = torch.repeat_interleave(torch.arange(3), torch.tensor(CONFIG["mrope_section"]))
        self.tables = inverse, section

    def initialise(self):
        """Matrices by 1/sqrt(fan-in), those that write to the residual stream smaller; small embeddings."""
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                continue
            deviation = parameter[0].numel() ** -0.5
            if name.endswith(("o_proj.weight", "down_proj.weight", "attn.proj.weight")):
                deviation *= (2 * CONFIG["num_hidden_layers"]) ** -0.5
            if "embed_tokens" in name:
                deviation = 0.02
            nn.init.normal_(parameter, std=deviation)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)

    def hidden(self, ids, positions, pixels, picture_id, cache=None):
        """Final hidden states [B, T, hidden]: ids [B, T], positions [3, B, T], pixels uint8 [P, 112, 112, 3] in the
        order of the picture tokens (id `picture_id`) in the batch; without `cache`, causal over each row."""
        x = self.model.embed_tokens(ids)
        if pixels is not None:
            spots = ids == picture_id
            x = x.masked_scatter(spots[..., None], self.visual(pixels).to(x.dtype))
        inverse, section = self.tables
        angles = positions[section].permute(1, 2, 0) * inverse
        cos, sin = angles.cos()[:, :, None], angles.sin()[:, :, None]
        for layer in self.model.layers:
            x = layer(x, cos, sin, cache)
        return self.model.norm(x)

    def logits(self, hidden):
        return F.linear(hidden, self.model.embed_tokens.weight)
