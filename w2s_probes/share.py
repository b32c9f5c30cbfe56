"""The parts of a work that this process does, among several processes or machines."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import InputError

# Environment variables that number processes, the most specific first: torchrun, a Slurm array, srun.
NUMBERED = (
    ("RANK", "WORLD_SIZE"),
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
)


@dataclass(frozen=True)
class Share:
    """Process `index` of `count`, from 0: it writes every count-th part.

    >>> share = Share.parse("1/4")
    >>> [part for part in range(10) if share.has(part)]
    [1, 5, 9]
    """

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, spec: str | None, environment: Mapping[str, str] = os.environ) -> "Share":
        """The share of `i/n`, i from 0; of `auto` as torchrun or Slurm number this process.

        None is everything, or the share by torchrun if it started this process. InputError for any other text.
        """
        if spec is None:
            return cls._numbered(environment, NUMBERED[:1]) if "TORCHELASTIC_RUN_ID" in environment else WHOLE
        if spec == "auto":
            return cls._numbered(environment, NUMBERED)
        match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", spec)
        if not match or int(match[1]) >= int(match[2]):
            raise InputError(f"shard {spec!r}: give i/n with i from 0 to n - 1, such as 0/4, or auto")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def _numbered(cls, environment: Mapping[str, str], names: tuple[tuple[str, str], ...]) -> "Share":
        for index, count in names:
            if index in environment and count in environment:
                place, of = _number(environment, index), _number(environment, count)
                if index == "SLURM_ARRAY_TASK_ID":
                    place = _place_in_array(environment, place, of)
                if place >= of:
                    raise InputError(f"shard auto: {index}={place} is not below {count}={of}: give --shard i/n")
                return cls(place, of)
        raise InputError(
            "shard auto: neither torchrun (RANK, WORLD_SIZE) nor Slurm (SLURM_ARRAY_TASK_ID, SLURM_PROCID) numbers "
            "this process: give --shard i/n"
        )

    def has(self, part: int) -> bool:
        """Whether this process does a part."""
        return part % self.count == self.index


def _place_in_array(environment: Mapping[str, str], task: int, count: int) -> int:
    """The place of a task in its Slurm array, whose numbers may begin anywhere and rise by even steps."""
    first = _number(environment, "SLURM_ARRAY_TASK_MIN", 0)
    step = max(1, _number(environment, "SLURM_ARRAY_TASK_STEP", 1))
    last = _number(environment, "SLURM_ARRAY_TASK_MAX", first + step * (count - 1))
    if task < first or (task - first) % step or (last - first) // step != count - 1:
        raise InputError(
            f"shard auto: task {task} of a Slurm array of {count} from {first} to {last} by {step}: its numbers are "
            "not even steps: give --shard i/n"
        )
    return (task - first) // step


def _number(environment: Mapping[str, str], name: str, default: int = 0) -> int:
    text = environment.get(name, str(default))
    if not re.fullmatch("[0-9]{1,9}", text):
        raise InputError(f"shard auto: {name}={text!r} in the environment is no number: give --shard i/n")
    return int(text)


WHOLE = Share()
