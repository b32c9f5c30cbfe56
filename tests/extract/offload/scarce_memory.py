"""A stand-in for a device's memory that holds no more than so many tokens at once."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from extract.offload.shells import Shells


@dataclass
class ScarceMemory:
    """The most tokens that pass at once through blocks that stay on the device."""

    most: int


def scarce_memory(monkeypatch: pytest.MonkeyPatch, most: int) -> ScarceMemory:
    """Let a pass of more tokens than `most`, which may be changed later, fail as CUDA does."""
    memory, pass_through = ScarceMemory(most), Shells.pass_through

    def limited(self: Shells, ids: Any, *arguments: Any, **options: Any) -> Any:
        if ids.numel() > memory.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return pass_through(self, ids, *arguments, **options)

    monkeypatch.setattr(Shells, "pass_through", limited)
    return memory
