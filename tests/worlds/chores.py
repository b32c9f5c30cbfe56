"""Units of work that say who has done them, where and when. Workers import this: nothing heavy here."""

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGKILL
from typing import Any

from w2s_probes.errors import InputError


@dataclass(frozen=True)
class Chore:
    """A unit that comes back with its process, GPUs and shared data; the first doers of it may be killed."""

    key: str
    seconds: float = 0.0
    wrong: str = ""  # the reason for which it cannot be done
    deaths: Path | None = None  # a folder: it kills its process unless it has done so before
    deadly: bool = False  # it kills every process
    huge: bool = False  # memory has no room for it
    on_gpu: bool = True
    shared: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        return f"chore {self.key}"

    def run(self) -> dict[str, Any]:
        if self.deaths is not None and not (note := self.deaths / self.key).exists():
            note.touch()
            os.kill(os.getpid(), SIGKILL)
        if self.deadly:
            os.kill(os.getpid(), SIGKILL)
        if self.huge:
            raise MemoryError("Unable to allocate 99. GiB for an array\nand more")
        began = time.monotonic()
        time.sleep(self.seconds)
        if self.wrong:
            raise InputError(self.wrong)
        gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
        return {"pid": os.getpid(), "gpus": gpus, "began": began, "ended": time.monotonic(), "shared": self.shared}

    def packed(self) -> "Chore":
        return replace(self, shared=())

    def unpacked(self, shared: tuple[Any, ...]) -> "Chore":
        return replace(self, shared=shared)
