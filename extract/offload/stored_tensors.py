"""The tensors of a checkpoint's safetensors files, each mapped into memory when it is read and no longer than it lives.

transformers and safetensors map whole files; here the address space, too, holds no more than what is in use.
"""

import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from w2s_probes.errors import InputError
from w2s_probes.io.json_files import read_json

from ..models.checkpoints import tensors_header

WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
TYPES = {
    **{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16},
    **{"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8},
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file; to index it maps its bytes, as transformers does with the values of a state dict."""

    file: Path
    start: int  # of its bytes in the file
    size: int  # bytes
    dtype: torch.dtype
    shape: tuple[int, ...]

    def __getitem__(self, _: Any) -> Tensor:
        if not self.size:
            return torch.empty(self.shape, dtype=self.dtype)
        page = self.start - self.start % mmap.ALLOCATIONGRANULARITY
        with self.file.open("rb") as stream:
            # Private and writable, of which torch is fond; pages that nobody writes stay the file's own.
            there = mmap.mmap(stream.fileno(), self.start - page + self.size, access=mmap.ACCESS_COPY, offset=page)
        count = self.size // self.dtype.itemsize
        return torch.frombuffer(there, dtype=self.dtype, count=count, offset=self.start - page).view(self.shape)

    def announce(self) -> None:
        """Let the system read the bytes ahead, where it can be asked to."""
        if hasattr(os, "posix_fadvise"):
            with self.file.open("rb") as stream:
                os.posix_fadvise(stream.fileno(), self.start, self.size, os.POSIX_FADV_WILLNEED)


def stored_tensors(model: str, folder: Path) -> dict[str, StoredTensor]:
    """All tensors by their names in the files that transformers would read; InputError where there are none."""
    tensors: dict[str, StoredTensor] = {}
    for file in _files(model, folder):
        try:
            header = tensors_header(file)
            with file.open("rb") as stream:
                begin = 8 + int.from_bytes(stream.read(8), "little")
            for name, about in header.items():
                if name == "__metadata__":
                    continue
                first, last = about["data_offsets"]
                shape = tuple(about["shape"])
                tensors[name] = StoredTensor(file, begin + first, last - first, TYPES[about["dtype"]], shape)
            whole = max((t.start + t.size for t in tensors.values() if t.file == file), default=0)
            if file.stat().st_size < whole:
                raise ValueError("cut short")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, MemoryError, OverflowError) as error:
            raise InputError(
                f"{file}: not a safetensors file that --offload can read ({type(error).__name__}: {error}): download "
                "or save the model again"
            ) from error
    return tensors


def _files(model: str, folder: Path) -> list[Path]:
    if (folder / WHOLE).is_file():
        return [folder / WHOLE]
    if not (folder / INDEX).is_file():
        raise InputError(
            f"model {model}: --offload reads weights from {WHOLE} or {INDEX}, and there is neither: load the model "
            "once and save it with model.save_pretrained(folder)"
        )
    index = read_json(folder / INDEX)
    named = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        raise InputError(f"{folder / INDEX}: has no weight_map of names: download or save the model again")
    return [folder / name for name in sorted(set(named.values()))]
