"""Torch's devices as probes and models use them: opened by name, true to float32, out of memory in words."""

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROCESSOR = "cpu"  # the device of fits that no other is named for: NumPy's
KINDS = (PROCESSOR, "cuda", "mps")  # devices that are offered by name
NAME = re.compile("[a-z]+(:[0-9]{1,4})?")
TRUE = "ieee"  # float32 products as float32 has them: neither TF32, nor in parts of bfloat16
NO_MEMORY = ("out of memory", "can't allocate", "STATUS_ALLOC_FAILED")  # torch, and the libraries that it calls


class DeviceError(InputError):
    """A device is not there, or has no room: the machine's lack and not the rows', so that nothing is concluded."""


def refuse_no_name(name: str, setting: str = "device") -> None:
    """InputError for what cannot be a device's name; torch is not loaded for that."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InputError(f"{setting} {name!r} is no device: give 'cpu', 'cuda', 'cuda:1' or 'mps'")


def refuse_no_device(name: str, setting: str = "device") -> None:
    """InputError for a device that is not there. The processor always is: torch is then not loaded."""
    refuse_no_name(name, setting)
    if name != PROCESSOR:
        opened(name, setting, f"{PROCESSOR!r}")


def device_key(name: str) -> dict[str, str]:
    """The part of a key, or of a record, that a device decides: its kind; nothing for the processor.

    Numbers of a device are the processor's but for rounding, so those of two kinds are told apart; `cuda` and
    `cuda:1` are of one kind.

    >>> device_key("cpu"), device_key("cuda:1")
    ({}, {'device': 'cuda'})
    """
    return {} if name == PROCESSOR else {"device": name.partition(":")[0]}


def opened(name: str, setting: str, instead: str) -> Any:
    """The torch device of this name, with memory of its own; DeviceError where it is not there, or torch is not.

    `cuda` is this process's GPU (`own_gpu`). The message names the `setting` that asked for it, and what to give
    `instead`.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise DeviceError(
            f"{setting}={name!r} needs torch: pip install 'w2s-probes[models]', or use {instead}"
        ) from error
    try:
        device = own_gpu() if name == "cuda" and torch.cuda.is_available() else torch.device(name)
        torch.empty(1, device=device).cpu()  # which a device without memory, such as meta, cannot do
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch was built without such devices
        reason = str(error).splitlines()[0][:120]
        raise DeviceError(f"{setting}={name!r}: torch cannot use this device ({reason}); use {instead}") from error
    return device


def free_memory_of(name: str) -> int | None:
    """Bytes that a GPU can still give; None where the device does not tell."""
    if name.partition(":")[0] != "cuda":
        return None
    import torch

    return int(torch.cuda.mem_get_info(opened(name, "device", f"{PROCESSOR!r}"))[0])


def own_gpu() -> Any:
    """This process's GPU, where there is one: torch's current one if somebody has set it to another than the first.

    Else as torchrun or Slurm number the processes of a machine, which all see all of its GPUs.
    """
    import torch

    current = torch.cuda.current_device()
    local = os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID") or "0"
    return torch.device("cuda", current or int(local) % torch.cuda.device_count())


def sent(array: "NDArray[Any]", device: Any) -> Any:
    """An array that nobody will write to as a tensor on a device; torch warns of those that cannot be written."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array).to(device)


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
        type(error).__name__ == "OutOfMemoryError" or any(said in words for said in NO_MEMORY)
    )


@contextmanager
def in_words(name: str, what: str, remedy: str) -> Iterator[None]:
    """Make what torch raises in the block a DeviceError of one line where `what` has no room on the device.

    Also where torch lacks an operation there.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, NotImplementedError):
            reason = str(error).splitlines()[0][:120]
            raise DeviceError(
                f"device={name!r}: torch lacks an operation on this device ({reason}); use 'cpu'"
            ) from error
        if not out_of_memory(error):
            raise
        raise DeviceError(f"device={name!r}: {what} do not fit into its memory: {remedy}") from error


def forget_unused() -> None:
    """Give memory that torch holds on GPUs, and nothing uses, back to the driver."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
