# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Models by the names that timm takes: their outlines without weights, and with them."""
import difflib
import os
from pathlib import Path
from typing import Callable, Mapping, Optional, Tuple

import timm
import torch
from timm.models import register_model
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from ltp_ros.files import expand
from ltp_ros.model import hub
from ltp_ros.model.card import ModelError
from ltp_ros.model.conv_stem import VIT_DEMO, ConvStem
from ltp_ros.model.held import Held
from ltp_ros.model.names import LOCAL_PREFIX, TIMM_PREFIXES

FORCE_WEIGHTS_ONLY = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'  # a variable of torch


@register_model
def vit_demo(pretrained: bool = False, **kwargs: object) -> VisionTransformer:
    """Create the architecture of the packaged demo model; timm knows it by this name."""
    del pretrained  # its weights are a checkpoint inside this package, not a timm download
    kwargs = {name: value for name, value in kwargs.items()
              if name not in ('pretrained_cfg', 'pretrained_cfg_overlay', 'cache_dir')}
    return VisionTransformer(**{**VIT_DEMO, 'embed_layer': ConvStem, **kwargs})


def outline(model: str, model_args: Mapping[str, object],
            progress: Callable[[], None]) -> nn.Module:
    """Return a model without weights, on torch's meta device: no memory, a second at most.

    Of a repository of the hub its config.json is fetched, which is small. The arguments are those
    of `create`.

    Raises:
        ModelError: if timm has no such model, or cannot make it of these arguments.
    """
    name, repo = _known(model)
    reason = _fetch_config(repo, progress)
    with torch.device('meta'):
        return _timm(name, False, model_args, reason)


def create(model: str, pretrained: bool, model_args: Mapping[str, object],
           progress: Callable[[], None], log: Optional[hub.Log] = None,
           parameter: str = 'checkpoint') -> nn.Module:
    """Return a model, with its weights if `pretrained`, else with random ones.

    Args:
        model: a name of timm's, or a repository or a folder behind one of TIMM_PREFIXES.
        pretrained: whether to take its weights: from the hub, if they are not in the cache.
        model_args: passed on to timm.
        progress: called now and then while they are fetched; it may raise to end that.
        log: called with how far that is; None: the hub's client shows a bar.
        parameter: that which names a file of weights for this model.

    Raises:
        ModelError: as `outline`, or if there are no such weights.
    """
    name, repo = _known(model)
    if pretrained and timm.is_model(name):  # which hub's models and folders are not
        if not timm.is_model_pretrained(model):
            raise ModelError(f'timm has no pretrained weights for {model!r}; give a checkpoint')
        cfg = timm.get_pretrained_cfg(model)
        repo = cfg.hf_hub_id
        if not repo:
            raise ModelError(f'the weights of {model!r} are not on the hub, but at {cfg.url}: '
                             f'download them from there, and give {_ways_to_give(parameter)}')
    if pretrained and repo:
        reason = hub.fetch(repo, progress, log)
    else:
        reason = _fetch_config(repo, progress)
    return _timm(name, pretrained, model_args, reason, parameter)


def _fetch_config(repo: str, progress: Callable[[], None]) -> str:
    return hub.fetch(repo, progress, lambda text: None, hub.CONFIG) if repo else ''


def _known(model: str) -> Tuple[str, str]:
    """Return the name to give to timm, and the repository of the hub that it stands for, or ''."""
    prefix = next(filter(model.startswith, TIMM_PREFIXES), '')
    if prefix == LOCAL_PREFIX:
        folder = Path(expand(model[len(prefix):]))
        if not (folder / 'config.json').is_file():
            lack = 'has no config.json' if folder.is_dir() else 'is not a folder'
            raise ModelError(f'{model!r}: {str(folder)!r} {lack}; expected a folder with the '
                             'config.json and the weights of a timm model')
        return f'{prefix}{folder}', ''
    if not prefix and not timm.is_model(model):
        name = model.split('.')[0]
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f'; did you mean {" or ".join(near)}?' if near else ''
        raise ModelError(f'timm has no model {model!r}{hint}')
    return model, model[len(prefix):] if prefix else ''


def _timm(model: str, pretrained: bool, model_args: Mapping[str, object], reason: str,
          parameter: str = 'checkpoint') -> nn.Module:
    """Let timm make a model; `reason` is why the hub cannot be asked, '' if it can."""
    try:
        with hub.cache_alone(bool(reason)), WEIGHTS_ALONE:
            return timm.create_model(model, pretrained=pretrained, **model_args)
    except KeyError as error:  # of a config.json of transformers
        raise ModelError(f'{model!r} is not a timm model: its config.json has no {error}. Give '
                         'the name of a model or a repository of timm') from error
    except OSError as error:
        ways = [f'give a file of them with {_ways_to_give(parameter)}',
                'copy a filled cache of the hub here and set HF_HOME to it']
        if parameter == 'checkpoint':
            ways.append('take the model inside this package with model:=demo, --model demo')
        lack = 'the weights' if pretrained else 'config.json'
        raise ModelError(f'{lack} of {model!r} could not be downloaded ({reason or error}). '
                         f'Either {", or ".join(ways)}') from error
    except Exception as error:  # of the libraries, by version and kind of damage
        raise ModelError(f'timm cannot make {model!r} of {dict(model_args)}: {error}') from error


def _ways_to_give(parameter: str) -> str:
    return f'{parameter}:=FILE, in a program with --{parameter.replace("_", "-")} FILE'


def _force_weights_only(value: Optional[str]) -> None:
    if value is None:
        os.environ.pop(FORCE_WEIGHTS_ONLY, None)
    else:
        os.environ[FORCE_WEIGHTS_ONLY] = value


# torch runs no code that a file holds, whatever timm asks for: that of 1.0.21 reads folders, and
# files that a config.json names, as whole pickles
WEIGHTS_ALONE: Held[Optional[str]] = Held(
    lambda: os.environ.get(FORCE_WEIGHTS_ONLY), _force_weights_only, '1')
