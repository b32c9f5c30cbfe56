"""The store of imported layers that hold a vector a token: its parts are whole rows, of as many tokens as have room."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..io.files import refuse_no_place
from ..places.sole_writer import sole_writer
from ..rows.offsets import offsets_of
from ..store.activation_store import ActivationStore
from ..store.dtypes import WORDS, to_float32
from ..store.shards import Content
from ..store.writer import StoreWriter
from .by_layer import Layers
from .written import SHARD_BYTES, SHARD_ROWS, Report, as_stored, refused_row

MOST_ID = 2**31 - 1  # of a token, as stores keep it


@dataclass(frozen=True)
class RowTokens:
    """Where each row's tokens begin and end among the vectors of a layer, and what tokens they are."""

    ends: NDArray[np.int64]  # (rows + 1,)
    ids: NDArray[np.int32]  # (tokens,)

    @classmethod
    def of(
        cls,
        counts: Sequence[int | None],
        told: Sequence[NDArray[Any] | None],
        own: Sequence[Any] | None,
        names: Sequence[str],
        where: str,
    ) -> Self:
        """From what files tell of each row, its number of tokens and these, and `own`, what the tokenizer gives.

        InputError, by row, where neither tells the tokens, where they are fewer or more than the vectors, and for an
        id that is none.
        """
        rows: list[NDArray[Any]] = []
        for row, name in enumerate(names):
            ids = told[row] if told[row] is not None else None if own is None else np.asarray(own[row])
            if ids is None:
                raise InputError(
                    f"{where}: does not tell the tokens of row {name!r}, which a store of every token holds: give the "
                    "--model whose tokenizer made them"
                )
            if counts[row] is not None and len(ids) != counts[row]:
                raise InputError(f"{where}: row {name!r} has {counts[row]} vectors and {len(ids)} tokens")
            if len(unfit := ids[(ids < 0) | (ids > MOST_ID)]):
                raise InputError(f"{where}: row {name!r} names token {int(unfit[0])}: no id of a token")
            rows.append(ids)
        ends = offsets_of([len(ids) for ids in rows])
        return cls(ends, np.concatenate(rows).astype(np.int32) if rows else np.empty(0, np.int32))

    def rows_of_a_part(self, token_bytes: int) -> int:
        """The most rows, up to SHARD_ROWS, any so many of which in a row have at most SHARD_BYTES; one at least."""
        rows = min(SHARD_ROWS, len(self.ends) - 1)
        while rows > 1 and int((self.ends[rows:] - self.ends[:-rows]).max()) * token_bytes > SHARD_BYTES:
            rows //= 2
        return max(1, rows)


def write_token_store(
    out: Path | str,
    part: Layers,
    tokens: RowTokens,
    path: Path,
    ids: Sequence[str],
    *,
    identity: dict[str, Any],
    depth: int,
    notes: dict[str, Any],
    report: Report,
) -> ActivationStore:
    """The ragged store at `out` of layers whose words are (tokens, width), one row's tokens after another's.

    Rows are read a part of the store at a time: once to see that all is finite, before anything is written, and once
    to copy them. InputError naming a row that is not finite.
    """
    layers, ends = sorted(part.words), tokens.ends
    refuse_no_place(Path(out))
    with sole_writer(Path(out), Path(out)):
        writer = StoreWriter.open(
            out,
            identity=identity,
            sites={layer: part.sites[layer] for layer in layers},
            depth=depth,
            width=part.width,
            dtype=part.dtype,
            ids=list(ids),
            shard_rows=tokens.rows_of_a_part(part.width * WORDS[part.dtype].itemsize * len(layers)),
            ragged=True,
        )
        if missing := writer.missing():
            step = writer.manifest.shard_rows
            for start in range(0, len(ids), step):
                _refuse_non_finite(part, tokens, path, ids, slice(start, min(start + step, len(ids))))
            report(0, len(missing))
            for done, number in enumerate(missing, start=1):
                chosen = writer.rows_of(number)
                first, last = int(ends[chosen.start]), int(ends[chosen.stop])
                words = {layer: as_stored(part.words[layer][first:last], part) for layer in layers}
                offsets = ends[chosen.start : chosen.stop + 1] - first
                writer.write(number, Content(ids[chosen], words, 0, offsets, tokens.ids[first:last]))
                report(done, len(missing))
        store = writer.finish(notes)
        assert store is not None  # every part has just been written
        return store


def _refuse_non_finite(part: Layers, tokens: RowTokens, path: Path, ids: Sequence[str], rows: slice) -> None:
    first, last = int(tokens.ends[rows.start]), int(tokens.ends[rows.stop])
    for layer, words in part.words.items():
        finite = np.isfinite(to_float32(as_stored(words[first:last], part), part.dtype)).all(axis=1)
        if not finite.all():
            row = int(np.searchsorted(tokens.ends, first + int(finite.argmin()), side="right")) - 1
            raise refused_row(path, layer, ids[row])
