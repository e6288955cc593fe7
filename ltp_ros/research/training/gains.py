# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What an adaptation has gained, level by level."""
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

import torch
from torch import nn

from ltp_ros.research.accuracy.answers import UNPRUNED, Answers, Variant, top_classes
from ltp_ros.research.accuracy.rows import gain


def gains(teacher: nn.Module, before: nn.Module, after: nn.Module, ladder: Sequence[Variant],
          batches: Iterable[Tuple[torch.Tensor, torch.Tensor]],
          labels: Optional[torch.Tensor] = None) -> List[Dict[str, Optional[float]]]:
    """Return the gain from adaptation at each level, in percent of n images.

    Args:
        teacher: the original model, of the method 'none'.
        before: the model of the levels before its adaptation.
        after: the same after it.
        ladder: levels of one method.
        batches: preprocessed images (B, 3, H, W), for the teacher and for the levels.
        labels: those of all images, read or not, if known.

    Returns:
        A row for each level: keep_ratio, n, and for 'agreement' (with the teacher) and, with
        labels, 'top1': `_before`, `_after`, and `_gain` with its paired bootstrap interval.
    """
    original, old, new = Answers([UNPRUNED]), Answers(ladder), Answers(ladder)
    for whole, images in batches:
        original.add(top_classes({UNPRUNED.method: teacher}, whole, [UNPRUNED], k=1))
        for model, answers in ((before, old), (after, new)):
            answers.add(top_classes({ladder[0].method: model}, images, ladder, k=1))
    rows = []
    for variant in ladder:
        row: Dict[str, Optional[float]] = {
            'keep_ratio': variant.keep_ratio, 'n': len(old[variant])}
        wanted = {'agreement': original[UNPRUNED][:, 0]}
        if labels is not None:
            wanted['top1'] = labels[old.read]
        for name, right in wanted.items():
            ours, theirs = new[variant][:, 0] == right, old[variant][:, 0] == right
            row.update({f'{name}_before': 100.0 * float(theirs.float().mean()),
                        f'{name}_after': 100.0 * float(ours.float().mean()),
                        **gain(f'{name}_gain', ours, theirs)})
        rows.append(row)
    return rows
