"""The dtype in which a student's matrices are multiplied."""

import torch

from .settings import Precision


def precision_on(device: torch.device, wanted: Precision) -> torch.dtype:
    """The dtype that is wanted; "auto" is bfloat16 on GPUs that have it, else float32."""
    if wanted == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float32
    named: torch.dtype = getattr(torch, wanted)
    return named
