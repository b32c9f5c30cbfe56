"""Names that results, methods and reports share: of references, controls, metrics and statuses."""

from collections.abc import Iterable

WEAK, CEILING = "weak", "ceiling"
PROBE = "probe-"  # and the name of a probe: a method whose ceiling is that probe taught the truth
RANDOM = "control-random:"  # and the name of the filter that this control is matched to
COMMON = "_common"  # ending of a PGR in units of the students' gap, of a method that has a ceiling of its own
ROWS_ONLY = "rows only"  # status of an interval from one seed: it takes the trained models as they are
HARD = "hard labels"  # status of a PGR in AUROC where the supervisor gives labels, not scores


def own_ceiling(probe: str) -> str:
    """The name of a probe's ceiling."""
    return f"{CEILING}-{probe}"


def is_ceiling(name: str) -> bool:
    """Whether this is the students' ceiling, or a probe's."""
    return name.partition("-")[0] == CEILING


def is_reference(name: str) -> bool:
    """Whether this is the supervisor or a ceiling, of which there is no PGR."""
    return name == WEAK or is_ceiling(name)


def with_ceilings(methods: Iterable[str]) -> list[str]:
    """The methods, and the ceilings that are judged beside those that have their own."""
    named = list(methods)
    return [*named, *(own_ceiling(name.removeprefix(PROBE)) for name in named if name.startswith(PROBE))]
