"""A device that is none: tensors that say they lie on it, compute on the processor, and meet no others.

What a GPU refuses is refused here too: `.numpy()` of its tensors, and tensors of the processor beside them. To be used
in a process of its own, since torch cannot forget a device.
"""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "pretend"
_setup_privateuseone_for_python_backend(NAME)
PLACE = torch.device(NAME, 0)
aten = torch.ops.aten
ACROSS = {aten._to_copy.default, aten.copy_.default}  # lead from one device to the other
INDEX = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default}


class Pretended(torch.Tensor):
    """A tensor on the device, by way of one on the processor."""

    kept: torch.Tensor

    @staticmethod
    def __new__(cls, kept: torch.Tensor) -> "Pretended":
        """Of the same shape and dtype as `kept`, whose numbers it has."""
        made: Pretended = torch.Tensor._make_wrapper_subclass(
            cls,
            kept.size(),
            strides=kept.stride(),
            storage_offset=kept.storage_offset(),
            dtype=kept.dtype,
            layout=kept.layout,
            device=PLACE,
        )
        made.kept = kept
        return made

    def tolist(self) -> Any:
        """As every device's tensor gives its numbers."""
        return self.kept.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        """Run an operation."""
        return run(func, args, kwargs or {})


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """An operation on the processor, its outputs where its inputs, or `device`, say that they lie."""
    flat, form = tree_flatten((args, kwargs))
    there = [given for given in flat if isinstance(given, Pretended)]
    here = [given for given in flat if isinstance(given, torch.Tensor) and not isinstance(given, Pretended)]
    if there and func not in ACROSS and any(tensor.dim() for tensor in here):
        _refuse_mixed(func, args, here)
    plain = [
        given.kept
        if isinstance(given, Pretended)
        else torch.device("cpu")
        if isinstance(given, torch.device)
        else given
        for given in flat
    ]
    arguments, options = tree_unflatten(plain, form)
    options.pop("pin_memory", None)
    found = func(*arguments, **options)
    devices = [given for given in flat if isinstance(given, torch.device)]
    if devices:
        on_device = devices[0].type == NAME
    else:
        on_device = isinstance(args[0], Pretended) if func in ACROSS else bool(there)
    known = {id(tensor.kept): tensor for tensor in there}

    def placed(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or not on_device:
            return value
        return known[id(value)] if id(value) in known else Pretended(value)

    return tree_map(placed, found)


def _refuse_mixed(func: Any, args: Any, here: list[torch.Tensor]) -> None:
    """As torch does, but for indices of the processor into a tensor of the device."""
    indices = func in INDEX and isinstance(args[0], Pretended)
    if not indices or (len(args) > 2 and any(args[2] is tensor for tensor in here)):
        raise RuntimeError(f"{func}: expected all tensors to be on the same device, found {PLACE} and cpu")


class PretendDevice(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Inside it the device is there."""

    def __enter__(self) -> "PretendDevice":
        torch._C._set_only_lift_cpu_tensors(True)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        torch._C._set_only_lift_cpu_tensors(False)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation."""
        return run(func, args, kwargs or {})
