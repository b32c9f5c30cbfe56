"""Hidden states between two blocks, batch by batch: in memory, or in a file that is gone with the process."""

import os
import tempfile
import weakref
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from w2s_probes.errors import InputError


class KeptStates(Protocol):
    """The tensors of each batch, by its key."""

    size: int  # bytes of all of them

    def put(self, key: Hashable, tensors: Sequence[Tensor]) -> None:
        """Keep a batch's tensors, in place of those that it had."""

    def get(self, key: Hashable) -> list[Tensor]:
        """The tensors of a batch, on the processor."""

    def clear(self) -> None:
        """Forget all of them."""


class StatesInMemory:
    """`KeptStates` as they are."""

    def __init__(self) -> None:
        self.size = 0
        self._kept: dict[Hashable, list[Tensor]] = {}

    def put(self, key: Hashable, tensors: Sequence[Tensor]) -> None:
        """Keep a batch's tensors."""
        self.size -= sum(tensor.nbytes for tensor in self._kept.pop(key, []))
        self._kept[key] = [tensor.cpu() for tensor in tensors]
        self.size += sum(tensor.nbytes for tensor in self._kept[key])

    def get(self, key: Hashable) -> list[Tensor]:
        """A batch's tensors."""
        return [tensor.clone() for tensor in self._kept[key]]  # a block may change what it is given

    def clear(self) -> None:
        """Forget all."""
        self._kept, self.size = {}, 0


@dataclass(frozen=True)
class _Slot:
    """The place of one tensor in the file."""

    start: int
    dtype: torch.dtype
    shape: torch.Size

    @property
    def size(self) -> int:
        return self.dtype.itemsize * self.shape.numel()


class StatesOnDisk:
    """`KeptStates` in a file without a name in `folder`: a process that is killed leaves nothing there."""

    def __init__(self, folder: Path) -> None:
        self.size, self._folder = 0, folder
        self._slots: dict[Hashable, list[_Slot]] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # it lives as long as this object
        except OSError as error:
            raise self._unusable(error) from error
        weakref.finalize(self, self._file.close)

    def put(self, key: Hashable, tensors: Sequence[Tensor]) -> None:
        """Write a batch's tensors over those that it had, or at the end where they are larger."""
        before, slots = self._slots.get(key, []), []
        for place, tensor in enumerate(tensors):
            slot = _Slot(self.size, tensor.dtype, tensor.shape)
            if place < len(before) and before[place].size >= slot.size:
                slot = _Slot(before[place].start, tensor.dtype, tensor.shape)
            else:
                self.size += slot.size
            words = _bytes_of(tensor.cpu().contiguous().view(-1).view(torch.uint8))
            try:
                while words:
                    done = os.pwrite(self._file.fileno(), words, slot.start + slot.size - len(words))
                    words = words[done:]
            except OSError as error:
                raise self._unusable(error) from error
            slots.append(slot)
        self._slots[key] = slots

    def get(self, key: Hashable) -> list[Tensor]:
        """Read a batch's tensors."""
        tensors = []
        for slot in self._slots[key]:
            words = torch.empty(slot.size, dtype=torch.uint8)
            view = _bytes_of(words)
            while view:
                done = os.preadv(self._file.fileno(), [view], slot.start + slot.size - len(view))
                if not done:
                    raise InputError(f"{self._folder}: states written there cannot be read back: is its disk sound?")
                view = view[done:]
            tensors.append(words.view(slot.dtype).view(slot.shape))
        return tensors

    def clear(self) -> None:
        """Empty the file."""
        self._slots, self.size = {}, 0
        os.ftruncate(self._file.fileno(), 0)

    def _unusable(self, error: OSError) -> InputError:
        return InputError(
            f"{self._folder}: cannot hold the states between blocks ({error.strerror}): give another --scratch, or none"
        )


def _bytes_of(words: Tensor) -> memoryview:
    """The memory of a tensor of bytes on the processor."""
    array: Any = words.numpy()
    return memoryview(array)
