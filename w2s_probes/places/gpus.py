"""The GPUs of this machine, shared out among the processes that are started on it."""

import os

from ..errors import InputError

SLICE = "MIG-"  # how the name of a slice begins
CUDA, HIP = "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"  # on AMD's GPUs the second counts where both are set


def visible(gpus: str) -> dict[str, str]:
    """The environment of a process that is to see these GPUs alone, whoever made them.

    Both variables: one of AMD's that the process inherited would outweigh the other, and Ray refuses two that differ.
    """
    return {CUDA: gpus, HIP: gpus}


def gpus_here() -> list[str]:
    """The names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES or, on AMD's, its own variable has them.

    They are names for a process that is started here: not its own numbers of them, which begin at 0.
    """
    import torch

    count = torch.cuda.device_count()  # asks the driver alone: no memory of a GPU is taken
    spelt = os.environ.get(HIP) if torch.version.hip else None
    spelt = os.environ.get(CUDA, "") if spelt is None else spelt
    named = [name.strip() for name in spelt.split(",") if name.strip()]
    if not named:
        return [str(number) for number in range(count)]
    # A process sees but the first of several slices of a GPU, whoever names them; another process has the next one.
    return named if count and all(name.startswith(SLICE) for name in named) else named[:count]


def shared_out(jobs: int, gpus_per_job: float) -> list[str]:
    """The GPUs of each of `jobs` processes: its own, or for a share below 1 one that others use as well, in turn.

    InputError where there are too few.
    """
    devices = gpus_here()
    if not devices:
        raise InputError(
            f"--gpus-per-job {gpus_per_job:g}: this machine has no GPU that can be used here: leave it out"
        )
    if gpus_per_job > 1 or gpus_per_job == 1:
        each = int(gpus_per_job)
        teams = [",".join(devices[i : i + each]) for i in range(0, len(devices) - each + 1, each)]
        room = len(teams)
    else:
        teams, room = devices, len(devices) * int(1 / gpus_per_job + 1e-9)  # 1 / (1 / 3) is a little less than 3
    if jobs > room:
        raise InputError(
            f"--jobs {jobs} with --gpus-per-job {gpus_per_job:g}: this machine has {len(devices)} GPUs, enough for "
            f"{room} at a time: lower one of them"
        )
    return [teams[job % len(teams)] for job in range(jobs)]
