"""Torch tensors where arrays are asked for: taken off their device and graph, in a format that numpy has."""

import sys
from typing import Any


def as_numpy(values: Any) -> Any:
    """The numbers of a torch tensor as a numpy array of its shape; anything else as it is.

    numpy refuses tensors that lie on a device or have a gradient, and formats that it lacks, such as bfloat16: those
    become float32, which holds each of their numbers.

    >>> as_numpy([0.25, 1])
    [0.25, 1]
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(values, torch.Tensor):
        return values
    plain = values.detach().cpu()
    lacking = plain.is_floating_point() and plain.dtype not in (torch.float16, torch.float32, torch.float64)
    return (plain.float() if lacking else plain).resolve_conj().resolve_neg().numpy()
