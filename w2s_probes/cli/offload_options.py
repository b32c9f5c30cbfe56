"""The options of commands that can read a model block by block."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..checkout import from_checkout
from .units import in_bytes

if TYPE_CHECKING:
    from extract.offload.offloading import Offload

OffloadOption = Annotated[
    bool, typer.Option("--offload", help="Read a model larger than memory, one block at a time over many rows.")
]
MaxMemoryOption = Annotated[
    str | None,
    typer.Option(help="With --offload, for weights and states, such as 16GB; most of what is free, unless given."),
]
ScratchOption = Annotated[
    Path | None, typer.Option(help="With --offload: a folder for the states between blocks; else in memory.")
]


def offload_as_typed(
    *,
    asked: bool,
    max_memory: str | None,
    scratch: Path | None,
    device_map: str | None,
    remote: bool = False,
    quantization: str | None = None,
) -> "Offload | None":
    """How the model is to be read; None: whole. InputError for options that exclude each other."""
    with from_checkout():
        from extract.offload.offloading import Offload
        from extract.options import refuse_offload
    only_with_it = {"max_memory": max_memory, "scratch": scratch}
    refuse_offload(
        asked=asked,
        remote=remote,
        quantization=quantization,
        device_map=device_map,
        **only_with_it,
    )
    if not asked:
        return None
    return Offload(None if max_memory is None else in_bytes(max_memory, "--max-memory"), scratch)
