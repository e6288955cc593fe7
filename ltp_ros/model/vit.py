# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Create a classifier with timm, of a Vision Transformer with the pruner in its slot."""
from typing import Callable, List, Mapping, Optional, Union

import timm
import torch
from timm.data import resolve_model_data_config
from timm.models.vision_transformer import (
    Attention,
    Block,
    VisionTransformer,
    checkpoint_filter_fn,
)
from timm.utils.model import reparameterize_model
from torch import nn

from ltp_ros.config import METHODS, Sides
from ltp_ros.files import is_control, short
from ltp_ros.model import adapted, input_sizes
from ltp_ros.model.card import ModelError, read_model_card, weights_of
from ltp_ros.model.checkpoint import misfit, read_checkpoint
from ltp_ros.model.data_config import DataConfig
from ltp_ros.model.hub import Log
from ltp_ros.model.labels import names_in, names_of_timm, numbered_names, read_labels
from ltp_ros.model.names import DEMO
from ltp_ros.model.timm_models import create, outline, vit_demo
from ltp_ros.reduction.base import TokenReducer
from ltp_ros.reduction.ltp import TokenPruner
from ltp_ros.reduction.mixed import QuadMerger
from ltp_ros.reduction.papr import PaPrPruner
from ltp_ros.reduction.tome import TokenMerger

WHOLE = ('resize', 'none')  # methods that take any classifier: they leave the tokens alone
MULTI_LABEL = 'multi_label_classification'  # transformers' word in a card
PAPR_CONV_NET = 'mobileone_s0'


def _go_on() -> None:
    """Let a download go on."""


def create_vit(model: str, checkpoint: str = '', *, method: str = 'ltp', score: str = 'srb',
               alpha: float = 0.5, keep_ratio: float = 1.0, pretrained: bool = True,
               input_size: Union[int, Sides] = 0, patch_size: int = 0,
               papr_checkpoint: str = '', any_head: bool = False,
               judge: Callable[[VisionTransformer], None] = lambda outline: None,
               progress: Callable[[], None] = _go_on, log: Optional[Log] = None,
               **model_args: object) -> nn.Module:
    """Create a timm classifier in eval mode with a `TokenReducer` in `patch_drop`.

    With the methods of WHOLE any will do; the others take Vision Transformers.

    Args:
        model: a timm model name, or 'demo' for the model inside this package.
        checkpoint: a .safetensors file, or a .pth that holds weights only. If a .json of the
            same name lies beside it (`ltp_train` writes one), that names the architecture and
            `model` is not asked; it may also name a base, see `adapted`. 'demo': the packaged
            weights. Empty: timm's pretrained weights.
        method: one of METHODS.
        score: one of SCORES, for the method 'ltp'.
        alpha: weight of the spatial term in the score, LTP-ViT, eq. (4).
        keep_ratio: share of the patch tokens kept, (0, 1].
        input_size: pixels a side, or height and width, to which the positions are resampled; 0:
            the size that the checkpoint was trained at, or the model's own.
        patch_size: pixels a side of a patch, for a FlexiViT; 0: its own.
        papr_checkpoint: weights of the ConvNet of method 'papr'; empty: timm's.
        pretrained: with no checkpoint, whether to take timm's weights rather than random ones.
        any_head: whether also to take a model without classes, whose head is to be replaced.
        judge: called with the model without its weights, before they are fetched; it may raise
            ModelError.
        progress: called now and then while weights are fetched; it may raise to end that.
        log: called with how far that is; None: a bar is shown instead.
        **model_args: passed on to timm, for instance `img_size` or `num_classes`.

    Raises:
        ModelError: if timm has no such model, the weights cannot be read, downloaded or fitted,
            or the method cannot reduce the tokens of such a model. What the weights are not
            needed for is judged before they are downloaded.
    """
    checkpoint = weights_of(model, checkpoint)
    if model == DEMO:
        model = vit_demo.__name__
    weights = read_checkpoint(checkpoint) if checkpoint else None
    if weights:
        model = weights.card.get('architecture', model)
        model_args = {**weights.model_args, **model_args}
    # Whatever can be refused is refused before the weights, which may be a download of minutes
    trained = judged = outline(model, model_args, progress)
    sized = input_sizes.arguments(input_size, judged)
    if sized:
        model_args = {**model_args, **sized}
        judged = outline(model, model_args, progress)
    input_sizes.check(judged, model, input_sizes.both(input_size), patch_size)
    check_supported(judged, model, method)
    if not any_head:
        check_classes(judged, model, checkpoint)
    judge(judged)
    conv_net = _papr_conv_net(papr_checkpoint, pretrained, progress, log) if (
        method == 'papr') else None
    vit = create(model, pretrained and not weights, model_args, progress, log)
    if weights:
        _load(vit, adapted.whole(weights, progress, log), checkpoint)
        vit.pretrained_cfg = {**(getattr(vit, 'pretrained_cfg', None) or {}),
                              **weights.card.get('pretrained_cfg', {})}
    input_sizes.resize(vit, input_size)
    input_sizes.remember(vit, input_size)
    input_sizes.strengthen_positions(vit, trained)
    if patch_size:
        input_sizes.set_patch_size(vit, patch_size)
    if weights:
        adapted.change(vit, weights)
    if not isinstance(vit, VisionTransformer) and hasattr(vit, 'patch_drop'):
        vit = input_sizes.Enclosed(vit)
    if method == 'ltp':
        attach_pruner(vit, alpha, keep_ratio, score)
    else:
        _attach_other(vit, method, keep_ratio, conv_net)
    if weights:
        adapted.fill_reducer(vit.patch_drop, weights)
    return vit.eval()


def check_supported(vit: nn.Module, name: str = 'the model', method: str = 'ltp') -> None:
    """Raise ModelError, saying why, if `method` cannot reduce the tokens of `vit`."""
    if method in WHOLE and not isinstance(vit, VisionTransformer):
        return
    if not isinstance(vit, VisionTransformer):
        reason = f'it is a {type(vit).__name__}, not a timm VisionTransformer'
    elif 0 in vit.patch_embed.grid_size:
        raise ModelError(f'{name} cannot take images of {vit.patch_embed.img_size[0]} pixels '
                         'a side: they are smaller than one patch. Give a larger input_size')
    elif method == 'tome' and not all(type(block) is Block and type(block.attn) is Attention
                                      for block in vit.blocks):
        reason = 'its blocks are not the plain ones of timm, which ToMe takes apart'
    elif vit.pos_embed is None and method in ('ltp', 'mixed'):
        reason = 'it has no absolute positional embedding, which the method needs'
    elif method == 'mixed' and any(side % 2 for side in vit.patch_embed.grid_size):
        rows, columns = vit.patch_embed.grid_size
        reason = f'its {rows}x{columns} patches do not form quads of 2x2; take the method ltp'
    elif method == 'mixed' and not hasattr(vit.patch_embed, 'strict_img_size'):
        reason = 'its patch embedding takes no smaller images; take the method ltp'
    elif vit.dynamic_img_size:
        reason = 'it resamples its positions for every image; create it without dynamic_img_size'
    else:
        return
    raise ModelError(f'{name} cannot be pruned by {method.upper()}: {reason}. Choose a '
                     'VisionTransformer with learned or fixed absolute positions, such as '
                     'vit_small_patch16_224, or the method resize, which takes any classifier')


def check_classes(vit: nn.Module, model: str, checkpoint: str = '') -> None:
    """Raise ModelError if a softmax over the outputs of `vit` says nothing."""
    source = checkpoint or model
    if read_model_card(checkpoint).get('problem_type') == MULTI_LABEL:
        raise ModelError(f'{source!r} is for images of several classes at once (problem_type '
                         f'{MULTI_LABEL} in its card), and a softmax would let one exclude the '
                         'others. Give a checkpoint whose classes exclude each other')
    if vit.num_classes == 0:
        raise ModelError(f'{source!r} has no classes: it is a backbone without a head. Give a '
                         'checkpoint with a head, or train one on your images with ltp_train '
                         '--checkpoint')
    if vit.num_classes == 1:
        raise ModelError(f'{source!r} has one output, and a softmax over one is always 1. Give a '
                         'checkpoint with one output for each answer, two for yes and no')
    cfg = getattr(vit, 'pretrained_cfg', None) or {}
    name = f'{cfg.get("architecture")}.{cfg.get("tag")}'
    if not checkpoint and 'clip' in name and '_ft_' not in name and (
            vit.num_classes == timm.get_pretrained_cfg(name).num_classes):
        raise ModelError(f'{source!r} has no classes: CLIP was trained to embed an image in '
                         f'{vit.num_classes} numbers. Take one that was fine-tuned, with _ft_ in '
                         'its name, or train a head on your images with ltp_train')


def attach_pruner(vit: VisionTransformer, alpha: float = 0.5, keep_ratio: float = 1.0,
                  score: str = 'srb') -> TokenPruner:
    """Fill timm's `patch_drop` slot; the state dict stays as it is. Return the pruner."""
    vit.patch_drop = TokenPruner(_patch_positions(vit), vit.num_prefix_tokens, keep_ratio, alpha,
                                 score)
    return vit.patch_drop


def _patch_positions(vit: VisionTransformer) -> torch.Tensor:
    return vit.pos_embed[0, 0 if vit.no_embed_class else vit.num_prefix_tokens:]


def _papr_conv_net(papr_checkpoint: str, pretrained: bool, progress: Callable[[], None],
                   log: Optional[Log]) -> nn.Module:
    conv_net = create(PAPR_CONV_NET, pretrained and not papr_checkpoint, {}, progress, log,
                      'papr_checkpoint')
    if papr_checkpoint:
        _load(conv_net, read_checkpoint(papr_checkpoint).tensors, papr_checkpoint)
    return conv_net.eval()


def _attach_other(vit: VisionTransformer, method: str, keep_ratio: float,
                  conv_net: Optional[nn.Module]) -> None:
    grid_size, prefix = input_sizes.grid_of(vit), getattr(vit, 'num_prefix_tokens', 0)
    num_patches = grid_size[0] * grid_size[1]
    if method == 'mixed':
        vit.patch_drop = QuadMerger(_patch_positions(vit), grid_size, prefix, keep_ratio)
        vit.patch_drop.attach(vit.patch_embed)
    elif conv_net is not None:
        seen, wanted = resolve_model_data_config(vit), resolve_model_data_config(conv_net)
        vit.patch_drop = PaPrPruner(
            reparameterize_model(conv_net), grid_size, (seen['mean'], seen['std']),
            (wanted['mean'], wanted['std']), prefix, keep_ratio)
        vit.patch_drop.attach(vit.patch_embed)
    elif method == 'tome':
        mlp = vit.blocks[0].mlp.fc1
        vit.patch_drop = TokenMerger(num_patches, prefix, len(vit.blocks),
                                     mlp.out_features / mlp.in_features, keep_ratio)
        vit.patch_drop.attach(vit.blocks)
    elif method in WHOLE:
        vit.patch_drop = TokenReducer(num_patches, prefix)
    else:
        raise ModelError(f'{method!r} is not a method; expected one of {", ".join(METHODS)}')


def data_config(vit: VisionTransformer, crop_mode: str = 'auto') -> DataConfig:
    """Return the input that the model expects; its mean and std are not always ImageNet's.

    Args:
        vit: the model.
        crop_mode: one of `CROP_MODES`; 'auto': the model's own.
    """
    config = resolve_model_data_config(vit)
    try:
        return DataConfig(
            input_size=input_sizes.sides_of(vit), mean=tuple(config['mean']),
            std=tuple(config['std']), interpolation=config['interpolation'],
            crop_pct=config['crop_pct'],
            crop_mode=config['crop_mode'] if crop_mode == 'auto' else crop_mode)
    except ValueError as error:
        raise ModelError(str(error)) from error


def label_names(vit: VisionTransformer, checkpoint: str = '', labels: str = '') -> List[str]:
    """Return one name a class: from the file `labels`, the model card, timm's, or 'class 0'.

    Args:
        vit: the model; it must have as many classes as there are names.
        checkpoint: the file it was loaded from; 'demo' for the packaged one.
        labels: a file of names; see `read_labels`.

    Raises:
        ModelError: if the file cannot be read or has another number of names.
    """
    card_names = read_model_card(checkpoint).get('label_names')
    if labels:
        names = read_labels(labels)
    elif card_names:
        names = names_in(card_names, f'label_names in the card of {checkpoint!r}')
    else:
        names = names_of_timm(getattr(vit, 'pretrained_cfg', None) or {},
                              vit.num_classes) or numbered_names(vit.num_classes)
    steering = [name for name in names if any(map(is_control, name))]
    if steering:
        raise ModelError(f'{labels or "the model card"} has the label {short(steering[0])}, whose '
                         'control characters would steer a terminal; name each class in a line of '
                         'plain text')
    if len(names) != vit.num_classes:
        raise ModelError(f'{labels or "the model card"} has {len(names)} labels but the model '
                         f'has {vit.num_classes} classes; give one name a line, in class order')
    return names


def _load(vit: nn.Module, tensors: Mapping[str, torch.Tensor], checkpoint: str) -> None:
    if isinstance(vit, VisionTransformer):
        try:
            tensors = checkpoint_filter_fn(dict(tensors), vit)
        except (RuntimeError, ValueError, AttributeError, KeyError, IndexError) as error:
            raise ModelError(
                f'checkpoint {checkpoint!r} does not fit {type(vit).__name__}: its positions or '
                f'patches cannot be resampled ({error}). If it was trained on images that are not '
                'square, write {"model_args": {"img_size": [HEIGHT, WIDTH]}} into a .json of the '
                'same name beside it') from error
    reason = misfit(tensors, vit.state_dict())
    if reason:
        raise ModelError(f'checkpoint {checkpoint!r} does not fit {type(vit).__name__}. Of its '
                         f'weights {reason}. Name its architecture as the model')
    vit.load_state_dict(tensors)
