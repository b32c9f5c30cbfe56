"""Filters that say themselves how many rows go: by a noise channel's posterior, or by cleanlab's confident learning."""

from dataclasses import replace
from importlib import import_module
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import probabilities
from ..errors import InputError, did_you_mean
from ..labels.label_set import ids_of, refuse_other_ids
from ..labels.verdicts import KEPT
from ..ties import above_half, levels
from .disagreement import FilterResult, class_parts, farthest
from .judges import CHANNEL, CONFIDENT, PruneBy, refuse_no_cleanlab
from .shares import refuse_shares, share_of

CONTRADICTS, ISSUE = "posterior contradicts the label", "label issue"  # the reasons of rows that go


def channel_filter(
    y: ArrayLike, posterior: ArrayLike, contamination: float | None = None, *, per_class: bool = False
) -> FilterResult:
    """Drop the rows whose posterior (n,), of `channel_model`, is of the other class than their label y (n,).

    A contradiction is of sides of ½, so that as many rows go as are likelier wrong than right; with `contamination` at
    most that share of the rows, or of each class, those whose label is farthest from the posterior first.
    """
    refuse_other_ids({"labels": ids_of(y), "posterior": ids_of(posterior)})
    labels, q = probabilities(y, "labels"), probabilities(posterior, "posterior")
    _refuse_lengths(labels, q, "posteriors")
    gone = above_half(labels) != above_half(q)
    result = _judged(labels, q, gone, np.abs(labels - q), CONTRADICTS, contamination, per_class)
    return replace(result, ids=ids_of(y), probe=CHANNEL)


def confident_filter(
    y: ArrayLike,
    p: ArrayLike,
    contamination: float | None = None,
    *,
    filter_by: PruneBy = "prune_by_noise_rate",
    per_class: bool = False,
) -> FilterResult:
    """Drop the rows that cleanlab's `find_label_issues(filter_by=…)` finds, by out-of-sample P(label = 1), p (n,).

    Labels y (n,) count by their side of ½. `scores` are 1 - `get_label_quality_scores` (self-confidence). With
    `contamination` at most that share of the rows goes, or of each class, the worst by score first. InputError where
    cleanlab is not installed, for labels of one class, and for what it refuses.
    """
    refuse_no_cleanlab()
    if filter_by not in get_args(PruneBy):
        raise InputError(f"filter_by={filter_by!r}: {did_you_mean(filter_by, get_args(PruneBy))}")
    refuse_other_ids({"labels": ids_of(y), "probe scores": ids_of(p)})
    labels, scores = probabilities(y, "labels"), probabilities(p, "probe scores")
    _refuse_lengths(labels, scores, "probe scores")
    classes = above_half(labels).astype(int)
    if len(np.unique(classes)) < 2:
        raise InputError(f"one class only: all {len(labels)} labels are on the same side of 0.5; cleanlab needs both")
    both = np.column_stack([1 - scores, scores])
    gone = _cleanlab("filter").find_label_issues(classes, both, filter_by=filter_by, n_jobs=1)
    quality = _cleanlab("rank").get_label_quality_scores(classes, both)
    result = _judged(labels, scores, np.asarray(gone, dtype=bool), 1 - quality, ISSUE, contamination, per_class)
    return replace(result, ids=ids_of(y), probe=CONFIDENT)


def _cleanlab(module: str) -> Any:
    try:
        return import_module(f"cleanlab.{module}")
    except ImportError as error:
        raise InputError(f"cleanlab cannot be imported ({error}): pip install 'w2s-probes[cleanlab]'") from error


def _judged(
    labels: NDArray[np.float64],
    p: NDArray[np.float64],
    gone: NDArray[np.bool_],
    scores: NDArray[np.float64],
    reason: str,
    contamination: float | None,
    per_class: bool,
) -> FilterResult:
    """The verdict by which `gone` (n,) go, or the worst of them where they are more than the share."""
    if contamination is None:
        if per_class:
            raise InputError("per_class shares out a contamination, and none is given: give one, or leave it out")
        dropped, requested = gone, int(gone.sum())
    else:
        refuse_shares(contamination)
        order, dropped, requested = levels(scores), np.zeros(len(gone), dtype=bool), 0
        for rows in class_parts(labels, per_class):
            candidates, most = rows[gone[rows]], share_of(len(rows), contamination)
            requested += min(most, len(candidates))
            dropped[farthest(candidates, order, min(most, len(candidates)))] = True
    return FilterResult(~dropped, scores, np.where(dropped, reason, KEPT).astype(object), labels, requested, p=p)


def _refuse_lengths(labels: NDArray[np.float64], scores: NDArray[np.float64], name: str) -> None:
    if len(labels) != len(scores):
        raise InputError(f"{len(labels)} labels but {len(scores)} {name}")
