"""The unit of work that a place does, and what messages call it."""

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result", covariant=True)
PACKAGES = ("w2s-probes", "numpy", "scipy", "scikit-learn", "faiss-cpu")  # which decide the numbers of probes


class WorkUnit(Protocol[Result]):
    """A piece of work that can be pickled, sent to any process that sees the same disk, and done again if lost."""

    @property
    def key(self) -> str:
        """The name that no other unit of the same work has."""
        ...

    @property
    def name(self) -> str:
        """The name in messages, such as `layer 7`."""
        ...

    @property
    def shared(self) -> tuple[Any, ...]:
        """Data sent to a cluster once for all units that have this very object; empty where there is none."""
        ...

    @property
    def on_gpu(self) -> bool:
        """Whether it wants the GPUs that a job is given; other units take any worker of a cluster."""
        ...

    def run(self) -> Result:
        """Do the work. InputError, which ends it all, where it cannot be done."""
        ...

    def packed(self) -> "WorkUnit[Result]":
        """The unit as it is sent to a cluster: without what is shared, and with absolute paths."""
        ...

    def unpacked(self, shared: tuple[Any, ...]) -> "WorkUnit[Result]":
        """A packed unit with what is shared."""
        ...


@dataclass(frozen=True)
class WorkKind:
    """What messages call units of a kind, and what has to be the same on every machine that does them.

    >>> WorkKind(one="layer", many="layers", smaller="sweep fewer rows", again="sweep again").packages[0]
    'w2s-probes'
    """

    one: str = "unit"
    many: str = "units"
    smaller: str = "give less data"  # the remedy where memory has no room for one
    again: str = "give the same command again"
    packages: tuple[str, ...] = PACKAGES  # whose versions decide the results


UNITS = WorkKind()
