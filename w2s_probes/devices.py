"""Torch's devices as probes and models use them: opened by name, true to float32, out of memory in words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .errors import InputError

TRUE = "ieee"  # float32 products as float32 has them: neither TF32, nor in parts of bfloat16


def opened(name: str, setting: str, instead: str) -> Any:
    """The torch device of this name, with memory of its own; InputError where it is not there, or torch is not.

    The message names the `setting` that asked for it, and what to give `instead`.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise InputError(
            f"{setting}={name!r} needs torch: pip install 'w2s-probes[models]', or use {instead}"
        ) from error
    try:
        device = torch.device(name)
        torch.empty(1, device=device).cpu()  # which a device without memory, such as meta, cannot do
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch was built without such devices
        reason = str(error).splitlines()[0][:120]
        raise InputError(f"{setting}={name!r}: torch cannot use this device ({reason}); use {instead}") from error
    return device


@contextmanager
def true_float32() -> Iterator[None]:
    """Multiply float32 matrices as float32 inside the block, whatever was allowed outside, on every device.

    TF32 has 11 bits of each factor, and bfloat16 8: neighbours and minima would be others. torch 2.9 and later say
    which is used by `fp32_precision`, and refuse to be asked in the old way once somebody has set it in the new one.
    """
    import torch

    kinds: list[Any] = [torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, "matmul", None)]
    before = [(kind, getattr(kind, "fp32_precision", None)) for kind in kinds]
    if before[0][1] is None:
        named = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(named)
        return
    known = [(kind, precision) for kind, precision in before if precision is not None]
    for kind, _ in known:
        kind.fp32_precision = TRUE
    try:
        yield
    finally:
        for kind, precision in known:
            kind.fp32_precision = precision


def out_of_memory(error: BaseException) -> bool:
    """Whether torch raised this because something does not fit into memory, on any device."""
    words = str(error)
    return isinstance(error, RuntimeError) and (
        type(error).__name__ == "OutOfMemoryError" or "out of memory" in words or "can't allocate" in words
    )


def forget_unused() -> None:
    """Give memory that torch holds on GPUs, and nothing uses, back to the driver."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
