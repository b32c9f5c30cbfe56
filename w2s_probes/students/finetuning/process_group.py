"""One process or several, as torchrun and accelerate start them: each one's rows, and sums over all of them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from ...devices import own_gpu
from ...errors import InputError
from .worker_processes import WorkerProcesses

BUCKET = 1 << 24  # numbers sent at once: few messages, and little memory beside the gradients


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train one student together, seen from one of them."""

    rank: int
    size: int
    device: torch.device

    @classmethod
    def join(cls) -> "ProcessGroup":
        """The processes that the environment describes (torchrun, accelerate launch, Slurm), or else this one alone.

        Joining twice is joining once. InputError where there are several processes but no accelerate.
        """
        on_processor = os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true"
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            if on_processor:
                return cls(0, 1, torch.device("cpu"))
            if torch.cuda.is_available():
                return cls(0, 1, own_gpu())
            return cls(0, 1, torch.device("mps" if torch.backends.mps.is_available() else "cpu"))
        try:
            from accelerate import PartialState
        except ImportError as error:
            raise InputError("several processes need accelerate: pip install 'w2s-probes[models]'") from error
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        # Without `cpu` it takes processes without accelerators for unrelated ones.
        state = PartialState(cpu=on_processor or accelerator is None or accelerator.type == "mps")
        if state.num_processes != int(os.environ["WORLD_SIZE"]):
            raise InputError(
                f"WORLD_SIZE={os.environ['WORLD_SIZE']} but the processes cannot find each other: start them by "
                "torchrun or accelerate launch"
            )
        return cls(state.process_index, state.num_processes, state.device)

    @classmethod
    def of_workers(cls, workers: WorkerProcesses) -> "ProcessGroup":
        """The processes that are yet to be started, as the first of them will see them."""
        return cls(0, workers.size, torch.device("cpu" if workers.on_processor else "cuda"))

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def share_of(self, items: NDArray[np.intp]) -> NDArray[np.intp]:
        """This process's share of some items (n,): every `size`-th one."""
        return items[self.rank :: self.size]

    def add(self, values: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Sum every parameter's gradient over all processes."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        while gradients:
            count, numbers = 0, 0
            while count < len(gradients) and (count == 0 or numbers + gradients[count].numel() <= BUCKET):
                numbers += gradients[count].numel()
                count += 1
            flat, start = self.add(torch.cat([g.reshape(-1) for g in gradients[:count]])), 0
            for gradient in gradients[:count]:
                gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
                start += gradient.numel()
            gradients = gradients[count:]

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            distributed.barrier()


def seed_everything(device: torch.device, seed: int) -> None:
    """Seed torch's random numbers on the processor and this device; other devices are left alone."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def random_devices(device: torch.device) -> list[torch.device]:
    """The devices, beside the processor, whose random state `seed_everything` changes."""
    return [device] if device.type == "cuda" else []
