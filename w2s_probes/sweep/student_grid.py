"""The students of a sweep: losses, and what is done to the labels before a head is taught them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError, did_you_mean
from ..filtering.shares import refuse_shares
from ..losses.names import LOSSES
from ..probes.registry import PROBES

NONE = "none"  # among filters: the weak labels as they are
STUDENT, FILTER, RELABEL, CEILING = "student", "filter", "relabel", "ceiling"
CONTAMINATION = 0.1  # of filters, where none is given


@dataclass(frozen=True)
class StudentKind:
    """One student of the grid.

    >>> StudentKind("logconf", FILTER, "knn", 0.1).method
    'filter-knn'
    """

    loss: str
    kind: str = STUDENT  # student, filter, relabel or ceiling
    probe: str | None = None  # that filters or relabels
    contamination: float | None = None  # of a filter

    @property
    def method(self) -> str:
        """The name of what is done to the labels."""
        return self.kind if self.probe is None else f"{self.kind}-{self.probe}"


@dataclass(frozen=True)
class StudentGrid:
    """Heads that are taught at every layer and seed: every loss with every filter and relabelling.

    >>> grid = StudentGrid(("xent", "logconf"), filters=("none", "topo"), relabels=("knn",))
    >>> [f"{kind.method}:{kind.loss}" for kind in grid.kinds][:3], grid.judges
    (['student:xent', 'student:logconf', 'filter-topo:xent'], ('topo', 'knn'))
    """

    losses: Sequence[str]
    filters: Sequence[str] = (NONE,)  # probes by whose scores rows are dropped; none: all rows and their weak labels
    relabels: Sequence[str] = ()  # probes whose scores are taught in place of the weak labels
    contamination: Sequence[float] = (CONTAMINATION,)  # shares of the rows that filters remove

    def __post_init__(self) -> None:
        for name in ("losses", "filters", "relabels", "contamination"):
            object.__setattr__(self, name, tuple(dict.fromkeys(getattr(self, name))))
        for loss in self.losses:
            if loss not in LOSSES:
                raise InputError(f"students: loss {loss!r}: {did_you_mean(loss, LOSSES)}")
        for option, names, known in (
            ("student_filter", self.filters, (NONE, *PROBES)),
            ("student_relabel", self.relabels, tuple(PROBES)),
        ):
            for name in names:
                if name not in known:
                    raise InputError(f"{option}: {name!r}: {did_you_mean(name, known)}")
        for share in self.contamination:
            refuse_shares(share)
        if not self.losses or not (self.filters or self.relabels):
            raise InputError("students: give at least one loss, and one filter (none: the labels as they are)")

    @property
    def kinds(self) -> list[StudentKind]:
        """Every student but the ceiling."""
        found = []
        for name in self.filters:
            if name == NONE:
                found += [StudentKind(loss) for loss in self.losses]
            else:
                found += [
                    StudentKind(loss, FILTER, name, share) for share in self.contamination for loss in self.losses
                ]
        return found + [StudentKind(loss, RELABEL, name) for name in self.relabels for loss in self.losses]

    @property
    def judges(self) -> tuple[str, ...]:
        """The probes whose scores are needed."""
        return tuple(dict.fromkeys(kind.probe for kind in self.kinds if kind.probe is not None))

    def with_judges(self, values: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
        """The values of a sweep's probes, with the registry's own for those that students need and nobody gave."""
        missing = {name: (PROBES[name].default,) for name in self.judges if not values.get(name)}
        return {**values, **missing}

    def record(self) -> dict[str, list[Any]]:
        """For a file."""
        return {
            "students": list(self.losses),
            "student_filter": list(self.filters),
            "student_relabel": list(self.relabels),
            "student_contamination": list(self.contamination),
        }


def student_name(method: str, loss: str, contamination: float | None) -> str:
    """A student in a word, for the heads of tables and figures.

    >>> student_name("filter-topo", "xent", 0.1), student_name("student", "logconf", None)
    ('filter-topo .1 xent', 'student logconf')
    """
    share = f" {contamination:g}".replace(" 0.", " .") if contamination == contamination and contamination else ""
    return f"{method}{share} {loss}"


def texts(values: str | Sequence[str], name: str) -> tuple[str, ...]:
    """One name, or several, as a tuple; InputError, by the option's `name`, for anything else."""
    several = (values,) if isinstance(values, str) else tuple(values)
    if wrong := [value for value in several if not isinstance(value, str)]:
        raise InputError(f"{name} takes a name or a list of names; got {wrong[0]!r}")
    return several
