# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The only module that knows timm: create a Vision Transformer and put the pruner in its slot."""
import difflib
import json
import pickle
from pathlib import Path
from typing import Any, Dict, List

import timm
import torch
from safetensors import SafetensorError
from timm.data import ImageNetInfo, infer_imagenet_subset, resolve_model_data_config
from timm.models import load_state_dict, register_model
from timm.models.vision_transformer import (
    Attention,
    Block,
    VisionTransformer,
    checkpoint_filter_fn,
)
from timm.utils.model import reparameterize_model
from torch import nn

from ltp_ros.config import METHODS
from ltp_ros.model.conv_stem import VIT_DEMO, ConvStem
from ltp_ros.model.preprocessing import DataConfig
from ltp_ros.reduction.base import TokenReducer
from ltp_ros.reduction.ltp import TokenPruner
from ltp_ros.reduction.mixed import QuadMerger
from ltp_ros.reduction.papr import PaPrPruner
from ltp_ros.reduction.tome import TokenMerger

MODEL_DIRECTORY = Path(__file__).parent / 'weights'
DEMO = 'demo'
PAPR_CONV_NET = 'mobileone_s0'


class ModelError(ValueError):
    """An unusable model, checkpoint or label file; the message says what to do."""


@register_model
def vit_demo(pretrained: bool = False, **kwargs: object) -> VisionTransformer:
    """Create the architecture of the packaged demo model; timm knows it by this name."""
    del pretrained  # its weights are a checkpoint inside this package, not a timm download
    kwargs = {name: value for name, value in kwargs.items()
              if name not in ('pretrained_cfg', 'pretrained_cfg_overlay', 'cache_dir')}
    return VisionTransformer(**{**VIT_DEMO, 'embed_layer': ConvStem, **kwargs})


def create_vit(model: str, checkpoint: str = '', *, method: str = 'ltp', score: str = 'srb',
               alpha: float = 0.5, keep_ratio: float = 1.0, pretrained: bool = True,
               papr_checkpoint: str = '', **model_args: object) -> VisionTransformer:
    """Create a timm Vision Transformer in eval mode with a `TokenReducer` in `patch_drop`.

    Args:
        model: a timm model name, or 'demo' for the model inside this package.
        checkpoint: a .safetensors file, or a .pth that holds weights only. If a .json of the
            same name lies beside it (`ltp_train` writes one), that names the architecture and
            `model` is not asked. Positions are resampled to `img_size`. 'demo': the packaged
            weights. Empty: timm's pretrained weights.
        method: one of METHODS.
        score: one of SCORES, for the method 'ltp'.
        alpha: weight of the spatial term in the score, LTP-ViT, eq. (4).
        keep_ratio: share of the patch tokens kept, (0, 1].
        papr_checkpoint: weights of the ConvNet of method 'papr'; empty: timm's.
        pretrained: with no checkpoint, whether to take timm's weights rather than random ones.
        **model_args: passed on to timm, for instance `img_size` or `num_classes`.

    Raises:
        ModelError: if timm has no such model, the weights cannot be read, downloaded or fitted,
            or the method cannot reduce the tokens of such a model.
    """
    checkpoint = weights_of(model, checkpoint)
    if model == DEMO:
        model = vit_demo.__name__
    card = read_model_card(checkpoint)
    model = card.get('architecture', model)
    model_args = {**card.get('model_args', {}), **model_args}
    if checkpoint:
        state_dict = _read_checkpoint(checkpoint)
        model_args = {**_args_from_state_dict(state_dict), **model_args}
        vit = _create(model, pretrained=False, **model_args)
        _load(vit, state_dict, checkpoint)
        vit.pretrained_cfg = {**(getattr(vit, 'pretrained_cfg', None) or {}),
                              **card.get('pretrained_cfg', {})}
    else:
        vit = _create(model, pretrained=pretrained, **model_args)
    check_supported(vit, model, method)
    if method == 'ltp':
        attach_pruner(vit, alpha, keep_ratio, score)
    else:
        _attach_other(vit, method, keep_ratio, papr_checkpoint, pretrained)
    return vit.eval()


def check_supported(vit: nn.Module, name: str = 'the model', method: str = 'ltp') -> None:
    """Raise ModelError, saying why, if `method` cannot reduce the tokens of `vit`."""
    if not isinstance(vit, VisionTransformer):
        reason = f'it is a {type(vit).__name__}, not a timm VisionTransformer'
    elif method == 'tome' and not all(type(block) is Block and type(block.attn) is Attention
                                      for block in vit.blocks):
        reason = 'its blocks are not the plain ones of timm, which ToMe takes apart'
    elif vit.pos_embed is None and method in ('ltp', 'mixed'):
        reason = 'it has no absolute positional embedding, which the method needs'
    elif method == 'mixed' and any(side % 2 for side in vit.patch_embed.grid_size):
        rows, columns = vit.patch_embed.grid_size
        reason = f'its {rows}x{columns} patches do not form quads of 2x2; take method:=ltp'
    elif method == 'mixed' and not hasattr(vit.patch_embed, 'strict_img_size'):
        reason = 'its patch embedding takes no smaller images; take method:=ltp'
    elif vit.dynamic_img_size:
        reason = 'it resamples its positions for every image; create it without dynamic_img_size'
    else:
        return
    raise ModelError(f'{name} cannot be pruned by {method.upper()}: {reason}. Choose a '
                     'VisionTransformer with learned or fixed absolute positions, such as '
                     'vit_small_patch16_224')


def attach_pruner(vit: VisionTransformer, alpha: float = 0.5, keep_ratio: float = 1.0,
                  score: str = 'srb') -> TokenPruner:
    """Fill timm's `patch_drop` slot; the state dict stays as it is. Return the pruner."""
    vit.patch_drop = TokenPruner(_patch_positions(vit), vit.num_prefix_tokens, keep_ratio, alpha,
                                 score)
    return vit.patch_drop


def _patch_positions(vit: VisionTransformer) -> torch.Tensor:
    return vit.pos_embed[0, 0 if vit.no_embed_class else vit.num_prefix_tokens:]


def _attach_other(vit: VisionTransformer, method: str, keep_ratio: float, papr_checkpoint: str,
                  pretrained: bool) -> None:
    num_patches, prefix = vit.patch_embed.num_patches, vit.num_prefix_tokens
    grid_size = tuple(vit.patch_embed.grid_size)
    if method == 'mixed':
        vit.patch_drop = QuadMerger(_patch_positions(vit), grid_size, prefix, keep_ratio)
        vit.patch_drop.attach(vit.patch_embed)
    elif method == 'papr':
        conv_net = _create(PAPR_CONV_NET, pretrained=pretrained and not papr_checkpoint)
        if papr_checkpoint:
            _load(conv_net, _read_checkpoint(papr_checkpoint), papr_checkpoint)
        seen, wanted = resolve_model_data_config(vit), resolve_model_data_config(conv_net)
        vit.patch_drop = PaPrPruner(
            reparameterize_model(conv_net.eval()), grid_size, (seen['mean'], seen['std']),
            (wanted['mean'], wanted['std']), prefix, keep_ratio)
        vit.patch_drop.attach(vit.patch_embed)
    elif method == 'tome':
        mlp = vit.blocks[0].mlp.fc1
        vit.patch_drop = TokenMerger(num_patches, prefix, len(vit.blocks),
                                     mlp.out_features / mlp.in_features, keep_ratio)
        vit.patch_drop.attach(vit.blocks)
    elif method == 'none':
        vit.patch_drop = TokenReducer(num_patches, prefix)
    else:
        raise ModelError(f'{method!r} is not a method; expected one of {", ".join(METHODS)}')


def data_config(vit: VisionTransformer) -> DataConfig:
    """Return the input that the model expects; its mean and std are not always ImageNet's."""
    config = resolve_model_data_config(vit)
    try:
        return DataConfig(
            input_size=tuple(vit.patch_embed.img_size), mean=tuple(config['mean']),
            std=tuple(config['std']), interpolation=config['interpolation'],
            crop_pct=config['crop_pct'], crop_mode=config['crop_mode'])
    except ValueError as error:
        raise ModelError(str(error)) from error


def label_names(vit: VisionTransformer, checkpoint: str = '', labels: str = '') -> List[str]:
    """Return one name a class: from the file `labels`, the model card, or timm's ImageNet info.

    Args:
        vit: the model; it must have as many classes as there are names.
        checkpoint: the file it was loaded from; 'demo' for the packaged one.
        labels: a text file with one name a line, in class order.

    Raises:
        ModelError: if the file cannot be read or has another number of names.
    """
    card_names = read_model_card(checkpoint).get('label_names')
    subset = infer_imagenet_subset(vit)
    if labels:
        names = _read_lines(labels)
    elif card_names:
        names = list(card_names)
    elif subset:
        names = ImageNetInfo(subset).label_descriptions()
    else:
        names = [f'class {index}' for index in range(vit.num_classes)]
    if len(names) != vit.num_classes:
        raise ModelError(f'{labels or "the model card"} has {len(names)} labels but the model '
                         f'has {vit.num_classes} classes; give one name a line, in class order')
    return names


def weights_of(model: str, checkpoint: str = '') -> str:
    """Return the checkpoint that `create_vit` loads for these; '' if it takes timm's weights."""
    return checkpoint or (DEMO if model == DEMO else '')


def model_name(model: str, checkpoint: str = '') -> str:
    """Return the name of the model that `create_vit` makes: the card's architecture, if any."""
    return model if model == DEMO else read_model_card(checkpoint).get('architecture', model)


def read_model_card(checkpoint: str) -> Dict[str, Any]:
    """Return the .json beside a checkpoint (architecture, labels, data config); {} if none."""
    if not checkpoint:
        return {}
    path = _checkpoint_path(checkpoint)
    path = path.with_suffix('.json') if path.name else path
    if not path.is_file():
        return {}
    try:
        card = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ModelError(f'{path} is not valid JSON: {error}') from error
    if not isinstance(card, dict):
        raise ModelError(f'{path} is not a model card; expected a JSON object, as written by '
                         'ltp_train')
    return card


def _checkpoint_path(checkpoint: str) -> Path:
    return MODEL_DIRECTORY / f'{DEMO}.safetensors' if checkpoint == DEMO else Path(checkpoint)


def _create(model: str, pretrained: bool, **model_args: object) -> nn.Module:
    if not timm.is_model(model):
        name = model.split('.')[0]
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f'; did you mean {" or ".join(near)}?' if near else ''
        raise ModelError(f'timm has no model {model!r}{hint}')
    if pretrained and not timm.is_model_pretrained(model):
        raise ModelError(f'timm has no pretrained weights for {model!r}; give a checkpoint')
    try:
        return timm.create_model(model, pretrained=pretrained, **model_args)
    except OSError as error:  # of the hub client when offline
        raise ModelError(
            f'the weights of {model!r} could not be downloaded ({error}). Either give a file with '
            'checkpoint:=FILE.safetensors, or copy a filled cache of the hub here and set HF_HOME '
            'to it, or use the model inside this package with model:=demo') from error
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise ModelError(f'timm cannot make {model!r} of {model_args}: {error}') from error


def _read_checkpoint(checkpoint: str) -> Dict[str, torch.Tensor]:
    path = _checkpoint_path(checkpoint)
    if not path.is_file():
        raise ModelError(f'checkpoint {checkpoint!r} is not a file; expected a .safetensors, '
                         'or a .pth that holds weights only')
    try:
        return load_state_dict(str(path), weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, TypeError,
            AttributeError, KeyError) as error:
        raise ModelError(f'checkpoint {checkpoint!r} cannot be read as weights alone: {error}. '
                         'Save the state dict as .safetensors') from error


def _args_from_state_dict(state_dict: Dict[str, torch.Tensor]) -> Dict[str, object]:
    """Read timm's arguments off the weights: number of classes, kind of pooling."""
    model_args: Dict[str, object] = {}
    if 'head.weight' in state_dict:
        model_args['num_classes'] = state_dict['head.weight'].shape[0]
    if 'fc_norm.weight' in state_dict:  # an MAE fine-tune averages the patches
        model_args['global_pool'] = 'avg'
    return model_args


def _load(vit: nn.Module, state_dict: Dict[str, torch.Tensor], checkpoint: str) -> None:
    try:
        if isinstance(vit, VisionTransformer):
            state_dict = checkpoint_filter_fn(state_dict, vit)
        vit.load_state_dict(state_dict)
    except RuntimeError as error:
        raise ModelError(f'checkpoint {checkpoint!r} does not fit {type(vit).__name__}: '
                         f'{error}') from error


def _read_lines(path: str) -> List[str]:
    try:
        text = Path(path).read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f'labels {path!r} cannot be read: {error}') from error
    return [line.strip() for line in text.splitlines() if line.strip()]
