"""What a model gives for a few rows: its vectors at every layer and position, before and after the final norm."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from w2s_probes.checkpoints.batches import batches, padded
from w2s_probes.checkpoints.tokens import Tokens

from ..forward.engine import Engine
from ..forward.trace import ActivationReader, PartReader, Position, pool
from ..models.source import ModelSource

POSITIONS: tuple[Position, ...] = ("last", "first", "mean")  # and, of a store of one, the marked position
BUDGET = 2048  # tokens of a batch: the states of every layer are held at once
SAME = 1e-5  # of their size: a final norm that changes no more than rounding does is none


@dataclass(frozen=True)
class Candidate:
    """One vector that a model gives for a row."""

    layer: int
    position: str
    normed: bool = False  # after the model's final norm


@dataclass(frozen=True)
class Candidates:
    """The model's vectors (rows, candidates, width) of some rows, float32, and what each of them is."""

    kinds: tuple[Candidate, ...]
    vectors: NDArray[np.float32]

    def of(self, kind: Candidate) -> NDArray[np.float32]:
        """The vectors (rows, width) of one kind."""
        return self.vectors[:, self.kinds.index(kind)]


def kinds_of(depth: int, marked: str | None = None) -> tuple[Candidate, ...]:
    """Every candidate of a model, layer by layer; `marked` is the position that each row marks."""
    positions = [*POSITIONS, *([] if marked is None else [marked])]
    stream = [Candidate(layer, position) for layer in range(depth + 1) for position in positions]
    return (*stream, *(Candidate(depth, position, normed=True) for position in positions))


def all_states(
    engine: Engine, source: ModelSource, tokens: Sequence[Tokens], other: ActivationReader | None = None
) -> Iterator[tuple[int, list[Tensor]]]:
    """Each row's states (tokens, width) at layers 0 to N, read as the extraction does, and then after the final norm.

    They are of the engine's site, or of what an `other` reader of its model reads; a layer that has no such site is
    infinite, and the stream alone comes after the norm, too. Rows come with their index, in batches of like length.
    """
    reader = engine.reader if other is None else other
    of_stream = type(reader) is ActivationReader
    lengths, layers = [len(row) for row in tokens], range(int(isinstance(reader, PartReader)), source.depth + 1)
    for group in engine.together(lengths):
        for places in batches([lengths[row] for row in group], min(engine.budget, BUDGET)):
            rows = [group[place] for place in places]
            ids, mask = padded([tokens[row] for row in rows], pad=source.pad)
            engine.restore()
            read = reader.read(ids, mask, layers, "all")
            normed = None
            if of_stream:
                engine.restore()
                normed = _final_states(engine, ids, mask)
            ends = np.cumsum([lengths[row] for row in rows])[:-1].tolist()
            nowhere = [torch.full_like(read[source.depth], torch.inf)] * layers.start
            stacks = nowhere + [read[layer] for layer in layers] + ([] if normed is None else [normed])
            pieces = [torch.tensor_split(stack.float().cpu(), ends) for stack in stacks]
            for at, row in enumerate(rows):
                yield row, [piece[at] for piece in pieces]


@torch.inference_mode()
def _final_states(engine: Engine, ids: Tensor, mask: Tensor) -> Tensor | None:
    """What the trunk hands on (tokens, width), after its final norm; None where it hands on something else."""
    device = engine.reader.device
    output: Any = engine.reader.model(input_ids=ids.to(device), attention_mask=mask.to(device))
    states = getattr(output, "last_hidden_state", None)
    return pool(states, mask, "all") if isinstance(states, Tensor) and states.ndim == 3 else None


def candidates_of(states: Sequence[Tensor], depth: int, at: int | None = None) -> NDArray[np.float32]:
    """One row's vectors (candidates, width), in the order of `kinds_of`; NaN where there is no final norm.

    `at` is the token at the marked position, where there is one.
    """

    def pooled(layer: Tensor) -> Tensor:
        return torch.stack([layer[-1], layer[0], layer.mean(dim=0), *([] if at is None else [layer[at]])])

    layers = list(states[: depth + 1])
    vectors = [pooled(layer) for layer in layers]
    normed = states[depth + 1] if len(states) > depth + 1 and states[depth + 1].shape == layers[-1].shape else None
    if normed is None or torch.linalg.vector_norm(normed - layers[-1]) <= SAME * torch.linalg.vector_norm(layers[-1]):
        vectors.append(torch.full_like(vectors[-1], torch.nan))
    else:
        vectors.append(pooled(normed))
    return torch.cat(vectors).numpy()
