"""A loaded model that reads rows with its residual stream changed, many changes of many rows in one batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from w2s_probes.checkpoints.batches import batches, padded
from w2s_probes.checkpoints.blocks import block_path_in, path_of
from w2s_probes.checkpoints.tokens import Tokens, refuse_unknown_tokens
from w2s_probes.devices import out_of_memory
from w2s_probes.errors import InputError
from w2s_probes.progress import silent
from w2s_probes.store.dtypes import StoredDtype

from ..forward.engine import BatchProgress, affordable_tokens
from ..forward.fitting import fitting, or_no_memory
from ..forward.layout import refuse_other_layouts
from ..forward.model_state import ModelState
from ..forward.switches import mode_of
from ..forward.trace import ChangedReader, Position
from ..models.loading import Placement, load_speaker, load_trunk
from ..models.source import ModelSource
from .directions import LinearScore
from .steer_files import By


@dataclass(frozen=True, eq=False)
class StreamChanges:
    """V changes of one layer's residual stream, each of them made alone.

    `add` adds the vector to every token's state, in the model's dtype; `ablate` takes the state's component along it
    out, computed in float32. A vector of zeros changes nothing, bit for bit.
    """

    layer: int
    by: By
    vectors: NDArray[np.float32]  # (V, width); of `ablate` of norm 1, or 0
    from_token: int = 0  # the first token that is changed; below 0 counted from a row's end

    def at(self, which: NDArray[np.intp], lengths: Tensor, device: torch.device) -> "RowChanges":
        """The changes (rows,) of a batch, a row each, of rows of these lengths."""
        vectors = torch.from_numpy(self.vectors[which]).to(device)[:, None]
        start = torch.full_like(lengths, self.from_token)
        if self.from_token < 0:
            start = (lengths + self.from_token).clamp(min=0)
        return RowChanges(self.by, vectors, start.to(device) if self.from_token else None)


@dataclass(frozen=True, eq=False)
class RowChanges:
    """What is done to the states of a batch."""

    by: By
    vectors: Tensor  # (rows, 1, width), float32
    start: Tensor | None  # (rows,) each row's first token that is changed; None: every token

    def __call__(self, states: Tensor) -> Tensor:
        """The changed states (rows, length, width)."""
        vectors = self.vectors.to(states.device)
        if self.by == "add":
            changed = states + vectors.to(states.dtype)
        else:
            exact = states.float()
            changed = (exact - (exact * vectors).sum(dim=-1, keepdim=True) * vectors).to(states.dtype)
        if self.start is None:
            return changed
        places = torch.arange(states.shape[1], device=states.device)
        touched = places[None] >= self.start.to(states.device)[:, None]
        return torch.where(touched[:, :, None], changed, states)


@dataclass(frozen=True)
class WordsReadout:
    """The logits of two words after each row, and the log-total: three numbers a row."""

    words: tuple[int, int]  # tokens of labels 0 and 1


@dataclass(frozen=True)
class LayerReadout:
    """A linear probe's log-odds at a layer: one number a row."""

    score: LinearScore
    position: Position


class SteeredModel:
    """A model whose stream is changed at one layer, and what a later layer or its head then says."""

    def __init__(
        self,
        source: ModelSource,
        block_path: str,
        readout: WordsReadout | LayerReadout,
        *,
        dtype: StoredDtype,
        quantization: str | None = None,
        placement: Placement | None = None,
    ) -> None:
        placement = placement or Placement()
        self._source, self._dtype, self._readout = source, dtype, readout
        speaks = isinstance(readout, WordsReadout)
        model = (load_speaker if speaks else load_trunk)(source, dtype, placement, quantization)
        self._path = block_path_in(model, block_path) if speaks else block_path
        self._head = path_of(model, model.get_output_embeddings()) if speaks else ""  # type: ignore[operator]
        self.reader = ChangedReader(model, self._path)
        self._state, self._mode = ModelState(model), mode_of(source.text_config)
        self.budget = placement.batch_tokens or affordable_tokens(source, self.reader.device, dtype)

    def read(
        self,
        tokens: Sequence[Tokens],
        names: Sequence[str],
        changes: StreamChanges,
        progress: BatchProgress = silent,
    ) -> NDArray[np.float64]:
        """The readout's numbers (V, n, numbers) of every row under every change.

        A batch holds rows of like length, each under as many changes as fit; it is halved where memory ends.
        InputError, naming the row, for numbers that are not finite and for a single row that does not fit.
        """
        refuse_unknown_tokens(self._source.name, tokens, self._source.vocabulary, lambda row: f"row {names[row]!r}")
        width, many = changes.vectors.shape[1], len(changes.vectors)
        deepest = max(changes.layer, self._readout.score.layer if isinstance(self._readout, LayerReadout) else 0)
        self._refuse_other_layouts(tokens[0], width, deepest)
        lengths = [len(row) for row in tokens for _ in range(many)]  # a row's changes lie side by side
        found = np.empty((len(lengths), 3 if isinstance(self._readout, WordsReadout) else 1))

        def read(pairs: list[int]) -> NDArray[np.float64] | None:
            rows, which = np.divmod(np.asarray(pairs), many)
            return self._forward([tokens[row] for row in rows], which, changes)

        for budget, pairs, numbers in fitting(
            lengths,
            self.budget,
            lambda budget, left: batches(lengths, budget, left, self._mode),
            read,
            lambda pair: self._too_long(names[pair // many], lengths[pair]),
        ):
            self.budget = budget
            found[pairs] = numbers
            progress(len(pairs), sum(lengths[pair] for pair in pairs))
        lost = ~np.isfinite(found).all(axis=1)
        if lost.any():
            row, change = divmod(int(lost.argmax()), many)
            why = (
                "a smaller --strength" if changes.vectors[change].any() else "--dtype bfloat16 or float32 at extraction"
            )
            raise InputError(f"row {names[row]!r} gives numbers that are NaN or infinite in {self._dtype}: try {why}")
        return found.reshape(len(tokens), many, -1).swapaxes(0, 1)

    def _forward(
        self, tokens: Sequence[Tokens], which: NDArray[np.intp], changes: StreamChanges
    ) -> NDArray[np.float64] | None:
        """One batch: numbers (rows, numbers); None where it does not fit into memory."""
        ids, mask = padded(tokens, pad=self._source.pad)
        change = changes.at(which, mask.sum(dim=1), self.reader.device)
        self._state.restore()

        def run() -> NDArray[np.float64]:
            if isinstance(self._readout, WordsReadout):
                next_token = self.reader.logits(ids, mask, changes.layer, change, self._head).float()
                chosen = next_token[:, list(self._readout.words)]
                total = next_token.logsumexp(dim=-1, keepdim=True)
                return torch.cat([chosen, total], dim=1).cpu().numpy().astype(np.float64)
            score = self._readout.score
            vectors = self.reader.vectors(ids, mask, changes.layer, change, score.layer, self._readout.position)
            return score.log_odds(vectors.float().cpu().numpy())[:, None]

        failed = f"model {self._source.name} fails on texts of {ids.shape[1]} tokens in {self._dtype}"
        return or_no_memory(run, failed, "another --attn")

    def _too_long(self, row: str, tokens: int) -> str:
        return (
            f"row {row!r} with {tokens} tokens does not fit into the memory of {self.reader.device}: shorten or drop "
            "it, or give --device-map auto"
        )

    def _refuse_other_layouts(self, tokens: Tokens, width: int, deepest: int) -> None:
        layers = list(range(deepest + 1))
        try:
            refuse_other_layouts(self.reader.model, self._path, width, layers, tokens.tolist(), self.reader.device)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise  # the rows themselves will not fit either, and are refused by name
