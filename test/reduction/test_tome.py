# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""ToMe against plain loops in float64, and its schedule against the work of LTP."""
import math

import pytest
import torch

from ltp_ros.model.vit import ModelError, create_vit
from ltp_ros.reduction.tome import attention, equal_work_schedule, match, merge, merge_schedule

KEEP_RATIOS = (0.9, 0.7, 0.53, 0.35, 0.25)


def make_vit(method='tome', **model_args):
    torch.manual_seed(0)
    return create_vit('vit_tiny_patch16_224', pretrained=False, method=method, num_classes=10,
                      **model_args).double()


def merge_by_loops(values, keys, num_merged):
    """Merge the most similar (source, target) pairs of one image, straight from the paper."""
    sources, targets = list(range(0, len(keys), 2)), list(range(1, len(keys), 2))
    best = {}
    for source in sources:
        likeness = [float(torch.cosine_similarity(keys[source], keys[target], dim=0))
                    for target in targets]
        best[source] = (max(likeness), targets[likeness.index(max(likeness))])
    gone = sorted(sources, key=lambda source: -best[source][0])[:num_merged]
    merged = {index: values[index].clone() for index in sources + targets}
    for source in gone:
        merged[best[source][1]] += merged.pop(source)
    return torch.stack([merged[index] for index in sources + targets if index in merged])


def run_by_loops(vit, pixels):
    """Return the logits of one image, blocks and sizes written out."""
    merger = vit.patch_drop
    prefix = merger.num_prefix_tokens
    x = vit._pos_embed(vit.patch_embed(pixels))
    x = vit.norm_pre(x)[0]
    sizes = torch.ones(len(x), 1, dtype=x.dtype, device=x.device)
    for block, num_merged in zip(vit.blocks, merger.schedule):
        attn, normed = block.attn, block.norm1(x)
        q, k, v = (part.reshape(len(x), attn.num_heads, -1)
                   for part in attn.qkv(normed).chunk(3, dim=-1))
        heads = []
        for head in range(attn.num_heads):
            logits = q[:, head] @ k[:, head].T / math.sqrt(q.shape[-1])
            heads.append((logits + sizes.log().T).softmax(dim=-1) @ v[:, head])
        x = x + attn.proj(torch.cat(heads, dim=-1))
        if num_merged:
            keys = k.mean(dim=1)[prefix:]
            weighted = merge_by_loops((x * sizes)[prefix:], keys, num_merged)
            new_sizes = merge_by_loops(sizes[prefix:], keys, num_merged)
            x = torch.cat([x[:prefix], weighted / new_sizes])
            sizes = torch.cat([sizes[:prefix], new_sizes])
        x = x + block.mlp(block.norm2(x))
    return vit.forward_head(vit.norm(x[None]))


@pytest.mark.parametrize('keep_ratio', KEEP_RATIOS)
def test_logits_are_those_of_plain_loops(keep_ratio, device):
    vit = make_vit().to(device)
    vit.patch_drop.keep_ratio = keep_ratio
    pixels = torch.randn(1, 3, 224, 224, dtype=torch.float64, device=device)
    with torch.inference_mode():
        torch.testing.assert_close(vit(pixels), run_by_loops(vit, pixels), rtol=1e-9, atol=1e-9)


def test_a_batch_is_merged_image_by_image_and_leaves_nothing_behind():
    vit = make_vit()
    vit.patch_drop.keep_ratio = 0.53
    pixels = torch.randn(3, 3, 224, 224, dtype=torch.float64)
    with torch.inference_mode():
        together = vit(pixels)
        alone = torch.cat([vit(image[None]) for image in pixels])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-9)


def test_keep_ratio_1_is_the_unpruned_model():
    pixels = torch.randn(1, 3, 224, 224, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(make_vit()(pixels), make_vit('none')(pixels))


def test_the_most_similar_pairs_are_merged():
    keys = torch.tensor([[[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.5, 1.0], [-1.0, 0.0]]])
    stay, merged, target = match(keys, 1)
    assert (stay.tolist(), merged.tolist(), target.tolist()) == ([[1, 2]], [[0]], [[0]])
    values = torch.tensor([[[1.0], [10.0], [100.0], [1000.0], [10000.0]]])
    assert merge(values, stay, merged, target).flatten().tolist() == [100, 10000, 11, 1000]


def test_attention_is_that_of_timm_while_every_token_is_one_patch():
    vit = make_vit('none')
    x = torch.randn(2, 9, 192, dtype=torch.float64)
    attn = vit.blocks[0].attn
    with torch.inference_mode():
        plain, keys = attention(attn, x, None)
        sized, _ = attention(attn, x, torch.ones(2, 9, 1, dtype=torch.float64))
        torch.testing.assert_close(plain, attn(x))
        torch.testing.assert_close(sized, attn(x))
    assert keys.shape == (2, 9, 64)


@pytest.mark.parametrize('keep_ratio', KEEP_RATIOS)
def test_schedule_does_the_work_of_ltp_at_the_same_keep_ratio(keep_ratio):
    schedule = equal_work_schedule(196, 1, 12, 4.0, keep_ratio)
    left, work = 196, 0.0
    for num_merged in schedule:
        work += 4 * (left + 1) + 8 * (left - num_merged + 1)
        assert 0 <= num_merged <= left // 2
        left -= num_merged
    assert work == pytest.approx(12 * 12 * (round(196 * keep_ratio) + 1), rel=0.01)


def test_schedule_spreads_its_tokens_evenly():
    assert merge_schedule(196, 1.5, 6) == (1, 2, 1, 2, 1, 2)
    assert merge_schedule(8, 100, 4) == (4, 2, 1, 0)


def test_tokens_left_are_told():
    merger = make_vit().patch_drop
    merger.keep_ratio = 0.53
    assert merger.num_keep == 196 - sum(merger.schedule) < 0.53 * 196


def test_prefix_tokens_are_never_merged():
    vit = make_vit(reg_tokens=3)
    vit.patch_drop.keep_ratio = 0.25
    seen = []
    vit.blocks[-1].mlp.register_forward_pre_hook(lambda module, x: seen.append(x[0].shape[1]))
    with torch.inference_mode():
        vit(torch.randn(1, 3, 224, 224, dtype=torch.float64))
    assert seen == [4 + vit.patch_drop.num_keep]


def test_blocks_of_another_kind_are_refused():
    with pytest.raises(ModelError, match='cannot be pruned by TOME: its blocks are not the plain'):
        create_vit('vit_small_patch16_18x2_224', pretrained=False, method='tome')


def test_half_precision_merges_tokens_whose_sum_is_beyond_it():
    merger = make_vit().patch_drop
    keys, tokens = torch.randn(1, 197, 64), torch.full((1, 197, 8), 60_000.0)
    merged = merger.merge_tokens(tokens.half(), keys, 90)
    assert merged.dtype == torch.float16 and torch.isfinite(merged).all()
    torch.testing.assert_close(merged, tokens[:, :107].half())


def test_the_same_tokens_are_merged_every_time_those_that_are_equally_alike_too():
    keys = torch.ones(1, 40, 4)
    stay, merged, _ = match(keys, 5)
    assert merged.tolist() == [[0, 1, 2, 3, 4]] and stay.tolist() == [list(range(5, 20))]
