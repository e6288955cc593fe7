# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The last block of a Vision Transformer, computed for those tokens alone that its head reads.

Nobody reads the others. What the class token sees of them, it can be told without their keys and
values: its query asks the tokens themselves. That is exact, and leaves a hundredth of the block's
products. B images, T tokens of which the head reads n, D channels, H heads.
"""
from typing import Optional

import torch
import torch.nn.functional as F
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import Attention, Block, VisionTransformer
from torch import nn

from ltp_ros.reduction.tome import MergingBlock, TokenMerger

# From torch 2.1 on; Jetsons may run 2.0
_EXPORTS_UNFLATTEN = tuple(int(n) for n in torch.__version__.split('.')[:2]) >= (2, 1)


def attach(model: nn.Module) -> None:
    """Put a `LastBlock` in the place of a model's last block; the state dict stays as it is.

    What `forward_features` returns has then only the tokens (B, n, D) that the head reads, and
    logits are as before. A model whose head reads all tokens, or whose last block is not one of
    timm's plain ones, is left as it is.

    Args:
        model: of timm, in eval mode; it cannot be trained any more.
    """
    if num_read(model) and is_plain(model.blocks[-1]):
        model.blocks[-1] = LastBlock(model.blocks[-1], num_read(model))


def num_read(model: nn.Module) -> int:
    """Return n, how many tokens the head of a model reads, the first ones; 0: all, or unknown."""
    if type(model) is VisionTransformerDistilled:
        return 2
    return int(type(model) is VisionTransformer and model.global_pool == 'token')


def is_plain(block: nn.Module) -> bool:
    """Return whether it is a plain block of timm's, or one that was made of such."""
    return type(block) in (Block, MergingBlock, LastBlock) and type(block.attn) is Attention and (
        getattr(block.attn, 'gate', None) is None)


class LastBlock(nn.Module):
    """A block with the layers of another, for the first tokens of its output alone.

    Merges nothing: the tokens that are read never are, and nobody reads what would be.

    Args:
        block: one that `is_plain`; its layers become this module's, under the same names.
        num_read: n.
    """

    def __init__(self, block: nn.Module, num_read: int):
        super().__init__()
        for name, layer in block.named_children():
            self.add_module(name, layer)
        self.num_read = num_read
        # A tuple: the merger is not a part of this module
        self._merger = (block.merger if isinstance(block, (MergingBlock, LastBlock)) else None,)
        self.eval()

    @property
    def merger(self) -> Optional[TokenMerger]:
        """What merges the tokens of the blocks before; None: nothing does."""
        return self._merger[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the block's output (B, n, D) for tokens (B, T, D)."""
        sizes = self.merger.sizes if self.merger else None
        attended = attention_of_first(self.attn, self.norm1(x), self.num_read, sizes)
        x = x[:, :self.num_read] + self.ls1(attended)
        return x + self.ls2(self.mlp(self.norm2(x)))


def attention_of_first(attn: nn.Module, x: torch.Tensor, num_read: int,
                       sizes: Optional[torch.Tensor] = None) -> torch.Tensor:
    """Return the output (B, n, D) of timm's `Attention` for the first n of the tokens (B, T, D).

    With weights W and biases b of queries q, keys and values: a token's key is asked by q W_k,
    since q b_k, the same for all tokens, is lost in the softmax; and the shares a of the values
    give W_v (a x) + b_v, since they sum up to 1. For n tokens, H D products each rather than D^2.

    Args:
        attn: without a gate.
        x: normed.
        num_read: n.
        sizes: (B, T, 1), see `reduction.tome.attention`; None: each is 1.
    """
    heads = attn.num_heads
    w_q, w_k, w_v = attn.qkv.weight.chunk(3)
    b_q, b_k, b_v = (None, None, None) if attn.qkv.bias is None else attn.qkv.bias.chunk(3)
    q = _unflatten(F.linear(x[:, :num_read], w_q, b_q), 2, heads, -1).transpose(1, 2)
    q = attn.q_norm(q) * attn.scale
    if isinstance(attn.k_norm, nn.Identity):
        asking = q @ _unflatten(w_k, 0, heads, -1)  # (B, H, n, D)
        scores = asking.flatten(1, 2) @ x.transpose(1, 2)  # (B, H n, T)
    else:
        keys = attn.k_norm(_unflatten(F.linear(x, w_k, b_k), 2, heads, -1).transpose(1, 2))
        scores = (q @ keys.transpose(-2, -1)).flatten(1, 2)
    if sizes is not None:
        scores = scores + sizes.log().to(scores.dtype).transpose(1, 2)
    seen = _unflatten(scores.softmax(dim=-1) @ x, 1, heads, num_read)  # (B, H, n, D)
    mixed = seen @ _unflatten(w_v, 0, heads, -1).transpose(1, 2)
    mixed = mixed.transpose(1, 2).flatten(2)
    if b_v is not None:
        mixed = mixed + b_v
    return attn.proj(attn.norm(mixed) if hasattr(attn, 'norm') else mixed)


def _unflatten(x: torch.Tensor, dim: int, *sizes: int) -> torch.Tensor:
    """Return `x.unflatten(dim, sizes)`, in a form that this torch can export."""
    if _EXPORTS_UNFLATTEN:  # with sizes that the runtimes infer, unlike those of the other form
        return x.unflatten(dim, sizes)
    return x.reshape(*x.shape[:dim], *sizes, *x.shape[dim + 1:])
