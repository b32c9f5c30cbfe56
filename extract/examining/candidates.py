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
from ..forward.trace import Position, pool
from ..models.source import ModelSource

POSITIONS: tuple[Position, ...] = ("last", "first", "mean")
BUDGET = 2048  # tokens of a batch: the states of every layer are held at once
SAME = 1e-5  # of their size: a final norm that changes no more than rounding does is none


@dataclass(frozen=True)
class Candidate:
    """One vector that a model gives for a row."""

    layer: int
    position: Position
    normed: bool = False  # after the model's final norm


@dataclass(frozen=True)
class Candidates:
    """The model's vectors (rows, candidates, width) of some rows, float32, and what each of them is."""

    kinds: tuple[Candidate, ...]
    vectors: NDArray[np.float32]

    def of(self, kind: Candidate) -> NDArray[np.float32]:
        """The vectors (rows, width) of one kind."""
        return self.vectors[:, self.kinds.index(kind)]


def kinds_of(depth: int) -> tuple[Candidate, ...]:
    """Every candidate of a model, layer by layer."""
    stream = [Candidate(layer, position) for layer in range(depth + 1) for position in POSITIONS]
    return (*stream, *(Candidate(depth, position, normed=True) for position in POSITIONS))


def all_states(engine: Engine, source: ModelSource, tokens: Sequence[Tokens]) -> Iterator[tuple[int, list[Tensor]]]:
    """Each row's states (tokens, width) at layers 0 to N, read as the extraction does, and then after the final norm.

    Rows come with their index, in batches of like length.
    """
    lengths, layers = [len(row) for row in tokens], range(source.depth + 1)
    for group in engine.together(lengths):
        for places in batches([lengths[row] for row in group], min(engine.budget, BUDGET)):
            rows = [group[place] for place in places]
            ids, mask = padded([tokens[row] for row in rows], pad=source.pad)
            engine.restore()
            read = engine.reader.read(ids, mask, layers, "all")
            engine.restore()
            normed = _final_states(engine, ids, mask)
            ends = np.cumsum([lengths[row] for row in rows])[:-1].tolist()
            stacks = [read[layer] for layer in layers] + ([] if normed is None else [normed])
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


def candidates_of(states: Sequence[Tensor], depth: int) -> NDArray[np.float32]:
    """One row's vectors (candidates, width), in the order of `kinds_of`; NaN where there is no final norm."""
    layers = list(states[: depth + 1])
    vectors = [torch.stack([layer[-1], layer[0], layer.mean(dim=0)]) for layer in layers]
    normed = states[depth + 1] if len(states) > depth + 1 and states[depth + 1].shape == layers[-1].shape else None
    if normed is None or torch.linalg.vector_norm(normed - layers[-1]) <= SAME * torch.linalg.vector_norm(layers[-1]):
        vectors.append(torch.full_like(vectors[-1], torch.nan))
    else:
        vectors.append(torch.stack([normed[-1], normed[0], normed.mean(dim=0)]))
    return torch.cat(vectors).numpy()
