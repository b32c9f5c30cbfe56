"""Labels smoothed on the neighbour graph: the smoothing beside its search, and both beside scikit-learn's."""

from collections.abc import Iterator

from sklearn.semi_supervised import LabelSpreading

from tests.benchmarks.neighbors import two_classes
from tests.benchmarks.timing import Line, in_turns
from w2s_probes.neighbors import search
from w2s_probes.probes import GraphProbe
from w2s_probes.probes.graph_smoothing import ALPHA

ROWS, K = 20_000, 15


def cases() -> Iterator[Line]:
    """The lines of the table."""
    X, y = two_classes(ROWS)
    graph = search(X, K)

    def of_folds() -> object:
        return GraphProbe(K).fit(X, y, graph=graph).out_of_sample_

    ours, search_alone, ratio = in_turns(of_folds, lambda: search(X, K), times=3)
    what = f"labels smoothed out of sample, {ROWS:,} x 512, k = {K}, after the search"
    yield Line(what, ours, search_alone, "s", "the search alone", ratio, 0.0)

    def theirs() -> object:
        return LabelSpreading(kernel="knn", n_neighbors=K, alpha=ALPHA).fit(X, y > 0.5)

    ours, there, ratio = in_turns(lambda: GraphProbe(K).fit(X, y).smoothed_, theirs, times=1)
    against = "scikit-learn LabelSpreading, to 1e-3"
    yield Line(f"all labels smoothed, {ROWS:,} x 512, with the search", ours, there, "s", against, ratio, 1.0)
