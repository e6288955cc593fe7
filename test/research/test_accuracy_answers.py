# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What is run, what the models answer, and the file that a stopped run goes on from."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from ltp_ros.model.vit import create_vit
from ltp_ros.research.accuracy.answers import (
    UNPRUNED,
    AnswerFileError,
    Answers,
    Variant,
    answer_all,
    select,
    top_classes,
    variants_of,
)

FULL, HALF = UNPRUNED, Variant('none', 0.25)


class Fake(nn.Module):
    """Its images are its logits, turned around while the keep ratio is below a half."""

    def __init__(self):
        super().__init__()
        self.patch_drop = SimpleNamespace(keep_ratio=1.0)

    def forward(self, images):
        return images if self.patch_drop.keep_ratio >= 0.5 else -images


def test_variants_are_every_method_score_alpha_and_ratio_that_makes_sense():
    found = variants_of(['none', 'ltp', 'tome'], [1.0, 0.5], ['srb', 'random'], [0.3, 0.5])
    assert [(str(variant), variant.keep_ratio) for variant in found] == [
        ('none', 1.0), ('ltp srb 0.3', 0.5), ('ltp srb 0.5', 0.5), ('ltp random', 0.5),
        ('tome', 0.5)]


def test_a_variant_is_set_on_the_model_of_its_method():
    models = {'ltp': create_vit('vit_demo', pretrained=False),
              'tome': create_vit('vit_demo', pretrained=False, method='tome')}
    pruner = select(models, Variant('ltp', 0.5, 'srb', 0.3)).patch_drop
    assert (pruner.keep_ratio, pruner.score, pruner.alpha) == (0.5, 'srb', 0.3)
    assert select(models, Variant('tome', 0.4)) is models['tome']
    assert models['tome'].patch_drop.keep_ratio == 0.4


def test_every_variant_sees_every_image_in_order():
    answers = Answers([FULL, HALF])
    answer_all({'none': Fake()}, [torch.eye(3)[:2], torch.eye(3)[2:]], [FULL, HALF], answers, k=1)
    assert answers[FULL].tolist() == [[0], [1], [2]]
    assert answers[HALF].tolist() == [[1], [0], [0]]
    assert len(answers) == 3


def test_of_equal_logits_the_lower_class_comes_first():
    top = top_classes({'none': Fake()}, torch.zeros(1, 7, dtype=torch.float16), [FULL])
    assert top[FULL].tolist() == [[0, 1, 2, 3, 4]]


def test_a_model_of_few_classes_gives_them_all():
    assert top_classes({'none': Fake()}, torch.zeros(4, 3), [FULL])[FULL].shape == (4, 3)


def test_progress_hears_of_every_image():
    heard = []
    answer_all({'none': Fake()}, [torch.zeros(4, 3), torch.zeros(1, 3)], [FULL], Answers([FULL]),
               progress=heard.append)
    assert heard == [4, 1]


@pytest.mark.parametrize('method', ['ltp', 'mixed', 'tome'])
def test_an_image_gets_the_same_classes_in_any_batch(method):
    vit = create_vit('vit_demo', pretrained=False, num_classes=20, method=method)
    with torch.no_grad():
        vit.pos_embed.copy_(torch.randn_like(vit.pos_embed))
    images = torch.randn(7, 3, 32, 32)
    variants = [Variant(method, 1.0), Variant(method, 0.53)]
    found = []
    for size in (1, 3, 7):
        found.append(Answers(variants))
        answer_all({method: vit}, images.split(size), variants, found[-1])
    for variant in variants:
        assert torch.equal(found[0][variant], found[1][variant])
        assert torch.equal(found[0][variant], found[2][variant])


def test_chance_chooses_the_same_patches_for_the_same_seed():
    vit = create_vit('vit_demo', pretrained=False, num_classes=20)
    chance, images = Variant('ltp', 0.3, 'random'), torch.randn(16, 3, 32, 32)
    first, again, other = (top_classes({'ltp': vit}, images, [chance], k=20, seed=seed)[chance]
                           for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def half_done(path, settings):
    answers = Answers([FULL, HALF], path, settings)
    answer_all({'none': Fake()}, [torch.eye(3)[:2]], [FULL, HALF], answers, k=1)
    answers.save()


def test_a_run_goes_on_from_its_file_and_ends_as_if_it_had_not_stopped(tmp_path):
    half_done(tmp_path / 'state.npz', {'n': 3})
    answers = Answers([FULL, HALF], tmp_path / 'state.npz', {'n': 3})
    assert len(answers) == 2
    answer_all({'none': Fake()}, [torch.eye(3)[2:]], [FULL, HALF], answers, k=1)
    assert answers[FULL].tolist() == [[0], [1], [2]]
    assert answers[HALF].tolist() == [[1], [0], [0]]
    assert [file.name for file in tmp_path.iterdir()] == ['state.npz']


@pytest.mark.parametrize('variants, n, named', [([FULL, HALF], 4, 'n=3, not 4'),
                                                ([FULL], 3, 'variants=')])
def test_a_file_of_another_run_is_refused_with_what_differs(variants, n, named, tmp_path):
    half_done(tmp_path / 'state.npz', {'n': 3})
    with pytest.raises(AnswerFileError, match=named):
        Answers(variants, tmp_path / 'state.npz', {'n': n})


def test_a_file_that_holds_no_answers_is_refused_by_name(tmp_path):
    (tmp_path / 'text.npz').write_text('nothing')
    np.savez(str(tmp_path / 'other.npz'), jpeg=[1])
    for name in ('text.npz', 'other.npz'):
        with pytest.raises(AnswerFileError, match=name):
            Answers([FULL], tmp_path / name)
