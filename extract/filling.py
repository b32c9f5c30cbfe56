"""Parts of a store computed and written: tokens are made ahead and files written behind, while the model works."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from w2s_probes.progress import RowProgress, RowsRead
from w2s_probes.store.writer import StoreWriter

from .encoding import EncodedAhead
from .forward.engine import Engine
from .forward.part_reading import TokenizedPart
from .forward.row_check import PARTS, refuse_dependent_rows, rows_to_check
from .offload.offloaded_engine import OffloadedEngine

if TYPE_CHECKING:
    from .extractor import Extraction


def fill(
    plan: "Extraction",
    writer: StoreWriter,
    parts: dict[int, slice],
    load: Callable[[], Engine | OffloadedEngine],
    notes: dict[str, Any],
    progress: RowProgress,
    check: bool,
) -> dict[str, Any]:
    """Compute and write some parts: tokens are made ahead and files written behind, while the model works.

    Returns notes on this machine, which stand in the manifest from the first part on beside `notes`.
    """
    to_check, quantized = PARTS if check and not plan.source.remote else 0, plan.quantization is not None
    of_rows, done = sum(chosen.stop - chosen.start for chosen in parts.values()), RowsRead(0, 0)
    with closing(EncodedAhead(plan.source, plan.encoding, plan.rows, parts)) as ahead:
        if plan.encoding.truncation == "off":
            ahead.wait()
        engine = load()  # while the first tokens are made
        writer.note(notes | _notes_of(engine))
        with ThreadPoolExecutor(1, thread_name_prefix="disk") as disk:
            written: Future[None] | None = None

            def advance(rows: int, tokens: int) -> None:
                nonlocal done
                done = RowsRead(done.rows + rows, of_rows, done.tokens + tokens, ahead.tokens)
                progress(done)

            def tokenized() -> Iterator[TokenizedPart]:
                nonlocal to_check
                for number, chosen in parts.items():
                    if number not in writer.missing():  # another process was given the same work
                        advance(chosen.stop - chosen.start, 0)
                        continue
                    encoded, names = ahead.take(number), plan.rows["id"].iloc[chosen].tolist()
                    checked = rows_to_check(encoded.rows) if to_check else []
                    to_check = max(0, to_check - 1)
                    yield TokenizedPart(number, names, encoded.rows, encoded.cut, checked)

            for read in engine.read_parts(tokenized(), advance):
                part, content = read.part, plan.content(read.part, read.layers)
                if part.checked:
                    refuse_dependent_rows(read.alone, part.tokens, content, plan.dtype, quantized=quantized)
                if written is not None:
                    written.result()  # at most one part waits for the disk
                written = disk.submit(writer.write, part.number, content)
            if written is not None:
                written.result()
    return _notes_of(engine)


def _notes_of(engine: Engine | OffloadedEngine) -> dict[str, Any]:
    """The device and the versions that computed, for a manifest's notes."""
    versions = {package: version(package) for package in ("torch", "transformers", "nnsight")}
    parts = sorted(set(engine.site_modules.values())) if isinstance(engine, Engine) else []
    modules = {"site_modules": parts} if parts else {}
    return {"device": engine.place, "batch_tokens": engine.budget, **versions, **modules}
