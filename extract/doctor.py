"""The doctor: on a few rows of the user's model, extraction's numbers beside the same ones got in other ways."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from w2s_probes.checkpoints.batches import padded
from w2s_probes.checkpoints.tokens import Tokens
from w2s_probes.errors import InputError
from w2s_probes.rows.offsets import offsets_of
from w2s_probes.store.activation_store import ActivationStore
from w2s_probes.store.dtypes import to_float32
from w2s_probes.store.shards import Content

from .extractor import Extraction
from .forward.engine import Engine
from .forward.row_check import TOLERANCE, difference
from .forward.trace import ActivationReader, Position, hidden, pool
from .models.fits import refuse_too_large
from .models.loading import Placement
from .models.pooling import position_remarks
from .positions import mark_of
from .site import RESIDUAL

ROWS = 8
# Of very different lengths, so that padding shows; used where no rows are given.
TEXTS = (
    "Yes.",
    "The cat sat on the mat.",
    "Is it true that water boils at a lower temperature on a high mountain than by the sea?",
    "No, thank you",
    "She promised to return the book on Friday, but by Monday it still lay on her desk, unread and unopened.",
    "A train leaves at noon, and another follows an hour later, twice as fast. When do the two meet, and where?",
    "Wrong answer",
    "The committee, having heard both sides at length, adjourned without a decision, as it did every year.",
)
LONGEST = 2.0  # seconds of the batch that is timed
WHOLE = (
    "the doctor loads it whole: `w2s extract --offload` compares some rows with the same ones alone by itself, and in "
    "other devices' memory the doctor works by --device-map"
)
ROUNDED = 0.5  # the same for half precision against float32, where nothing is wrong but the rounding


@dataclass(frozen=True)
class Check:
    """One comparison of the same vectors that were got in two ways."""

    name: str
    worst: float  # largest difference of a vector, as a share of the median distance between rows; the worst layer's
    layer: int
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether the two ways agree."""
        return self.worst <= self.tolerance  # NaN does not


@dataclass(frozen=True)
class ReadingSpeed:
    """The rate at which the loaded model read tokens."""

    tokens_per_s: float
    batch: int  # tokens of the batch that was timed
    place: str  # the device, in words

    def __str__(self) -> str:
        rate = f"{self.tokens_per_s:,.0f}" if self.tokens_per_s >= 10 else f"{self.tokens_per_s:.2g}"
        return f"{rate} tokens/s on {self.place}, in a batch of {self.batch:,} tokens"


@dataclass(frozen=True)
class Diagnosis:
    """The doctor's checks, with the tokens read, remarks and speed."""

    checks: tuple[Check, ...]
    read: tuple[str, ...]  # the token that stands for each row, a line each
    remarks: tuple[str, ...]  # properties of this model, or of the position, that a user may not expect
    speed: ReadingSpeed  # of the same model, loaded, on this machine

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(check.ok for check in self.checks)

    def record(self) -> dict[str, Any]:
        """The checks, for a manifest's notes."""
        return {"ok": self.ok, "checks": [asdict(check) | {"ok": check.ok} for check in self.checks]}


def sample_plan(plan: Extraction, rows: int = ROWS) -> Extraction:
    """The same extraction of a few rows, from the shortest text to the longest."""
    order = plan.rows["text"].str.len().to_numpy().argsort(kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, rows).round().astype(int))]
    return replace(plan, rows=plan.rows.iloc[np.sort(chosen)].reset_index(drop=True))


def example_rows() -> pd.DataFrame:
    """The doctor's own texts."""
    return pd.DataFrame({"id": [f"text-{i}" for i in range(len(TEXTS))], "text": list(TEXTS)})


def diagnose(
    plan: Extraction,
    *,
    placement: Placement | None = None,
    store: ActivationStore | None = None,
    against_float32: bool = True,
) -> Diagnosis:
    """Compare the numbers of an extraction of the plan's (few) rows with the same ones got in other ways.

    Batched with single rows, padded left with right, through nnsight with plain hooks, read back from a store with
    fresh (from `store`, if given, which must hold the plan's rows; otherwise from a new one), and the dtype with
    float32, for which the model is loaded once more. Raises InputError where fewer than two rows differ, and for a
    model that does not fit into memory.
    """
    if plan.source.remote:
        raise InputError(f"model {plan.source.name}: runs on NDIF, and the doctor needs the model here")
    if plan.site != RESIDUAL or mark_of(plan.position) is not None:
        raise InputError(
            f"position {plan.position[:60]}, site {plan.site.spelled[:60]}: of these the doctor looks at stores alone: "
            f"give w2s doctor STORE --model {plan.source.name} --rows ROWS"
        )
    names = plan.rows["id"].tolist()
    tokens = plan.encoding.encode_rows(plan.source.tokenizer, plan.rows).rows
    if len({row.tobytes() for row in tokens}) < 2:
        raise InputError("the doctor needs at least two different texts: give more --rows")
    placement = placement or Placement()
    twice = against_float32 and plan.dtype != "float32" and plan.quantization is None
    refuse_too_large(plan.source, plan.dtype, placement.device_map, plan.quantization, WHOLE)
    if twice:
        refuse_too_large(plan.source, "float32", placement.device_map, None, "give --no-float32")
    engine = plan.engine(placement)
    words, pad = engine.read(tokens, names), plan.source.pad
    fresh = {layer: to_float32(layer_words, plan.dtype) for layer, layer_words in words.items()}
    together, single = engine.together([len(row) for row in tokens]), [[row] for row in range(len(tokens))]
    ways: dict[str, Mapping[int, NDArray[np.float32]]] = {
        "batched = single rows": _in_groups(engine, plan, tokens, single, lambda batch: _read(engine, plan, batch)),
        "padded left = padded right": _in_groups(
            engine, plan, tokens, together, lambda batch: _read(engine, plan, batch, left=True)
        ),
        "nnsight = plain hooks": _in_groups(
            engine, plan, tokens, together, lambda batch: _by_hooks(engine.reader, plan, *padded(batch, pad=pad))
        ),
    }
    checks = [_compared(name, fresh, other, TOLERANCE[plan.dtype]) for name, other in ways.items()]
    if store is None:
        checks.append(_compared("stored = fresh, bit for bit", fresh, _through_a_store(plan, words, tokens), 0.0))
    else:
        stored = {layer: _stored(store, layer, names) for layer in plan.layers}
        checks.append(_compared("stored = fresh", fresh, stored, TOLERANCE[plan.dtype]))
    speed = _speed(engine, tokens, names)
    if twice:
        del engine, ways  # its memory is needed
        exact = replace(plan, dtype="float32").engine(placement).read(tokens, names)
        checks.append(_compared(f"{plan.dtype} ~ float32", fresh, exact, ROUNDED))
    read = tuple(_token_read(plan, *row) for row in zip(names, tokens, strict=True))
    remarks = [*plan.source.remarks, *position_remarks(plan.source, plan.position, plan.encoding)]
    return Diagnosis(tuple(checks), read, tuple(remarks), speed)


def _speed(engine: Engine, tokens: Sequence[Tokens], names: Sequence[str]) -> ReadingSpeed:
    """The rate at which a batch of these rows, repeated up to the usual size, is read; measured in some seconds."""
    once, repeats = _seconds(engine, tokens, names), 1
    count = sum(map(len, tokens))
    while 2 * once < LONGEST and 2 * repeats * count <= engine.budget:
        repeats *= 2
        once = _seconds(engine, list(tokens) * repeats, list(names) * repeats)
    once = min(once, _seconds(engine, list(tokens) * repeats, list(names) * repeats))
    return ReadingSpeed(repeats * count / once, min(repeats * count, engine.budget), engine.place)


def _seconds(engine: Engine, tokens: Sequence[Tokens], names: Sequence[str]) -> float:
    begin = time.perf_counter()
    engine.read(tokens, names)
    return time.perf_counter() - begin


def _position(plan: Extraction) -> Position:
    """The plan's position, which is none that the rows mark: such plans are refused."""
    return cast(Position, plan.position)


def _read(
    engine: Engine, plan: Extraction, tokens: Sequence[Tokens], *, left: bool = False
) -> dict[int, NDArray[np.float32]]:
    read = engine.reader.read(*padded(tokens, pad=plan.source.pad, left=left), plan.layers, _position(plan))
    return {layer: vectors.float().cpu().numpy() for layer, vectors in read.items()}


def _in_groups(
    engine: Engine,
    plan: Extraction,
    tokens: Sequence[Tokens],
    groups: Sequence[Sequence[int]],
    read: Callable[[list[Tokens]], dict[int, NDArray[np.float32]]],
) -> dict[int, NDArray[np.float32]]:
    """The vectors of all rows, in their order, read group by group, the model's state put back before each."""
    by_row: dict[int, dict[int, NDArray[np.float32]]] = {}
    for rows in groups:
        engine.restore()
        vectors_of = read([tokens[row] for row in rows])
        ends = np.cumsum([len(tokens[row]) if plan.position == "all" else 1 for row in rows])[:-1]
        pieces = {layer: np.split(vectors, ends) for layer, vectors in vectors_of.items()}
        by_row |= {row: {layer: pieces[layer][at] for layer in pieces} for at, row in enumerate(rows)}
    return {layer: np.concatenate([by_row[row][layer] for row in range(len(tokens))]) for layer in plan.layers}


def _by_hooks(reader: ActivationReader, plan: Extraction, ids: Tensor, mask: Tensor) -> dict[int, NDArray[np.float32]]:
    """The vectors of the same batch through the bare model: everything is run, and torch's own hooks read it."""
    blocks = list(reader.model.get_submodule(plan.source.block_path).children())
    seen: dict[int, Tensor] = {}

    def going_in(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seen[0] = pool(args[0] if args else kwargs["hidden_states"], mask, _position(plan))

    hooks = [blocks[0].register_forward_pre_hook(going_in, with_kwargs=True)]
    for layer, block in enumerate(blocks, start=1):
        hooks.append(
            block.register_forward_hook(
                lambda _m, _a, out, layer=layer: seen.update({layer: pool(hidden(out), mask, _position(plan))})
            )
        )
    try:
        with torch.inference_mode():
            reader.model(input_ids=ids.to(reader.device), attention_mask=mask.to(reader.device))
    finally:
        for hook in hooks:
            hook.remove()
    return {layer: seen[layer].float().cpu().numpy() for layer in plan.layers}


def _through_a_store(
    plan: Extraction, words: dict[int, NDArray[Any]], tokens: Sequence[Tokens]
) -> dict[int, NDArray[np.float32]]:
    names, ragged = plan.rows["id"].tolist(), plan.position == "all"
    ends = offsets_of([len(row) if ragged else 1 for row in tokens])
    with tempfile.TemporaryDirectory() as folder:
        writer = plan.writer(Path(folder) / "store")
        for part in writer.missing():
            rows = writer.rows_of(part)
            first, last = ends[rows.start], ends[rows.stop]
            offsets = ends[rows.start : rows.stop + 1] - first if ragged else None
            layers = {layer: layer_words[first:last] for layer, layer_words in words.items()}
            writer.write(part, Content(names[rows], layers, 0, offsets, np.concatenate(tokens[rows])))
        store = writer.finish({})
        assert store is not None  # no other process writes there
        return {layer: _stored(store, layer, names) for layer in plan.layers}


def _stored(store: ActivationStore, layer: int, names: list[str]) -> NDArray[np.float32]:
    return store.tokens(layer, ids=names).values if store.manifest.ragged else store.layer(layer, ids=names)


def _compared(
    name: str,
    fresh: Mapping[int, NDArray[np.float32]],
    other: Mapping[int, NDArray[np.float32]],
    tolerance: float,
) -> Check:
    worst = {layer: difference(vectors, other[layer]) for layer, vectors in fresh.items()}
    layer = max(worst, key=lambda layer: (np.isnan(worst[layer]), worst[layer]))
    return Check(name, worst[layer], layer, tolerance)


def _token_read(plan: Extraction, name: str, tokens: Tokens) -> str:
    position = _position(plan)
    if position in ("mean", "all"):
        return f"row {name!r}: {position} of {len(tokens)} tokens"
    at = len(tokens) - 1 if position == "last" else 0
    return f"row {name!r}: token {at + 1} of {len(tokens)}, {plan.source.tokenizer.decode([int(tokens[at])])!r}"
