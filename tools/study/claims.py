"""What was published, as comparisons of two methods, and whether it is seen here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analyses.results.names import CEILING, WEAK
from w2s_probes.stats import PairedTests, paired_tests

Direction = Literal["above", "below", "not above"]
NAN = float("nan")


@dataclass(frozen=True)
class Claim:
    """A published statement: method `a` scores above, below, or not above method `b`."""

    words: str
    published: str  # where, and how large
    a: str
    b: str
    direction: Direction
    pgr: float = NAN  # the published difference in mean PGR, a - b


def _of_the_study(
    words: str, a: str, b: str, direction: Direction, mean_pgr: tuple[float, float], more: str = ""
) -> Claim:
    """A claim of EleutherAI's study of 2024, which gives the mean PGR of both methods over 21 tasks."""
    first, second = (f"{pgr:.3f}".replace("0.", ".").replace("-", "−") for pgr in mean_pgr)
    published = f"EleutherAI, mean PGR {first} to {second}{more}"
    return Claim(words, published, a, b, direction, mean_pgr[0] - mean_pgr[1])


XENT, LOGCONF = "student-xent", "student-logconf"
CLAIMS = (
    _of_the_study("log-confidence beats cross-entropy", LOGCONF, XENT, "above", (0.482, 0.457), ", 16 of 21 tasks"),
    _of_the_study("the entropy loss does not", "student-entropy", XENT, "not above", (0.434, 0.457)),
    _of_the_study("the window loss does not", "student-window", XENT, "not above", (0.424, 0.457)),
    _of_the_study("a strong-to-strong round does not help", "s2s-1", LOGCONF, "not above", (0.439, 0.482)),
    _of_the_study("nor does a second", "s2s-2", "s2s-1", "not above", (0.393, 0.439)),
    _of_the_study("kNN's own predictions are worse than a student", "probe-knn", LOGCONF, "below", (-0.491, 0.482)),
    _of_the_study("a logistic probe's are", "probe-logistic", LOGCONF, "below", (0.006, 0.482)),
    _of_the_study("a student of kNN's labels is worse", "relabel-knn", LOGCONF, "below", (-0.522, 0.482)),
    _of_the_study("a student of the logistic probe's is", "relabel-logistic", LOGCONF, "below", (0.194, 0.482)),
    _of_the_study("a kNN filter does not help", "filter-knn", LOGCONF, "not above", (0.356, 0.482)),
    _of_the_study("a logistic filter does not", "filter-logistic", LOGCONF, "not above", (0.367, 0.482)),
    _of_the_study("TopoFilter does not", "filter-topo", LOGCONF, "not above", (0.280, 0.482)),
    Claim(
        "log-confidence at the class prior beats cross-entropy",
        "Burns et al.: in 11 of 21 pairs of sizes",
        "student-logconf-batch",
        XENT,
        "above",
    ),
    Claim("steps through a model between do not help on text", "Burns et al., 4.3", "bootstrap", XENT, "not above"),
    Claim(
        "reverse KL beats forward KL",
        "arXiv 2502.11107: in 12 of 12 settings",
        "student-reverse_kl",
        "student-kl",
        "above",
    ),
    Claim(
        "weighting by confidence beats filtering by it",
        "reported since: in every pair",
        "student-confidence",
        "control-confidence-filter",
        "above",
    ),
)
FILTERS = (
    *("filter-knn", "filter-logistic", "filter-topo"),
    *("filter-channel", "filter-confident", "filter-graph", "filter-mean-difference", "filter-overlap"),
)
RECENT = (
    *("student-jensen_shannon", "student-hellinger", "student-chi_squared", "student-total_variation"),
    *("relabel-channel", "relabel-graph", "two-stage-knn", "two-stage-logistic"),
)
BESIDE = (
    *(
        Claim(f"{name} beats removing as many rows at random", "", name, f"control-random:{name}", "above")
        for name in FILTERS
    ),
    Claim(
        "labels smoothed over the graph beat those over a permuted one",
        "",
        "relabel-graph",
        "control-permuted-graph",
        "above",
    ),
    *(
        Claim(f"{name} beats keeping and relabelling as many at random", "", name, f"control-random-{name}", "above")
        for name in ("two-stage-knn", "two-stage-logistic")
    ),
    Claim("an MLP predicts better than a logistic probe", "", "probe-mlp", "probe-logistic", "above"),
    Claim(
        "a mean difference predicts better than a logistic probe",
        "",
        "probe-mean-difference",
        "probe-logistic",
        "above",
    ),
    *(Claim(f"{name} beats cross-entropy on the weak labels", "", name, XENT, "above") for name in RECENT),
)


@dataclass(frozen=True)
class Finding:
    """A claim beside what was measured."""

    claim: Claim
    tests: PairedTests  # of a - b over tasks
    gap: float  # mean over these tasks of ceiling - supervisor

    @property
    def expected(self) -> float:
        """The published difference at the gap that is here; NaN where none is published as PGR."""
        return self.claim.pgr * self.gap

    @property
    def verdict(self) -> str:
        """Whether the claim holds here, by the 95 % interval over tasks; what the design could have missed, if not."""
        above, below = self.tests.low > 0, self.tests.high < 0
        if self.claim.direction == "not above":
            if above:
                return "no: it is above"
            return "holds: it is below" if below else f"holds: at most {self.tests.high:+.3f}"
        seen, other = (above, below) if self.claim.direction == "above" else (below, above)
        if seen or other:
            return "holds" if seen else "no: the other way"
        if np.isnan(self.expected):
            return "not seen"
        inside = self.tests.low <= self.expected <= self.tests.high
        return "undecided: 0 and the published lie inside" if inside else "no: not as published"


def find(claims: tuple[Claim, ...], values: Mapping[str, Mapping[str, float]]) -> list[Finding]:
    """The claims beside the differences of their methods; `values` are by method, then task."""
    found = []
    for claim in claims:
        a, b = values[claim.a], values[claim.b]
        tasks = sorted(a.keys() & b.keys())
        gap = float(np.mean([values[CEILING][task] - values[WEAK][task] for task in tasks]))
        found.append(Finding(claim, paired_tests([a[task] for task in tasks], [b[task] for task in tasks]), gap))
    return found
