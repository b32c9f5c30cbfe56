"""Integrated gradients: what each token adds on the straight way from a text that says nothing to this one."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .gradients import BATCH, Tracer
from .readouts import Readout

Baseline = Literal["mean", "zero"]
VOCABULARY = 8192  # tokens whose embeddings are looked up at once


@dataclass(frozen=True)
class Integrated:
    """The integral along the way, and how far its sum is from what it is to add up to."""

    values: NDArray[np.float64]  # (tokens,) log-odds
    baseline: float  # the log-odds where the way begins
    log_odds: float  # and where it ends

    @property
    def gap(self) -> float:
        """Log-odds of the text, less those of the baseline and all values: 0 but for the steps being finitely many."""
        return self.log_odds - self.baseline - float(self.values.sum())


def integrated_gradients(
    tracer: Tracer, ids: NDArray[np.int32], layer: int, read: Readout, *, steps: int, baseline: Baseline = "mean"
) -> Integrated:
    """Integrated gradients (Sundararajan et al. 2017, eq. 1) of a text's token ids (tokens,), in `steps` points.

    Gauss-Legendre points and weights, exact for polynomials up to degree 2 steps - 1. Gradients are the model's own,
    normalisations included: the values add up to the log-odds less those of the baseline. That has the mean of the
    table of embeddings, or 0, in the place of every token, and the text's own positions.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    at, weights = (nodes + 1) / 2, weights / 2
    text = torch.from_numpy(np.asarray(ids, dtype=np.int64))[None].to(tracer.device)
    with torch.inference_mode():
        whole = tracer.embedding(text)[0].clone()
        start = mean_embedding(tracer).to(whole) if baseline == "mean" else torch.zeros_like(whole[0])
    way = whole - start  # (tokens, width)
    sums = torch.zeros(len(ids), dtype=torch.float64, device=way.device)
    for first in range(0, steps, step := max(1, BATCH // len(ids))):
        share = torch.from_numpy(at[first : first + step]).to(way)[:, None, None]
        gradients, _ = _gradients(tracer, text, start + share * way, layer, read)
        part = torch.from_numpy(weights[first : first + step]).to(way.device)
        sums += torch.einsum("s,std,td->t", part, gradients.double(), way.double())
    ends = torch.stack([start.expand_as(whole), whole])
    _, log_odds = _gradients(tracer, text, ends, layer, read)
    return Integrated(sums.cpu().numpy(), float(log_odds[0]), float(log_odds[1]))


def mean_embedding(tracer: Tracer) -> Tensor:
    """The mean (width,) of what the model gives the tokens that it knows, before positions are added."""
    if tracer.mean_embedding is None:
        known = int(tracer.model.config.get_text_config().vocab_size)  # type: ignore[union-attr, operator]
        total: Tensor | None = None
        with torch.inference_mode():
            for first in range(0, known, VOCABULARY):
                some = torch.arange(first, min(known, first + VOCABULARY), device=tracer.device)[None]
                part = tracer.embedding(some)[0].double().sum(dim=0)
                total = part if total is None else total + part
        assert total is not None
        tracer.mean_embedding = (total / known).clone()
    return tracer.mean_embedding


def _gradients(tracer: Tracer, text: Tensor, embedded: Tensor, layer: int, read: Readout) -> tuple[Tensor, Tensor]:
    """Gradients (steps, tokens, width) of the log-odds (steps,) by embeddings in the place of the text's own."""
    ids = text.expand(len(embedded), -1)
    mask = torch.ones_like(ids)
    with torch.enable_grad(), tracer.watching(layer, instead=embedded) as seen:
        tracer.model(input_ids=ids, attention_mask=mask)
        log_odds = read.log_odds(seen["states"], mask)
        (found,) = torch.autograd.grad(log_odds.sum(), [seen["embedded"]], allow_unused=True)
    return torch.zeros_like(embedded) if found is None else found, log_odds.detach()
