# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Score, selection and pruner against a plain-loop reference of LTP-ViT, eqs. (1) to (4)."""
import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ltp_ros import config
from ltp_ros.reduction import ltp as token_pruning
from ltp_ros.reduction.base import (
    PatchSelector,
    PixelReader,
    TokenReducer,
    keep_indices,
    num_keep_tokens,
    ranked,
)
from ltp_ros.reduction.ltp import TokenPruner, min_max, spatial_importance, srb_scores


def reference_norm(values):
    low, high = min(values), max(values)
    return [0.0 if high == low else (value - low) / (high - low) for value in values]


def reference_kept(tokens, positions, alpha, keep_ratio):
    """Follow the paper line by line, in Python floats (float64), for one image."""
    units = []
    for token in tokens:
        length = math.sqrt(sum(value * value for value in token)) + token_pruning.EPSILON
        units.append([value / length for value in token])
    redundancy = [max(sum(a * b for a, b in zip(unit, other))
                      for j, other in enumerate(units) if j != i)
                  for i, unit in enumerate(units)]
    importance = [math.sqrt(sum(value * value for value in position)) for position in positions]
    scores = [alpha * i - (1 - alpha) * r
              for i, r in zip(reference_norm(importance), reference_norm(redundancy))]
    num_keep = max(1, round(keep_ratio * len(tokens)))
    ranked = sorted(range(len(tokens)), key=lambda i: -scores[i])
    return sorted(ranked[:num_keep])


@pytest.mark.parametrize('seed', range(10))
def test_kept_set_is_that_of_the_reference_on_a_hundred_random_cases(seed, device):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(100):
        num_patches = int(torch.randint(2, 33, (), generator=generator))
        dim = int(torch.randint(1, 17, (), generator=generator))
        tokens = torch.randn(num_patches, dim, generator=generator, dtype=torch.float64)
        positions = torch.randn(num_patches, dim, generator=generator, dtype=torch.float64)
        alpha, keep_ratio = (torch.rand(2, generator=generator) * 0.98 + 0.01).tolist()
        expected = reference_kept(tokens.tolist(), positions.tolist(), alpha, keep_ratio)
        tokens, positions = tokens.to(device), positions.to(device)
        scores = srb_scores(tokens[None], min_max(positions.norm(dim=-1)), alpha)
        kept = keep_indices(scores, num_keep_tokens(num_patches, keep_ratio))
        assert kept[0].tolist() == expected


@pytest.mark.parametrize('dtype, share', [(torch.float32, 1.0), (torch.float16, 0.97),
                                          (torch.bfloat16, 0.9)])
def test_lower_precision_keeps_nearly_the_same_tokens(dtype, share):
    tokens, importance = torch.randn(8, 196, 64, dtype=torch.float64), torch.rand(196)
    exact = keep_indices(srb_scores(tokens, importance, 0.5), 100)
    rounded = keep_indices(srb_scores(tokens.to(dtype), importance, 0.5), 100)
    common = sum(len(set(a) & set(b)) for a, b in zip(exact.tolist(), rounded.tolist()))
    assert common >= share * exact.numel()


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize('value', [0.0, 1.0, -3.0])
def test_a_constant_image_has_finite_scores_ranked_by_place_alone(dtype, value):
    tokens = torch.full((1, 16, 8), value, dtype=dtype)
    scores = srb_scores(tokens, torch.arange(16.0) / 15, 0.5)
    assert torch.isfinite(scores).all()
    assert keep_indices(scores, 4)[0].tolist() == [12, 13, 14, 15]


def test_constant_positions_leave_the_choice_to_redundancy():
    tokens = torch.randn(1, 16, 8)
    scores = srb_scores(tokens, spatial_importance(torch.ones(16, 3)), 0.5)
    assert torch.equal(scores, -0.5 * min_max(token_pruning.redundancy(tokens)))


def test_a_result_does_not_depend_on_its_batch_mates():
    tokens, importance = torch.randn(4, 49, 32), torch.rand(49)
    together = srb_scores(tokens, importance, 0.5)
    alone = torch.cat([srb_scores(image[None], importance, 0.5) for image in tokens])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize('value', [-2.0, 0.1, 0.7, 1.9])
def test_a_uniform_image_is_pruned_by_place_alone_whatever_rounding_adds(dtype, value):
    # Positions are added and taken off again, which leaves noise that no scale may blow up
    patch, positions = torch.randn(1, 1, 192) + value, torch.randn(196, 192)
    expected = kept('spatial', patch.expand(2, 196, 192), positions)
    for pictures in (1, 2):
        patches = patch.expand(pictures, 196, 192).to(dtype)
        found = kept('srb', patches, positions.to(dtype), importance=positions)
        assert torch.equal(found, expected[:pictures])


class Operators(TorchDispatchMode):
    """Count what runs; a view and a conversion to what a tensor is already are nothing."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if torch.is_tensor(args[0]) and torch.is_tensor(result) and (
                result.untyped_storage().data_ptr() == args[0].untyped_storage().data_ptr()):
            return result
        self.names.append(str(function))
        return result


def test_the_step_is_few_operators_since_on_a_gpu_each_costs_the_same():
    pruner = TokenPruner(torch.randn(196, 192), keep_ratio=0.53)
    tokens = torch.randn(1, 197, 192)
    with torch.inference_mode(), Operators() as operators:
        pruner(tokens)
    assert len(operators.names) <= 19, operators.names


def test_equal_scores_keep_the_first_tokens():
    assert keep_indices(torch.zeros(2, 10), 3).tolist() == [[0, 1, 2], [0, 1, 2]]


def test_an_export_ranks_as_torch_does(monkeypatch):
    scores = torch.randn(3, 300)
    best, kept_ = ranked(scores, 40), keep_indices(scores, 40)
    monkeypatch.setattr(torch.onnx, 'is_in_onnx_export', lambda: True)
    assert torch.equal(ranked(scores, 40), best)
    exported = keep_indices(scores, 40)
    assert torch.equal(exported, kept_) and exported.dtype == torch.int64


@pytest.mark.parametrize('make', [TokenReducer, PixelReader, PatchSelector])
def test_a_reducer_passes_every_token_on_behind_one_prefix_token_unless_told_otherwise(make):
    reducer = make(4)
    assert (reducer.keep_ratio, reducer.num_keep, reducer.num_prefix_tokens) == (1.0, 4, 1)
    tokens = torch.randn(2, 5, 3)
    assert reducer(tokens) is tokens
    assert reducer.trace is False and reducer.last_keep_indices is None


def test_an_image_of_which_every_token_stays_is_not_read():
    reader = PixelReader(4)
    assert reader.take_seen() is None
    reader.look(torch.zeros(1, 3, 8, 8))  # `read` would raise NotImplementedError
    assert reader.take_seen() is None


def test_a_single_token_is_redundant_with_nothing():
    assert token_pruning.redundancy(torch.randn(2, 1, 8)).tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize('num_patches, keep_ratio, num_keep', [
    (196, 1.0, 196), (196, 0.53, 104), (196, 0.7, 137), (196, 1e-9, 1), (1, 0.5, 1), (64, 1, 64)])
def test_the_number_kept_is_the_rounded_share_and_at_least_one(num_patches, keep_ratio, num_keep):
    assert num_keep_tokens(num_patches, keep_ratio) == num_keep


@pytest.mark.parametrize('keep_ratio', [0.0, -0.1, 1.0001, math.nan, math.inf])
def test_a_ratio_outside_its_range_is_refused_with_both_numbers(keep_ratio):
    with pytest.raises(ValueError, match=rf'{keep_ratio}.*\(0, 1\]'):
        TokenPruner(torch.randn(4, 2), keep_ratio=keep_ratio)


@pytest.mark.parametrize('num_prefix_tokens', [0, 1, 2, 5])
def test_prefix_tokens_stay_in_front_untouched(num_prefix_tokens):
    tokens = torch.randn(2, num_prefix_tokens + 16, 8)
    pruner = TokenPruner(torch.randn(16, 8), num_prefix_tokens, keep_ratio=0.5)
    pruned = pruner(tokens)
    assert pruned.shape == (2, num_prefix_tokens + 8, 8)
    assert torch.equal(pruned[:, :num_prefix_tokens], tokens[:, :num_prefix_tokens])


def test_prefix_tokens_do_not_change_which_patches_stay():
    patches = torch.randn(1, 16, 8)
    pruner = TokenPruner(torch.randn(16, 8), 1, keep_ratio=0.5)
    pruner.trace = True
    kept = []
    for prefix in (patches[:, :1], 100 * torch.randn(1, 1, 8)):
        pruner(torch.cat([prefix, patches], dim=1))
        kept.append(pruner.last_keep_indices)
    assert torch.equal(*kept)


def test_kept_patches_are_those_traced_with_their_positions_on():
    positions, patches = torch.randn(16, 8), torch.randn(2, 16, 8)
    pruner = TokenPruner(positions, 0, keep_ratio=0.25)
    pruner.trace = True
    pruned = pruner(patches + positions)
    expected = keep_indices(srb_scores(patches, spatial_importance(positions), 0.5), 4)
    assert torch.equal(pruner.last_keep_indices, expected)
    for image in range(2):
        torch.testing.assert_close(pruned[image], (patches + positions)[image, expected[image]])


def test_ratio_one_returns_the_very_tokens():
    tokens = torch.randn(2, 17, 8)
    pruner = TokenPruner(torch.randn(16, 8), 1, keep_ratio=1.0)
    pruner.trace = True
    assert pruner(tokens) is tokens
    assert pruner.last_keep_indices.tolist() == [list(range(16))] * 2


def test_the_pruner_adds_nothing_to_a_state_dict():
    assert not TokenPruner(torch.randn(16, 8)).state_dict()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_spatial_importance_stays_exact_in_half_precision(dtype):
    pruner = TokenPruner(torch.randn(196, 192))
    before = pruner.importance.clone()
    assert torch.equal(pruner.to(dtype).importance, before)


def kept(score, patches, positions, alpha=0.5, importance=None):
    pruner = TokenPruner(positions, 0, 0.5, alpha, score)
    if importance is not None:
        pruner.importance = spatial_importance(importance)
    pruner.trace = True
    pruner(patches + positions)
    return pruner.last_keep_indices


def test_each_score_keeps_what_its_name_says():
    patches, positions = torch.randn(2, 16, 8), torch.randn(16, 8)
    far = torch.nn.functional.normalize(patches, dim=-1)
    similarity = far @ far.transpose(1, 2) - 4 * torch.eye(16)
    assert torch.equal(kept('redundancy', patches, positions),
                       similarity.amax(dim=-1).argsort()[:, :8].sort().values)
    largest = positions.norm(dim=-1).argsort(descending=True)[:8].sort().values
    assert torch.equal(kept('spatial', patches, positions), largest.expand(2, -1))
    both = srb_scores(patches, spatial_importance(positions), 0.5)
    assert torch.equal(kept('srb', patches, positions), keep_indices(both, 8))


def test_chance_keeps_each_patch_about_as_often():
    positions = torch.randn(16, 8)
    drawn = torch.cat([kept('random', torch.zeros(100, 16, 8), positions) for _ in range(20)])
    share = torch.bincount(drawn.flatten(), minlength=16) / 2000
    assert (share - 0.5).abs().max() < 0.06


def test_scores_are_those_that_the_parameter_allows():
    assert tuple(token_pruning.SCORES) == config.SCORES


def test_scores_are_scaled_to_their_own_range_from_nought_to_one():
    rows = torch.tensor([[3.0, 5.0, 4.0], [-1.0, -3.0, -2.0], [7.0, 7.0, 7.0]])
    assert min_max(rows).tolist() == [[0.0, 1.0, 0.5], [1.0, 0.0, 0.5], [0.0, 0.0, 0.0]]


def test_the_importance_of_positions_that_differ_by_rounding_alone_is_none():
    lengths = torch.tensor([1000.0, 1000.0 * (1 + 0.1 * token_pruning.FLAT), 1000.0])
    assert spatial_importance(lengths[:, None]).tolist() == [0.0, 0.0, 0.0]
