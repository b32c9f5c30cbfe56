"""Batches of an asking that are kept as they are read, so that one that was stopped goes on where it was."""

import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2s_probes.errors import InputError
from w2s_probes.io.arrays import read_arrays, write_arrays
from w2s_probes.io.files import remove_abandoned

SECONDS = 10.0  # between files: what a kill can cost
ROWS, LOGITS, TOTAL = "rows", "logits", "log_total"
Batch = tuple[NDArray[np.float64], NDArray[np.float64]]  # logits (b, words) and log-totals (b,)


@dataclass
class KeptBatches:
    """A folder of what has been read so far: files of a few batches each, whole or not there.

    Each carries `key`, of all that decides the numbers: files of another, and damaged ones, are not read. Without a
    folder nothing is kept.
    """

    folder: Path | None
    key: str
    _rows: list[int] = field(default_factory=list, init=False)
    _read: list[Batch] = field(default_factory=list, init=False)
    _next: float = field(default=0.0, init=False)

    @contextmanager
    def going_on(self) -> Iterator[dict[int, Batch]]:
        """What was kept earlier, by row; what is added within is kept however the block ends, but for a kill."""
        found: dict[int, Batch] = {}
        if self.folder is not None and self.folder.is_dir():
            remove_abandoned(self.folder)
            for file in sorted(self.folder.glob("*.safetensors")):
                with suppress(InputError):
                    arrays, _ = read_arrays(file, key=self.key)
                    parts = zip(arrays[ROWS].tolist(), arrays[LOGITS], arrays[TOTAL], strict=True)
                    found |= {row: (logits, total) for row, logits, total in parts}
        self._next = time.monotonic() + SECONDS
        try:
            yield found
        finally:
            self._write()

    def add(self, rows: Sequence[int], logits: NDArray[np.float64], total: NDArray[np.float64]) -> None:
        """Keep one batch, perhaps together with those after it."""
        if self.folder is None:
            return
        self._rows += rows
        self._read.append((logits, total))
        if time.monotonic() >= self._next:
            self._write()
            self._next = time.monotonic() + SECONDS

    def remove(self) -> None:
        """Delete what was kept: the answers are elsewhere now."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self) -> None:
        if self.folder is None or not self._rows:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        logits, total = (np.concatenate([read[part] for read in self._read]) for part in (0, 1))
        arrays = {ROWS: np.array(self._rows, dtype=np.int64), LOGITS: logits, TOTAL: total}
        write_arrays(self.folder / f"{uuid.uuid4().hex}.safetensors", arrays, {}, key=self.key)
        self._rows, self._read = [], []
