# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Counting right answers, and the interval around the count."""
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ltp_ros.evaluation import Z_95, accuracy_row, top_classes, wilson_interval
from ltp_ros.vit import create_vit


class Fake(nn.Module):
    """Its images are its logits, turned around while the keep ratio is below a half."""

    def __init__(self):
        super().__init__()
        self.patch_drop = SimpleNamespace(keep_ratio=1.0)

    def forward(self, images):
        return images if self.patch_drop.keep_ratio >= 0.5 else -images


@pytest.mark.parametrize('successes, n', [(0, 10), (3, 10), (10, 10), (1, 1), (8123, 10_000)])
def test_the_bounds_are_the_shares_from_which_the_count_is_z_deviations_away(successes, n):
    for bound in wilson_interval(successes, n):
        variance = bound * (1 - bound) / n
        assert (successes / n - bound) ** 2 == pytest.approx(Z_95 ** 2 * variance, abs=1e-12)


def test_the_interval_holds_the_share_within_0_and_1():
    for successes in range(21):
        low, high = wilson_interval(successes, 20)
        assert 0.0 <= low <= successes / 20 <= high <= 1.0
        assert low < high


def test_every_keep_ratio_sees_every_image_in_order():
    batches = [torch.eye(3)[:2], torch.eye(3)[2:]]
    top = top_classes(Fake(), batches, (1.0, 0.25), k=1)
    assert top[1.0].tolist() == [[0], [1], [2]]
    assert top[0.25].tolist() == [[1], [0], [0]]


def test_of_equal_logits_the_lower_class_comes_first():
    top = top_classes(Fake(), [torch.zeros(1, 7, dtype=torch.float16)], (1.0,))
    assert top[1.0].tolist() == [[0, 1, 2, 3, 4]]


def test_a_model_of_few_classes_gives_them_all():
    assert top_classes(Fake(), [torch.zeros(4, 3)], (1.0,))[1.0].shape == (4, 3)


def test_progress_hears_of_every_image_at_every_keep_ratio():
    heard = []
    top_classes(Fake(), [torch.zeros(4, 3), torch.zeros(1, 3)], (1.0, 0.5), progress=heard.append)
    assert heard == [4, 4, 1, 1]


def test_an_image_gets_the_same_classes_in_any_batch():
    vit = create_vit('vit_demo', pretrained=False, num_classes=20)
    with torch.no_grad():
        vit.pos_embed.copy_(torch.randn_like(vit.pos_embed))
    images = torch.randn(7, 3, 32, 32)
    alone, some, all_at_once = (top_classes(vit, images.split(size), (1.0, 0.53))
                                for size in (1, 3, 7))
    for keep_ratio, classes in alone.items():
        assert torch.equal(some[keep_ratio], classes)
        assert torch.equal(all_at_once[keep_ratio], classes)


def test_a_row_counts_hits_among_the_first_and_the_first_five():
    ranks = torch.arange(6).expand(4, 6)
    top = ranks[:, :5]
    unpruned = top.clone()
    unpruned[3, 0] = 5
    row = accuracy_row(top, unpruned, torch.tensor([0, 4, 5, 0]))
    assert row['n'] == 4
    assert row['top1'] == 50.0
    assert row['top5'] == 75.0
    assert row['agreement'] == 75.0
    assert (row['top5_low'], row['top5_high']) == tuple(100 * b for b in wilson_interval(3, 4))
