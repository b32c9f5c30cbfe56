"""A LabelSet or a tensor goes wherever an array of labels goes, in every public function; sets are joined by id."""

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import w2s_probes
from tests.conftest import planted
from w2s_probes import FilterResult, InputError, KNNProbe, LabelSet, LogisticProbe, TopoProbe
from w2s_probes.audit import conflict_audit
from w2s_probes.calibration import calibrate, cross_calibrated, reliability_bins
from w2s_probes.filtering import channel_filter, overlap_density, raters_filter
from w2s_probes.foretelling import foretell, misfit, robust_expansion, shared_errors
from w2s_probes.gating import Gate, dispersion, gate, mixed, mixture_losses, own_losses
from w2s_probes.losses import Objective
from w2s_probes.metrics.recovery import bootstrap
from w2s_probes.metrics.recovery_over_seeds import gap_recovered_over_seeds
from w2s_probes.neighbors import search
from w2s_probes.probes import (
    AttentionProbe,
    ClassifierProbe,
    ContrastProbe,
    GraphProbe,
    MeanDifferenceProbe,
    MLPProbe,
    WhitenedMeanDifferenceProbe,
    auroc_scorer,
    paired_sides,
)
from w2s_probes.selection import choose_by_gold
from w2s_probes.simulated import error_balance, first_features, hard, mistaken, trivial_imitation
from w2s_probes.stats import agreement
from w2s_probes.store import TokenActivations
from w2s_probes.students import HeadStudent, Texts
from w2s_probes.tensors import as_numpy

DATA = planted(n=200)
X, N = DATA.X, len(DATA.X)
WEAK = np.abs(DATA.weak - np.random.default_rng(0).uniform(0.05, 0.45, N))
IDS = np.array([f"r{i}" for i in range(N)], dtype=object)
TURNED = np.roll(IDS, 1)
TOKENS = TokenActivations(X, np.arange(N + 1), np.zeros(N, np.int32))
PAIRS = paired_sides(X, -X)
BAYES = "sklearn.naive_bayes:GaussianNB"
P = KNNProbe(10).fit(X, WEAK).out_of_sample_
GRAPH = search(X, 10)
FILTER = w2s_probes.disagreement_filter(WEAK, P)


def labels(p: NDArray[np.float64], ids: NDArray[np.object_] = IDS, role: Any = "weak") -> LabelSet:
    return LabelSet(ids, p, role)


def own_filter(y: Any) -> FilterResult:
    return w2s_probes.probe_filter(KNNProbe(10), X, y)


# By name: a call with labels that one set gives, the arrays that they are.
ONE: dict[str, tuple[Callable[..., Any], NDArray[np.float64]]] = {
    "KNNProbe": (lambda y: KNNProbe(10).fit(X, y).score(X, y), WEAK),
    "ClassifierProbe": (lambda y: ClassifierProbe(BAYES).fit(X, y).predict_proba(X), WEAK),
    "ContrastProbe": (lambda y: ContrastProbe().fit(PAIRS, y).predict_proba(PAIRS), WEAK),
    "LogisticProbe": (lambda y: LogisticProbe().fit(X, y).coef_, WEAK),
    "GraphProbe": (lambda y: GraphProbe(10).fit(X, y).out_of_sample_, WEAK),
    "TopoProbe": (lambda y: TopoProbe(10, 10).fit(X, y).out_of_sample_, WEAK),
    "MeanDifferenceProbe": (lambda y: MeanDifferenceProbe().fit(X, y).out_of_sample_, WEAK),
    "WhitenedMeanDifferenceProbe": (lambda y: WhitenedMeanDifferenceProbe().fit(X, y).out_of_sample_, WEAK),
    "MLPProbe": (lambda y: MLPProbe(epochs=2).fit(X, y).predict_proba(X), WEAK),
    "MLPProbe.path": (lambda y: MLPProbe.path(X, y, l2=[0.1], epochs=2).cv_loss, WEAK),
    "AttentionProbe": (lambda y: AttentionProbe(4, epochs=2).fit(TOKENS, y).predict_proba(TOKENS), WEAK),
    "KNNProbe.path": (lambda y: KNNProbe.path(X, y, k=[5, 10]).loss, WEAK),
    "LogisticProbe.path": (lambda y: LogisticProbe.path(X, y, l2=[0.1]).cv_loss, WEAK),
    "LogisticProbe.paths": (lambda y: LogisticProbe.paths(X, [y, y], l2=[0.1])[1].cv_loss, WEAK),
    "auroc_scorer": (lambda y: auroc_scorer(KNNProbe(10).fit(X, WEAK), X, y), WEAK),
    "relabel": (lambda y: w2s_probes.relabel(KNNProbe(10), X, y), WEAK),
    "probe_filter": (lambda y: own_filter(y).scores, WEAK),
    "topo_cc": (lambda y: w2s_probes.topo_cc(X, y, 10), WEAK),
    "topo_filter": (lambda y: w2s_probes.topo_filter(X, y, 10, 10).scores, WEAK),
    "topo_filter, paper": (lambda y: w2s_probes.topo_filter(X, y, **w2s_probes.TOPO_MODES["paper"]).p, WEAK),
    "overlap_density": (lambda y: overlap_density(X, y, least_gain=0).confidence, WEAK),
    "raters_filter": (lambda y: raters_filter(y, P / 2).mask, WEAK),
    "HeadStudent": (lambda y: HeadStudent(epochs=2).fit(X, y, X, y).coef_, WEAK),
    "Texts": (lambda y: Texts(["a text"] * N, y).soft, WEAK),
    "Objective.fit": (lambda y: _fitted_prior(y), WEAK),
    "hard": (hard, WEAK),
    "dispersion": (dispersion, WEAK),
    "trivial_imitation": (lambda y: trivial_imitation(["a text"] * N, y), WEAK),
    "first_features": (lambda y: first_features(X, y, X, 3), DATA.truth),
    "FilterResult.report": (lambda y: list(FILTER.report(y).values()), DATA.truth),
    "report_card": (lambda y: w2s_probes.report_card(FILTER, y, draws=50).filter.precision, DATA.truth),
}
# The same of two sets of the same rows.
TWO: dict[str, tuple[Callable[..., Any], NDArray[np.float64], NDArray[np.float64]]] = {
    "auroc": (w2s_probes.auroc, DATA.truth, WEAK),
    "accuracy": (w2s_probes.accuracy, DATA.truth, WEAK),
    "performance_gap_recovered": (
        lambda t, w: w2s_probes.performance_gap_recovered(t, w, P, DATA.truth, n_boot=50).value,
        DATA.truth,
        WEAK,
    ),
    "performance_gap_recovered, hard": (
        lambda t, w: w2s_probes.performance_gap_recovered(t, w, P, DATA.truth, n_boot=50).value,
        DATA.truth,
        DATA.weak,
    ),
    "bootstrap": (lambda t, w: bootstrap(t, {"weak": w}, n_boot=20)["weak"], DATA.truth, WEAK),
    "gap_recovered_over_seeds": (
        lambda t, w: gap_recovered_over_seeds(t, [{"weak": w, "ceiling": t, "s": P}]).recovered["s"].value,
        DATA.truth,
        WEAK,
    ),
    "disagreement_filter": (lambda y, p: w2s_probes.disagreement_filter(y, p).scores, WEAK, P),
    "channel_filter": (lambda y, p: channel_filter(y, p).scores, WEAK, P),
    "noise_model": (lambda y, p: w2s_probes.noise_model(y, p, draws=20).auroc.value, WEAK, P),
    "agreement": (lambda s, w: agreement(s, w, DATA.truth).share.value, P, WEAK),
    "agreement, truth": (lambda w, t: agreement(P, w, t).share.value, WEAK, DATA.truth),
    "gate": (lambda w, s: gate(w, s).p, WEAK, P),
    "misfit": (lambda w, s: misfit(w, s).estimate.value, WEAK, P),
    "shared_errors": (lambda w, t: shared_errors(w, P, t).estimate.value, WEAK, DATA.truth),
    "robust_expansion": (
        lambda w, t: robust_expansion(w, P, t, GRAPH, blocks=0).estimate.value,
        WEAK,
        DATA.truth,
    ),
    "foretell": (
        lambda y, t: foretell(X, y, truth=t, draws=0, blocks=0).measures[4].estimate.value,
        WEAK,
        DATA.truth,
    ),
    "choose_by_gold": (lambda t, w: choose_by_gold(t, {1: w, 2: P}, n_boot=20).scores[1], DATA.truth, WEAK),
    "calibrate": (lambda s, y: calibrate(s, y)(P), P, WEAK),
    "cross_calibrated": (cross_calibrated, P, WEAK),
    "reliability_bins": (lambda t, s: reliability_bins(t, s)["share"], DATA.truth, P),
    "own_losses": (lambda w, y: own_losses(w, P, y, 0.3), WEAK, DATA.truth),
    "mixture_losses": (lambda w, y: mixture_losses(w, P, y, 0.3), WEAK, DATA.truth),
    "mixed": (lambda w, s: mixed(w, s, 0.5).p, WEAK, P),
    "conflict_audit": (lambda t, w: conflict_audit(t, w, DATA.truth, P, 1 - P, n_boot=2).score, DATA.truth, WEAK),
    "mistaken": (lambda t, w: mistaken("own", t, weak=w), DATA.truth, WEAK),
    "error_balance": (lambda t, w: error_balance(t, w).rate, DATA.truth, WEAK),
    "report of a filter by a label set": (lambda y, t: own_filter(y).report(t)["precision"], WEAK, DATA.truth),
    "card of a filter by a label set": (
        lambda y, t: w2s_probes.report_card(own_filter(y), t, draws=50).filter.precision,
        WEAK,
        DATA.truth,
    ),
}
# Public functions with an argument of these names that the calls above do not go by the name of.
TAKES = {"y", "truth", "labels", "weak", "student", "p", "soft", "Y", "truth_fit", "soft_train"}
ELSEWHERE = {
    "calibrate_file": "test_calibrated_files.py: files are joined by id",
    "apply_to_file": "test_calibrated_files.py: files are joined by id",
    "sweep": "test_sweep.py: label sets are joined to the store by id",
    "export": "test_export.py: a LabelSet is one of its kinds of labels",
    "expected_pgr": "takes numbers, not rows",
    "pooled": "takes one number a task",
    "saturated": "takes one number a task",
    "holm": "takes p-values",
    "FilterResult": "holds what filters found",
    "confident_filter": "filtering/test_by_judgement.py: where cleanlab is installed",
    "audit_files": "test_conflict.py: files are joined by id",
    "draw_audit": "auditing/test_folding.py: labels are joined by id, and so are scores that are a label set",
    "fold_audit": "auditing/test_folding.py: as draw_audit",
    "Gate": "test_gates.py: its truth is no label set of role weak",
    "combine": "test_combining.py: label sets are joined by id",
    "dawid_skene": "takes a matrix of labels, a column a rater",
    "disagreement": "takes a matrix of labels, a column a rater",
    "GatedExperts": "test_experts.py: its truth is no label set of role weak",
}


def _fitted_prior(y: Any) -> Any:
    objective = Objective("logconf")
    objective.fit(y)
    return objective.prior if objective.prior is not None else len(y)


ROOMS = (
    *("probes", "filtering", "simulated", "stats", "sweep", "export", "audit", "auditing", "gating", "raters"),
    *("foretelling", "selection", "calibration"),
)


def test_every_public_function_that_takes_labels_is_called_here() -> None:
    called = {name.partition(",")[0].partition(".")[0] for name in (*ONE, *TWO)} | set(ELSEWHERE)
    seen = set()
    for home in ("", *(f".{room}" for room in ROOMS)):
        module = import_module(f"w2s_probes{home}")
        for name in module.__all__:
            thing = getattr(module, name)
            if not inspect.isroutine(thing) and not (isinstance(thing, type) and hasattr(thing, "fit")):
                continue
            methods = [thing] if inspect.isroutine(thing) else [thing.fit]
            if any(TAKES & set(inspect.signature(method).parameters) for method in methods):
                seen.add(name)
    assert seen - called == {"Probe"}  # what the probes share
    assert len(seen) > 15


@pytest.mark.parametrize("name", ONE)
def test_a_label_set_does_what_its_array_does(name: str) -> None:
    call, array = ONE[name]
    assert np.array_equal(call(labels(array)), call(array), equal_nan=not isinstance(call(array), list))


@pytest.mark.parametrize("name", TWO)
def test_two_label_sets_do_what_their_arrays_do_unless_their_rows_differ(name: str) -> None:
    call, first, second = TWO[name]
    plain = call(first, second)
    for one, other in ((labels(first), second), (first, labels(second)), (labels(first), labels(second))):
        assert np.array_equal(call(one, other), plain, equal_nan=True)
    with pytest.raises(InputError, match=r"row 0 is 'r\d+' in the one and 'r\d+' in the other"):
        call(labels(first), labels(second, TURNED))
    with pytest.raises(InputError, match="give both of the same rows"):
        call(labels(first), labels(second[:-1], IDS[:-1]))


def tensor(array: Any) -> Any:
    """The numbers in a format that numpy lacks, with a gradient, and as numpy would have them."""
    torch = pytest.importorskip("torch")
    given = torch.tensor(np.asarray(array, dtype=np.float64)).to(torch.bfloat16).requires_grad_()
    return given, as_numpy(given).astype(np.float64)


@pytest.mark.parametrize("name", ONE)
def test_a_tensor_with_a_gradient_does_what_its_array_does(name: str) -> None:
    call, array = ONE[name]
    given, plain = tensor(array)
    assert np.array_equal(call(given), call(plain), equal_nan=not isinstance(call(plain), list))


@pytest.mark.parametrize("name", TWO)
def test_two_tensors_do_what_their_arrays_do(name: str) -> None:
    call, first, second = TWO[name]
    (one, plain), (other, also) = tensor(first), tensor(second)
    for given in ((one, also), (plain, other), (one, other)):
        assert np.allclose(call(*given), call(plain, also), rtol=0, atol=1e-7, equal_nan=True)


def test_a_label_set_is_its_probabilities_as_an_array() -> None:
    weak = labels(WEAK)
    assert np.asarray(weak).dtype == np.float64
    assert np.array_equal(np.asarray(weak), WEAK)
    assert np.array(weak, dtype=np.float32).dtype == np.float32
    assert np.array(weak, copy=True) is not weak.p
    with pytest.raises(ValueError, match="copy"):
        np.array(weak, dtype=np.float32, copy=False)
    changed = np.array(weak)
    changed[0] = 0.5
    assert weak.p[0] == WEAK[0]


def test_labels_of_other_rows_than_the_tokens_are_refused() -> None:
    tokens = TokenActivations(X, np.arange(N + 1), np.zeros(N, np.int32), IDS)
    AttentionProbe(4, epochs=1).fit(tokens, labels(WEAK))
    with pytest.raises(InputError, match=r"tokens and labels are of other rows, or in another order: row 0 is 'r0'"):
        AttentionProbe(4, epochs=1).fit(tokens, labels(WEAK, TURNED))


def test_truth_of_other_rows_than_a_gates_predictions_is_refused() -> None:
    truth = labels(DATA.truth, role="truth")
    by_set, by_array = Gate("learned").fit(labels(WEAK), P, truth), Gate("learned").fit(WEAK, P, DATA.truth)
    assert np.array_equal(by_set.confidence(WEAK), by_array.confidence(WEAK))
    with pytest.raises(InputError, match="weak and truth are of other rows, or in another order"):
        Gate("learned").fit(labels(WEAK), P, labels(DATA.truth, TURNED, "truth"))
