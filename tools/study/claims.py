"""What was published, as comparisons of two methods, and whether it is seen here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from w2s_probes.stats import PairedTests, paired_tests

Direction = Literal["above", "below", "not above"]


@dataclass(frozen=True)
class Claim:
    """A published statement: method `a` scores above, below, or not above method `b`."""

    words: str
    published: str  # where, and how large
    a: str
    b: str
    direction: Direction


BLOG = "EleutherAI, mean PGR"
CLAIMS = (
    Claim(
        "log-confidence beats cross-entropy",
        f"{BLOG} .482 to .457, 16 of 21 tasks",
        "student-logconf",
        "student-xent",
        "above",
    ),
    Claim("the entropy loss does not", f"{BLOG} .434 to .457", "student-entropy", "student-xent", "not above"),
    Claim("the window loss does not", f"{BLOG} .424 to .457", "student-window", "student-xent", "not above"),
    Claim("a strong-to-strong round does not help", f"{BLOG} .439 to .482", "s2s-1", "student-logconf", "not above"),
    Claim("nor does a second", f"{BLOG} .393 to .439", "s2s-2", "s2s-1", "not above"),
    Claim(
        "kNN's own predictions are worse than a student",
        f"{BLOG} −.491 to .482",
        "probe-knn",
        "student-logconf",
        "below",
    ),
    Claim("a logistic probe's are", f"{BLOG} .006 to .482", "probe-logistic", "student-logconf", "below"),
    Claim("a student of kNN's labels is worse", f"{BLOG} −.522 to .482", "relabel-knn", "student-logconf", "below"),
    Claim(
        "a student of the logistic probe's is", f"{BLOG} .194 to .482", "relabel-logistic", "student-logconf", "below"
    ),
    Claim("a kNN filter does not help", f"{BLOG} .356 to .482", "filter-knn", "student-logconf", "not above"),
    Claim("a logistic filter does not", f"{BLOG} .367 to .482", "filter-logistic", "student-logconf", "not above"),
    Claim("TopoFilter does not", f"{BLOG} .280 to .482", "filter-topo", "student-logconf", "not above"),
    Claim(
        "log-confidence at the class prior beats cross-entropy",
        "Burns et al.: in 11 of 21 pairs of sizes",
        "student-logconf-batch",
        "student-xent",
        "above",
    ),
    Claim(
        "steps through a model between do not help on text",
        "Burns et al., 4.3",
        "bootstrap",
        "student-xent",
        "not above",
    ),
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
BESIDE = tuple(
    Claim(f"{name} beats removing as many rows at random", "", name, f"control-random:{name}", "above")
    for name in ("filter-knn", "filter-logistic", "filter-topo")
)


@dataclass(frozen=True)
class Finding:
    """A claim beside what was measured."""

    claim: Claim
    tests: PairedTests  # of a - b over tasks

    @property
    def verdict(self) -> str:
        """Whether the claim holds here, by the 95 % interval over tasks; what the design could have missed, if not."""
        above, below = self.tests.low > 0, self.tests.high < 0
        if self.claim.direction == "not above":
            return "no: it is above" if above else "holds: it is below" if below else "holds: none seen"
        seen, other = (above, below) if self.claim.direction == "above" else (below, above)
        return "holds" if seen else "no: the other way" if other else "not seen"


def find(claims: tuple[Claim, ...], values: Mapping[str, Mapping[str, float]]) -> list[Finding]:
    """The claims beside the differences of their methods; `values` are by method, then task."""
    found = []
    for claim in claims:
        a, b = values[claim.a], values[claim.b]
        tasks = sorted(a.keys() & b.keys())
        found.append(Finding(claim, paired_tests([a[task] for task in tasks], [b[task] for task in tasks])))
    return found
