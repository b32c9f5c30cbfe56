"""Parts of stores computed and written: tokens are made ahead and files written behind, while the model works.

Several stores of the same rows and layers, at a position each, are filled by one reading of the rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.errors import InputError
from w2s_probes.io.files import refuse_no_place
from w2s_probes.progress import RowProgress, RowsRead
from w2s_probes.rows.offsets import offsets_of
from w2s_probes.share import Share
from w2s_probes.store.activation_store import ActivationStore
from w2s_probes.store.dtypes import StoredDtype
from w2s_probes.store.shards import Content
from w2s_probes.store.writer import StoreWriter

from .encoding import EncodedAhead, Encoding
from .forward.engine import Engine
from .forward.part_reading import TokenizedPart
from .forward.row_check import PARTS, refuse_dependent_rows, rows_to_check
from .models.loading import Placement
from .models.source import ModelSource
from .offload.offloaded_engine import OffloadedEngine
from .rendering import Span
from .site import Site


class Plan(Protocol):
    """What is asked of an `Extraction` here."""

    @property
    def source(self) -> ModelSource: ...
    @property
    def rows(self) -> pd.DataFrame: ...
    @property
    def layers(self) -> list[int]: ...
    @property
    def position(self) -> str: ...
    @property
    def marks(self) -> list[Span] | None: ...
    @property
    def dtype(self) -> StoredDtype: ...
    @property
    def encoding(self) -> Encoding: ...
    @property
    def quantization(self) -> str | None: ...
    @property
    def site(self) -> Site: ...
    @property
    def left_out(self) -> tuple[str, ...]: ...
    @property
    def token_names(self) -> dict[str, int]: ...
    def writer(self, out: Path | str, processes: int = 1) -> StoreWriter: ...
    def reader(self, placement: Placement, *, positions: Sequence[str] = ()) -> Engine | OffloadedEngine: ...


def run_together(
    plans: Sequence[Plan],
    outs: Sequence[Path | str],
    placement: Placement | None,
    *,
    engine: Engine | None,
    share: Share,
    cut_for: int | None,
    notes: Mapping[str, Any] | None,
    progress: RowProgress,
    check: bool,
) -> list[ActivationStore | None]:
    """Write each plan's store, or go on with it (see `Extraction.run`); the plans differ in their positions alone."""
    first = plans[0]
    writers = [plan.writer(out, cut_for or share.count) for plan, out in zip(plans, outs, strict=True)]
    if len({writer.manifest.shard_rows for writer in writers}) > 1:
        sizes = ", ".join(f"{writer.path} {writer.manifest.shard_rows}" for writer in writers)
        raise InputError(f"the stores are cut into parts of other numbers of rows ({sizes}): finish each by itself")
    missing = sorted({part for writer in writers for part in writer.missing()})
    parts = {part: writers[0].rows_of(part) for part in missing if share.has(part)}
    placement = placement or Placement()
    all_notes: dict[str, Any] = {"model": first.source.name, **(notes or {})}
    all_notes |= {"attn": placement.attn} if placement.attn else {}
    all_notes |= {"remote": True} if first.source.remote else {}
    all_notes |= {"offload": True} if placement.offload is not None else {}
    all_notes |= {"logits_of": first.token_names} if first.site.tokens else {}
    all_notes |= {"left_out": list(first.left_out)} if first.left_out else {}
    if parts:
        for writer in writers:
            refuse_no_place(writer.path)
        load = (
            (lambda: engine)
            if engine is not None
            else (lambda: first.reader(placement, positions=[plan.position for plan in plans]))
        )
        all_notes |= fill(plans, writers, parts, load, all_notes, progress, check)
        for writer in writers:
            if lost := set(parts) & set(writer.missing()):
                raise InputError(
                    f"{writer.path}: part {min(lost)}, written just now, cannot be read back: is its disk sound?"
                )
    return [writer.finish(all_notes) for writer in writers]


def fill(
    plans: Sequence[Plan],
    writers: Sequence[StoreWriter],
    parts: dict[int, slice],
    load: Callable[[], Engine | OffloadedEngine],
    notes: dict[str, Any],
    progress: RowProgress,
    check: bool,
) -> dict[str, Any]:
    """Compute some parts and write them to the stores that lack them.

    Returns notes on this machine, which stand in the manifest from the first part on beside `notes`.
    """
    plan = plans[0]
    to_check, quantized = PARTS if check and not plan.source.remote else 0, plan.quantization is not None
    of_rows, done = sum(chosen.stop - chosen.start for chosen in parts.values()), RowsRead(0, 0)
    marks = [plan.marks for plan in plans if plan.marks is not None]
    with closing(EncodedAhead(plan.source, plan.encoding, plan.rows, parts, marks)) as ahead:
        if plan.encoding.truncation == "off" or marks:
            ahead.wait([plan.position for plan in plans if plan.marks is not None])
        engine = load()  # while the first tokens are made
        for writer in writers:
            writer.note(notes | _notes_of(engine))
        with ThreadPoolExecutor(1, thread_name_prefix="disk") as disk:
            written: list[Future[None]] = []

            def advance(rows: int, tokens: int) -> None:
                nonlocal done
                done = RowsRead(done.rows + rows, of_rows, done.tokens + tokens, ahead.tokens)
                progress(done)

            def tokenized() -> Iterator[TokenizedPart]:
                nonlocal to_check
                for number, chosen in parts.items():
                    if all(number not in writer.missing() for writer in writers):  # another process was given the same
                        advance(chosen.stop - chosen.start, 0)
                        continue
                    encoded, names = ahead.take(number), plan.rows["id"].iloc[chosen].tolist()
                    checked = rows_to_check(encoded.rows) if to_check else []
                    to_check = max(0, to_check - 1)
                    yield TokenizedPart(number, names, encoded.rows, encoded.cut, checked, encoded.at)

            for read in engine.read_parts(tokenized(), advance):
                part = read.part
                if part.checked:
                    side_by_side = np.arange(len(part.names) + 1) * len(plans) if len(plans) > 1 else None
                    content = packed(part, read.layers, every_token=plan.position == "all", offsets=side_by_side)
                    refuse_dependent_rows(read.alone, part.tokens, content, plan.dtype, at=part.at, quantized=quantized)
                for future in written:
                    future.result()  # at most one part waits for the disk
                written = [
                    disk.submit(
                        writer.write,
                        part.number,
                        packed(part, _at(read.layers, which, len(plans)), every_token=plan.position == "all"),
                    )
                    for which, writer in enumerate(writers)
                    if part.number in writer.missing()
                ]
            for future in written:
                future.result()
    return _notes_of(engine)


def _at(layers: Mapping[int, NDArray[Any]], which: int, positions: int) -> Mapping[int, NDArray[Any]]:
    """The words of one of several positions, which stand side by side."""
    return layers if positions == 1 else {layer: words[which::positions] for layer, words in layers.items()}


def packed(
    part: TokenizedPart,
    layers: Mapping[int, NDArray[Any]],
    *,
    every_token: bool,
    offsets: NDArray[np.int64] | None = None,
) -> Content:
    """The content of a shard, from the words of a part's rows."""
    if not every_token:
        return Content(part.names, layers, part.cut, offsets)
    offsets = offsets_of([len(row) for row in part.tokens])
    return Content(part.names, layers, part.cut, offsets, np.concatenate(part.tokens))


def _notes_of(engine: Engine | OffloadedEngine) -> dict[str, Any]:
    """The device and the versions that computed, for a manifest's notes."""
    versions = {package: version(package) for package in ("torch", "transformers", "nnsight")}
    parts = sorted(set(engine.site_modules.values()))
    modules = {"site_modules": parts} if parts else {}
    return {"device": engine.place, "batch_tokens": engine.budget, **versions, **modules}
