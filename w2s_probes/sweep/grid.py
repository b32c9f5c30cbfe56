"""The grid of a sweep: probes and their values, contaminations, seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..devices import PROCESSOR, device_key, refuse_no_name
from ..errors import InputError, did_you_mean
from ..filtering.shares import refuse_shares
from ..neighbors import as_int
from ..printable import listed as listed_names
from ..probes import Connectivity, Probe
from ..probes.penalties import PENALTIES
from ..probes.probe_entry import ProbeEntry
from ..probes.problems import checked_penalties
from ..probes.registry import ONCE, PROBES, probe_settings
from .student_grid import StudentGrid

PUBLISHED_K = (1, 5, *range(10, 100, 5))  # twenty numbers of neighbours
NO_DIRECTION = ("knn", "topo", "graph", "mlp", "contrast")  # probes that do not rank rows by one weight a number
FIRST = ("knn", "logistic", "topo")  # probes that the record of every sweep lists
ChooseBy = Literal["weak_brier", "weak_auroc", "auroc", "accuracy"]
BY_TRUTH = ("auroc", "accuracy")
Numbers = float | Sequence[float] | NDArray[Any]  # one, or several


def listed(values: Any, name: str) -> tuple[Any, ...]:
    """One number, or several, as a tuple; InputError, by the option's `name`, for anything else."""
    if isinstance(values, str | bytes | Mapping) or values is None:
        kind = "nothing (None)" if values is None else f"{type(values).__name__} {str(values)[:40]!r}"
        raise InputError(f"{name} takes a number or a list of numbers, as {name}={_example(name)}; got {kind}")
    several = list(values) if np.ndim(values) == 1 or isinstance(values, range | set | tuple | list) else [values]
    for value in several:
        if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
            raise InputError(
                f"{name} takes a number or a list of numbers, as {name}={_example(name)}; got {type(value).__name__} "
                f"{str(value)[:40]!r}"
            )
    return tuple(several)


EXAMPLES = {"contamination": "0.1 or [0.1, 0.2]", "seeds": "0 or [0, 1, 2]"}
EXAMPLES_OF_PROBES = {"k": "5 or [5, 50]", "l2": "0.01 or [0.01, 1]", None: "True"}


def _example(name: str) -> str:
    return EXAMPLES.get(name) or EXAMPLES_OF_PROBES[probe_settings()[name].value]


def asked(entry: ProbeEntry, values: Any) -> tuple[Any, ...]:
    """The values of one probe, as given by its setting; `ONCE` for True, of a probe that has none."""
    if entry.value is not None:
        return listed(values, entry.setting)
    if isinstance(values, bool | np.bool_):
        return ONCE if values else ()
    if isinstance(values, Sequence) and tuple(values) in ((), ONCE):
        return tuple(values)
    raise InputError(f"{entry.setting} takes True or False, since {entry.name} has no value to sweep; got {values!r}")


@dataclass(frozen=True)
class Grid:
    """The values of a sweep: of at least one probe there are some.

    >>> Grid({"knn": (5, 50), "logistic": (0.01,)}).cells
    3
    """

    # Probe -> its numbers of neighbours, or l2; ONCE of one that has no value
    values: Mapping[str, Sequence[float]] = field(default_factory=dict)
    contamination: Sequence[float] = ()  # shares of rows that filters by the probes would remove
    connectivity: Connectivity = "strong"  # of Topo's components
    folds: int = 5  # of cross-fitted scores
    seeds: Sequence[int] = (0,)  # of those folds
    index: str = "exact"  # as KNNProbe's
    students: StudentGrid | None = None  # heads that learn by the probes' scores; None: no students
    transfer: bool = False  # whether linear probes are compared with those of the held-out rows' labels
    device: str = PROCESSOR  # of the fits of probes and students that have one: torch's, such as "cuda"

    def __post_init__(self) -> None:
        if self.students is not None:
            object.__setattr__(self, "values", self.students.with_judges(self.values))
        values = {name: _checked(entry, self.values.get(name, ())) for name, entry in PROBES.items()}
        values |= {name: _checked(PROBES[name], given) for name, given in self.values.items() if ":" in name}
        if unknown := [name for name in self.values if name not in PROBES]:
            raise InputError(f"probe {unknown[0]!r}: {did_you_mean(unknown[0], PROBES)}")
        if not any(values.values()):
            *first, last = PROBES
            raise InputError(f"nothing to sweep: give {', '.join(first)} or {last} at least one value")
        object.__setattr__(self, "values", values)
        for name in ("contamination", "seeds"):
            object.__setattr__(self, name, listed(getattr(self, name), name))
        for share in self.contamination:
            refuse_shares(share)
        object.__setattr__(self, "contamination", tuple(dict.fromkeys(float(share) for share in self.contamination)))
        seeds = tuple(dict.fromkeys(as_int(seed, "seeds") for seed in self.seeds))
        if not seeds or min(seeds) < 0 or max(seeds) >= 2**63:
            raise InputError(f"seeds={list(self.seeds)}: give at least one, none below 0 or of more than 63 bits")
        object.__setattr__(self, "seeds", seeds)
        if self.connectivity not in get_args(Connectivity):
            hint = did_you_mean(self.connectivity, get_args(Connectivity))
            raise InputError(f"connectivity={self.connectivity!r}: {hint}")
        if self.transfer and all(name in NO_DIRECTION or ":" in name for name, given in values.items() if given):
            raise InputError(
                "transfer compares linear probes, and none is swept: give logistic a penalty, or leave it out"
            )
        refuse_no_name(self.device)
        if as_int(self.folds, "folds") < 2:
            raise InputError(f"folds={self.folds}: cross-fitting needs at least 2")

    @classmethod
    def published(cls, rows: int) -> "Grid":
        """The values of the published sweeps, as far as this number of training rows can serve them."""
        return cls(published(rows))

    def refuse_too_few(self, rows: int) -> None:
        """InputError for a number of neighbours that this number of training rows cannot serve."""
        largest = max((k for name, entry in PROBES.items() if entry.value == "k" for k in self.values[name]), default=0)
        if largest >= rows:
            raise InputError(f"k={largest} needs at least {largest + 1} training rows, got {rows}: lower k or add data")

    @property
    def cells(self) -> int:
        """Probes with their values, for one layer, label set and seed."""
        return sum(map(len, self.values.values()))

    @property
    def graph_k(self) -> int:
        """Neighbours a row that every cell can be read from; 0 where none reads neighbours."""
        return max((self.probe(name, value).graph_k for name in self.values for value in self.values[name]), default=0)

    def refuse_idle_device(self) -> None:
        """InputError for a device on which nothing of the grid is fitted."""
        readers = [name for name, entry in PROBES.items() if "device" in entry.options]
        if self.device != PROCESSOR and self.students is None and not any(self.values[name] for name in readers):
            known = listed_names([*readers, "students"])
            raise InputError(f"device={self.device!r} is for the fits of {known}, and none is swept: leave it out")

    def probe(self, name: str, value: float) -> Probe:
        """The unfitted probe of one cell."""
        options: dict[str, Any] = {"connectivity": self.connectivity, "index": self.index, "device": self.device}
        return PROBES[name].make(value, **options)

    def record(self) -> dict[str, Any]:
        """For a file: every value, those of a probe under the name of its setting."""
        # Of further probes only those that are swept, so that the records and keys of other sweeps stay.
        settings = {
            PROBES[name].setting: True if PROBES[name].value is None else list(values)
            for name, values in self.values.items()
            if values or name in FIRST
        }
        names = ("contamination", "connectivity", "folds", "seeds", "index")
        others = {name: getattr(self, name) for name in names}
        more: dict[str, Any] = {} if self.students is None else dict(self.students.record())
        if self.transfer:  # without any of these, keys stay as they were
            more["transfer"] = True
        more |= device_key(self.device)
        lists = {name: list(value) if isinstance(value, tuple) else value for name, value in others.items()}
        return settings | lists | more


def published(rows: int) -> dict[str, Sequence[float]]:
    """Numbers of neighbours and penalties of the published sweeps, as far as this number of rows can serve them."""
    return {"knn": tuple(k for k in PUBLISHED_K if k < rows), "logistic": PENALTIES}


def reads_pairs(values: Mapping[str, Sequence[float]], students: StudentGrid | None) -> bool:
    """Whether a probe of a grid reads contrast pairs, so that all of them do."""
    names = {*(name for name, given in values.items() if given), *(() if students is None else students.judges)}
    return any(name in PROBES and PROBES[name].pairs for name in names)


def _checked(entry: ProbeEntry, values: Any) -> tuple[float, ...]:
    """The values of one probe, each once; InputError for one that it cannot take."""
    name = entry.setting
    numbers = asked(entry, values)
    if entry.value is None:
        return numbers
    if entry.value == "l2":
        return tuple(dict.fromkeys(checked_penalties(np.asarray(numbers, dtype=float)).tolist())) if numbers else ()
    neighbors = tuple(dict.fromkeys(as_int(k, name) for k in numbers))
    if neighbors and min(neighbors) < 1:
        raise InputError(f"{name}={min(neighbors)} must be at least 1")
    return neighbors
