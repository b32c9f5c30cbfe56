"""Every method by itself, on synthetic activations."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyses.experiment import Experiment
from analyses.lessons.lesson import Leak
from analyses.methods import METHODS, find_method, find_methods
from analyses.recipe.probe_values import Probes
from tests.conftest import planted
from tests.worlds.experiments import Untaught, experiment, outcome_by, taught, truth_of_planted
from w2s_probes import InputError, KNNProbe, TopoProbe, auroc
from w2s_probes.metrics.recovery import mean_metric
from w2s_probes.rows.groups import group_ids


def view(folder: Path, name: str) -> Experiment:
    made = experiment(folder)
    return replace(made, truth=truth_of_planted()) if find_method(name).oracle else made


# Losses that teach the student its own opinion too early, or only more slowly, are not asked for as much.
LEAST = {"student-entropy-detached": 0.9, "student-product": 0.9}
LEAST |= {"control-permuted-graph": 0.0, "control-permuted-mlp": 0.0}  # which know nothing
LEAST |= {"control-swapped-sides": 0.0}  # likewise
LEAST |= {"control-fusion-shuffled-change": 0.7}  # what tuning changed in other rows
LEAST |= {"probe-attention": 0.9, "relabel-attention": 0.9}  # which learns some of the noise of 300 rows, too


# Controls of a debate teach supervisors, of which this world has none: tests/analyses/test_debating.py tries them.
EVERY = [name for name, method in METHODS.items() if not method.debates]
EVERY += ["control-random:filter-knn", "control-random:filter-relabel-topo"]
EVERY += ["control-gold-weak:gold-after", "gold-append:20:200", "control-weak-alone:200"]
EVERY += ["control-gate-average:gate-learned", "control-gate-shuffled:gate-ceiling"]


def trainings(folder: Path) -> int:
    return len(list((folder / "trained").glob("*.safetensors")))


@pytest.mark.parametrize("name", EVERY)
def test_each_method_alone_learns_through_noise_by_as_many_students_as_it_plans(name: str, tmp_path: Path) -> None:
    method = find_method(name)
    outcome = outcome_by(name, experiment(tmp_path))
    assert set(outcome.scores) == {"test"}
    drawn = name.startswith(
        (
            *("control-random:", "control-random-", "control-permuted", "control-gate-shuffled"),
            *("control-fusion-shuffled", "control-swapped"),
        )
    )
    assert outcome.scores["test"].shape == ((5, 200) if drawn else (200,))
    assert mean_metric("auroc", planted(n=200, seed=2).truth, outcome.scores["test"]) > LEAST.get(name, 0.95)
    known = (
        "knn",
        "logistic",
        "topo",
        "graph",
        "mlp",
        "mean-difference",
        "mean-difference-whitened",
        "attention",
        "contrast",
        "layers",
        "raters",
        "channel",
        "confident",
        "overlap",
        "student",
        "control",
        "s2s",
        "two",
        "bootstrap",
        "gate",
        "mowst",
    )
    assert (outcome.probe or name.split("-")[0]) in (*known, "mowst", "prior", "fusion", "gold")
    assert trainings(tmp_path) == method.students
    assert (method.removal is not None) == ("filter" in name)


def test_methods_that_begin_alike_train_that_student_once(tmp_path: Path) -> None:
    for name in ("student-xent", "s2s-1", "s2s-2", "bootstrap"):
        outcome_by(name, experiment(tmp_path))
    assert trainings(tmp_path) == 3  # the first student and two rounds; the intermediate model here is the strong one


def test_a_random_control_removes_as_many_of_each_class_and_as_many_groups_as_its_own_filter(tmp_path: Path) -> None:
    """Topo removes what its components leave out, of whatever mix; its control is to differ in nothing else."""
    groups = np.repeat(np.arange(150), 2).astype(str)
    teacher = Untaught()
    made = experiment(tmp_path, probes=Probes(knn_k=20, topo_k=5), groups=groups)
    for name in ("filter-topo", "control-random:filter-topo"):
        outcome_by(name, made, teacher)
    gone, *drawn = (~lesson.taught for lesson in teacher.lessons)
    positive = made.weak_train > 0.5
    assert gone.sum() > 35  # more than the contamination asks for
    assert len(drawn) == 5
    assert len({one.tobytes() for one in drawn}) == 5
    for one in drawn:
        assert ((one & positive).sum(), (one & ~positive).sum()) == ((gone & positive).sum(), (gone & ~positive).sum())
        assert len(set(groups[one])) == len(set(groups[gone]))
        assert not np.array_equal(one, gone)


def test_a_control_of_what_is_no_filter_and_the_former_control_say_what_to_name() -> None:
    with pytest.raises(InputError, match=r"'student-xent' is no filter"):
        find_methods(["control-random:student-xent"])
    with pytest.raises(InputError, match=r"name it control-random:FILTER"):
        find_methods(["control-random-filter"])
    with pytest.raises(InputError, match=r"'filter-top' is no filter: did you mean 'filter-topo'"):
        find_methods(["control-random:filter-top"])


def test_a_filter_of_the_users_own_has_a_control_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = replace(METHODS["filter-knn"], students=1)
    monkeypatch.setitem(METHODS, "filter-mine", own)
    outcome = outcome_by("control-random:filter-mine", experiment(tmp_path))
    assert outcome.notes["removed"] == 30
    assert outcome.contamination == 0.1


def test_the_control_of_a_filter_that_reads_no_contamination_names_none(tmp_path: Path) -> None:
    assert outcome_by("control-random:filter-channel", experiment(tmp_path)).contamination is None


def test_a_probe_is_measured_against_itself_taught_the_truth(tmp_path: Path) -> None:
    assert list(find_methods(["probe-knn", "student-xent"])) == ["ceiling-knn", "probe-knn", "student-xent"]
    made = view(tmp_path, "ceiling-knn")
    X, truth = made.X_train, made.true_train()
    expected = KNNProbe(20).fit(X, truth).predict_proba(made.activations.of(made.rows["test"]))[:, 1]
    assert np.array_equal(outcome_by("ceiling-knn", experiment(tmp_path)).scores["test"], expected)
    with pytest.raises(Leak):
        METHODS["ceiling-knn"].run(experiment(tmp_path))


def test_the_oracle_filter_removes_wrong_labels_alone(tmp_path: Path) -> None:
    teacher, data = Untaught(), planted(n=300, noise=0.2)
    outcome_by("control-oracle-filter", experiment(tmp_path), teacher)
    (lesson,) = teacher.lessons
    assert (data.weak != data.truth)[~lesson.taught].all()
    assert (~lesson.taught).sum() == 30


def test_bootstrapping_without_a_model_between_says_what_to_add(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"needs models between weak and strong: add \[\[intermediate\]\]"):
        outcome_by("bootstrap", experiment(tmp_path, intermediate=()))


def test_opinions_keep_groups_together(tmp_path: Path) -> None:
    """Rows in near-equal pairs of one random label: without groups a neighbour knows the answer, with them not."""
    noise = planted(n=150, d=30, noise=0.5, apart=0)
    jitter = np.random.default_rng(0).normal(scale=1e-3, size=(300, 30)).astype(np.float32)
    X, y = np.repeat(noise.X, 2, axis=0) + jitter, np.repeat(noise.weak, 2)
    probes = Probes(knn_k=1)
    leaky = experiment(tmp_path / "a", X_train=X, weak_train=y, probes=probes)
    assert auroc(y, leaky.out_of_sample_scores("knn")) == 1
    groups = np.repeat(np.arange(150), 2).astype(str)
    kept = experiment(tmp_path / "b", X_train=X, weak_train=y, probes=probes, groups=groups)
    assert abs(auroc(y, kept.out_of_sample_scores("knn")) - 0.5) < 0.15


def test_graphs_and_opinions_are_kept_by_what_decides_them(tmp_path: Path) -> None:
    first = experiment(tmp_path)
    p = first.out_of_sample_scores("knn")
    files = sorted((tmp_path / "neighbors").iterdir()) + sorted((tmp_path / "opinions").iterdir())
    again = experiment(tmp_path)
    assert np.array_equal(again.out_of_sample_scores("knn"), p)
    assert sorted((tmp_path / "neighbors").iterdir()) + sorted((tmp_path / "opinions").iterdir()) == files
    other = experiment(tmp_path, weak_train=1 - first.weak_train)
    assert not np.array_equal(other.out_of_sample_scores("knn"), p)
    assert len(list((tmp_path / "neighbors").iterdir())) == 1  # labels do not move neighbours
    assert len(list((tmp_path / "opinions").iterdir())) == 2


def test_a_filter_that_leaves_one_class_says_so(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    with pytest.raises(InputError, match=r"filtering leaves \d+ of 300 training rows, all labelled 1: lower"):
        made.lesson(made.weak_train, made.weak_train > 0.5)


def test_soft_labels_of_one_side_still_teach(tmp_path: Path) -> None:
    made = experiment(tmp_path, weak_train=0.5 * planted(n=300, noise=0.2).weak)
    scores = taught(made.lesson(made.weak_train))["test"]
    assert auroc(planted(n=200, seed=2).truth, scores) > 0.95


@pytest.mark.parametrize("repeated", [False, True])
def test_probes_that_share_a_search_score_as_those_that_search_alone(repeated: bool, tmp_path: Path) -> None:
    """Also where training rows are equal, which are apart in every fit that reads neighbours."""
    X = planted(n=300, noise=0.2).X
    if repeated:
        X = np.repeat(X[:150], 2, axis=0)
    made = experiment(tmp_path, X_train=X, probes=Probes(knn_k=20, topo_k=10))
    X_test = made.activations.of(made.rows["test"])
    apart: Any = {"group_ids": group_ids(X)}
    for name in ("knn", "topo", "logistic"):
        alone = (
            made.probe(name).fit(X, made.weak_train, **apart if name != "logistic" else {}).predict_proba(X_test)[:, 1]
        )
        np.testing.assert_array_equal(outcome_by(f"probe-{name}", made).scores["test"], alone)


def test_a_fitted_probe_keeps_related_rows_apart_as_a_sweeps_does(tmp_path: Path) -> None:
    """Every row stands there three times: were copies neighbours, each would vouch for itself in the components."""
    one = planted(n=100, noise=0.2)
    X = np.repeat(one.X, 3, axis=0) + np.tile(np.array([[0], [1e-3], [2e-3]], dtype=np.float32), (100, 1))
    groups = np.repeat(np.arange(100), 3).astype(str)
    made = experiment(
        tmp_path, X_train=X, weak_train=np.repeat(one.weak, 3), groups=groups, probes=Probes(knn_k=20, topo_k=4)
    )
    test = made.activations.of(made.rows["test"])
    scores = made.probe_scores("topo", made.weak_train)["test"]
    ids = group_ids(X, groups)
    apart = TopoProbe(4, 4).fit(X, made.weak_train, group_ids=ids)
    np.testing.assert_array_equal(scores, apart.predict_proba(test)[:, 1])
    together = TopoProbe(4, 4).fit(X, made.weak_train).predict_proba(test)[:, 1]
    assert np.abs(scores - together).max() > 0.1
