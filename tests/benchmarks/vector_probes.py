"""Mean differences and the MLP beside one logistic path of the same layer, of all penalties and folds."""

from collections.abc import Callable, Iterator

from tests.benchmarks.logistic import FOLDS, ROWS, layer
from tests.benchmarks.timing import Line, in_turns
from w2s_probes import LogisticProbe
from w2s_probes.probes import MeanDifferenceProbe, MLPProbe, WhitenedMeanDifferenceProbe
from w2s_probes.probes.penalties import PENALTIES

WIDTH, TURNS = 1024, 3
FIVE = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def cases() -> Iterator[Line]:
    """The lines of the table, of one layer; a sweep pays them at each."""
    data = layer(WIDTH)
    works: dict[str, tuple[Callable[[], object], float]] = {
        "mean difference": (lambda: MeanDifferenceProbe().fit(data.X, data.p), 0.1),
        "mean difference with exact out-of-sample scores": (
            lambda: MeanDifferenceProbe().fit(data.X, data.p).out_of_sample_,
            0.0,
        ),
        "the same, whitened": (lambda: WhitenedMeanDifferenceProbe().fit(data.X, data.p).out_of_sample_, 0.0),
        "MLP, one penalty": (lambda: MLPProbe.path(data.X, data.p, l2=[1e-2], cv=FOLDS), 0.0),
        "MLP, five penalties": (lambda: MLPProbe.path(data.X, data.p, l2=FIVE, cv=FOLDS), 0.0),
    }
    for what, (work, most) in works.items():
        ours, path, _ = in_turns(work, lambda: LogisticProbe.path(data.X, data.p, l2=PENALTIES, cv=FOLDS), TURNS)
        size = f"{what}, {ROWS:,} x {WIDTH:,}"
        yield Line(size, ours, path, "s", "one logistic path, 11 penalties", ours / path, most, at_least=False)
