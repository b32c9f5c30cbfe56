"""The table of results and the comparisons across tasks, from scores made up here."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.experiment import Outcome
from analyses.results.comparisons import compare
from analyses.results.summary import format_interval, summary
from analyses.results.table import results_table, seed_rows, task_rows
from analyses.results.trial_result import TrialResult
from w2s_probes import auroc


def judged(quality: dict[str, float], seed: int = 0, n: int = 200, questions: int = 0) -> TrialResult:
    """Scores of the truth plus noise: the higher the quality, the better."""
    rng = np.random.default_rng(seed)
    truth = np.tile([0.0, 1.0], n // 2)
    outcomes = {}
    candidates = None
    if questions:
        names = np.repeat([f"q{i}" for i in range(questions)], 4)
        candidates = pd.DataFrame({"question": names, "label": np.tile([1, 0, 0, 0], questions)})
    for name, q in quality.items():
        scores = {"test": 1 / (1 + np.exp(-(q * (2 * truth - 1) + rng.normal(size=n))))}
        if candidates is not None and name != "probe-knn":
            scores["candidates"] = rng.normal(size=len(candidates)) + q * candidates["label"].to_numpy()
        outcomes[name] = Outcome(scores)
    test = pd.DataFrame({"id": [f"r{i}" for i in range(n)], "label": truth})
    return TrialResult(test, candidates, outcomes, frozenset({"ceiling", "control-oracle-filter"}), seed, layer=3)


def test_a_ceiling_that_is_no_better_gives_no_ratio_in_the_table() -> None:
    one = judged({"weak": 0.5})
    same = TrialResult(one.test, None, dict.fromkeys(("weak", "ceiling", "s"), one.outcomes["weak"]), frozenset(), 0, 3)
    results = results_table(seed_rows("t", same, 50))
    line = summary(results).iloc[0]
    assert (line["pgr"], line["status"]) == ("-", "undefined")
    assert results["layer"].isna().sum() == 2  # the weak supervisor's
    assert format_interval(0.5, -0.1, 1) == "0.50 [-0.10, 1.00]"


def test_oracles_are_marked_in_table_and_summary() -> None:
    table = results_table(
        seed_rows("t", judged({"weak": 0.3, "ceiling": 2, "student-xent": 1, "control-oracle-filter": 1.5}), 100)
    )
    marked = table[table["oracle"] & (table["metric"] != "agreement_on_errors")]
    assert set(marked["method"]) == {"ceiling", "control-oracle-filter"}
    assert summary(table)["method"].tolist() == ["student-xent", "control-oracle-filter*"]


def test_agreement_is_overall_and_on_errors() -> None:
    one = judged({"weak": 0.5, "ceiling": 2, "student-xent": 1})
    table = results_table(seed_rows("t", one, 100)).set_index(["method", "metric"])
    weak, student = (one.scores[name] > 0.5 for name in ("weak", "student-xent"))
    wrong = weak != (one.truth > 0.5)
    assert table["value"]["student-xent", "agreement"] == pytest.approx((weak == student).mean())
    assert table["value"]["student-xent", "agreement_on_errors"] == pytest.approx((weak == student)[wrong].mean())
    assert table["n"]["student-xent", "agreement_on_errors"] == wrong.sum()


def test_questions_are_scored_by_their_candidates_together() -> None:
    one = judged({"weak": 0.3, "ceiling": 3, "student-xent": 1, "probe-knn": 1}, questions=150)
    table = results_table(seed_rows("t", one, 200))
    found = table[table["metric"] == "question_accuracy"].set_index("method")
    assert one.candidates is not None
    scores = one.outcomes["student-xent"].scores["candidates"].reshape(150, 4)
    assert found["value"]["student-xent"] == pytest.approx((scores.argmax(axis=1) == 0).mean())
    assert "probe-knn" not in found.index  # it scored none
    assert (found["n"] == 150).all()
    pgr = table[table["metric"] == "pgr_question_accuracy"].set_index("method")
    expected = (found["value"]["student-xent"] - found["value"]["weak"]) / (
        found["value"]["ceiling"] - found["value"]["weak"]
    )
    assert pgr["value"]["student-xent"] == pytest.approx(expected)
    assert pgr["low"]["student-xent"] < expected < pgr["high"]["student-xent"]


def test_several_seeds_get_lines_together_and_one_does_not() -> None:
    qualities = {"weak": 0.3, "ceiling": 2, "student-xent": 1}
    runs = {seed: judged(qualities, seed) for seed in (0, 1, 2)}
    table = results_table(task_rows("t", runs, 100))
    assert table["seed"].isna().sum() == 2 * (3 + 1 + 2)  # values, the gap, gain and PGR, of two metrics
    assert summary(table)["student"].tolist() == [
        pytest.approx(table[(table["metric"] == "auroc") & (table["method"] == "student-xent")]["value"][:3].mean())
    ]
    assert not results_table(task_rows("t", {0: runs[0]}, 100))["seed"].isna().any()


def test_comparisons_are_paired_by_task_and_corrected_for_the_methods_that_were_compared() -> None:
    qualities = {"weak": 0.3, "ceiling": 2.0, "student-xent": 1.0, "probe-knn": 1.4, "control-oracle-filter": 1.8}
    tasks = {f"t{i}": {0: judged(qualities, seed=i)} for i in range(8)}
    found = compare(tasks, "student-xent")
    auroc = found[found["metric"] == "auroc"].set_index("method")
    assert auroc["better"]["probe-knn"] == 8
    assert auroc["p_wilcoxon"]["probe-knn"] == pytest.approx(1 / 2**8)
    assert auroc["p_wilcoxon_holm"]["probe-knn"] == auroc["p_wilcoxon"]["probe-knn"]  # the oracle is not compared
    assert np.isnan(auroc["p_wilcoxon_holm"]["control-oracle-filter"])
    assert auroc["oracle"].to_dict() == {"student-xent": False, "probe-knn": False, "control-oracle-filter": True}
    assert auroc["pooled_low"]["probe-knn"] < auroc["pooled_pgr"]["probe-knn"] < auroc["pooled_high"]["probe-knn"]
    assert np.isnan(auroc["t"]["student-xent"])


def test_a_baseline_that_was_not_run_tests_nothing() -> None:
    tasks = {f"t{i}": {0: judged({"weak": 0.3, "ceiling": 2.0, "probe-knn": 1.4}, seed=i)} for i in range(3)}
    found = compare(tasks, "student-xent")
    assert found["p_t"].isna().all()
    assert found["pooled_pgr"].notna().all()


def test_a_run_and_a_sweep_give_the_same_scores_the_same_error() -> None:
    from w2s_probes.metrics.influence import ranking
    from w2s_probes.rows.groups import group_numbers

    one = judged({"weak": 0.5, "ceiling": 2, "student-xent": 1})
    for groups in (None, np.repeat([f"g{i}" for i in range(50)], 4)):
        test = one.test if groups is None else one.test.assign(group=groups)
        table = results_table(seed_rows("t", TrialResult(test, None, one.outcomes, frozenset(), 0, 3), 50))
        line = table[(table["method"] == "student-xent") & (table["metric"] == "auroc")].iloc[0]
        measured = ranking(one.truth > 0.5, one.scores["student-xent"])
        assert measured is not None
        expected = measured.share(group_numbers(groups, 200))  # as a sweep's lines are made
        assert (line["value"], line["low"], line["high"]) == pytest.approx(
            (expected.value, expected.low, expected.high)
        )


def test_groups_of_test_rows_widen_every_interval_of_the_table() -> None:
    one = judged({"weak": 0.5, "ceiling": 2, "student-xent": 1})
    rows = np.r_[np.arange(200), np.arange(200)]
    twice = {name: Outcome({"test": outcome.scores["test"][rows]}) for name, outcome in one.outcomes.items()}
    test = pd.DataFrame(one.test.to_dict("list")).take(rows).reset_index(drop=True)
    widths = {}
    for name, groups in (("told", rows), ("ignored", np.arange(400))):
        given = TrialResult(test.assign(group=groups.astype(str)), None, twice, frozenset(), 0, 3)
        table = results_table(task_rows("t", {0: given, 1: given}, 300))
        keys: Any = table.assign(seed=table["seed"].astype(object).where(table["seed"].notna(), "all"))
        width = keys.assign(width=keys["high"] - keys["low"]).set_index(["seed", "method", "metric"])["width"]
        widths[name] = width.drop("agreement_on_errors", level="metric")
    ratio = (widths["told"] / widths["ignored"]).dropna()
    assert len(ratio) >= 20
    assert (ratio > 1.15).all()
    assert ratio.median() == pytest.approx(np.sqrt(2), rel=0.1)


def test_hard_labels_are_judged_by_accuracy_and_said_to_be() -> None:
    one = judged({"weak": 0.8, "ceiling": 3, "student-xent": 1.5}, n=600)
    hard = Outcome({"test": (one.scores["weak"] > 0.5).astype(float)})
    same = {**one.outcomes, "weak": hard, "student-same": Outcome({"test": one.scores["weak"]})}
    given = TrialResult(one.test, None, same, frozenset({"ceiling"}), 0, 3)
    for runs in ({0: given}, {0: given, 1: given}):
        table = results_table(task_rows("t", runs, 200))
        pgr = table[(table["metric"] == "pgr_auroc") & (table["method"] == "student-same")]
        assert (pgr["value"] == 0).all()  # it repeats its supervisor
        assert pgr["status"].str.contains("hard labels").all()
        shown = summary(table).set_index("method")
        assert set(shown["metric"]) == {"accuracy"}
        assert shown["pgr"]["student-same"].startswith("0.00")
        assert not shown["status"].str.contains("hard").any()


def test_a_probes_pgr_is_by_its_own_ceiling_with_the_students_beside_it() -> None:
    one = judged({"weak": 0.3, "ceiling": 2.0, "ceiling-knn": 1.2, "student-xent": 1.0, "probe-knn": 0.9}, n=600)
    given = TrialResult(one.test, None, one.outcomes, frozenset(), 0, 3, {"probe-knn": "ceiling-knn"})
    for runs in ({0: given}, {0: given, 1: given}):
        table = results_table(task_rows("t", runs, 100))
        line = table[table["seed"].isna()] if len(runs) > 1 else table
        value = line.set_index(["method", "metric"])["value"]
        weak, probe = value["weak", "auroc"], value["probe-knn", "auroc"]
        for ceiling, metric in (("ceiling-knn", "pgr_auroc"), ("ceiling", "pgr_auroc_common")):
            assert value["probe-knn", metric] == pytest.approx((probe - weak) / (value[ceiling, "auroc"] - weak))
        assert ("ceiling-knn", "pgr_auroc") not in value.index
        assert ("student-xent", "pgr_auroc_common") not in value.index
        assert summary(table).set_index("method")["ceiling"]["probe-knn"] == value["ceiling-knn", "auroc"]
    compared = compare({"t": {0: given}}, "student-xent").set_index(["metric", "method"])
    assert set(compared.loc["auroc"].index) == {"student-xent", "probe-knn"}


@pytest.mark.parametrize("lacking", [0, 1])
def test_a_seed_without_a_probes_ceiling_leaves_the_others(lacking: int) -> None:
    """As where truth leaves Topo too few rows in its components: whichever seed it is, the run has a table."""
    qualities = {"weak": 0.3, "ceiling": 2.0, "ceiling-topo": 1.2, "student-xent": 1.0, "probe-topo": 0.9}
    runs = {}
    for seed in range(3):
        quality = {name: q for name, q in qualities.items() if seed != lacking or name != "ceiling-topo"}
        one = judged(quality, seed, n=600)
        runs[seed] = TrialResult(one.test, None, one.outcomes, frozenset(), seed, 3, {"probe-topo": "ceiling-topo"})
    table = results_table(task_rows("t", runs, 50))
    pooled = table[table["seed"].isna()].set_index(["method", "metric"])
    assert pooled["seeds"]["student-xent", "auroc"] == 3
    assert pooled["seeds"]["probe-topo", "pgr_auroc"] == pooled["seeds"]["ceiling-topo", "auroc"] == 2
    value, two = pooled["value"], [seed for seed in range(3) if seed != lacking]
    means = {
        name: np.mean([auroc(runs[seed].truth, runs[seed].scores[name]) for seed in two])
        for name in ("weak", "probe-topo", "ceiling-topo")
    }
    share = (means["probe-topo"] - means["weak"]) / (means["ceiling-topo"] - means["weak"])
    assert value["probe-topo", "pgr_auroc"] == pytest.approx(share)


def test_one_rule_says_the_status_of_one_task() -> None:
    runs = {seed: judged({"weak": 0.3, "ceiling": 2, "student-xent": 1}, seed, n=600) for seed in (0, 1, 2)}
    table = results_table(task_rows("t", runs, 50))
    own = table[table["seed"].isna() & (table["metric"] == "pgr_auroc")].set_index("method")["status"]
    compared = compare({"t": runs}, "student-xent").set_index(["metric", "method"])["status"]
    assert own["student-xent"] == compared["auroc", "student-xent"] == "ok"


def test_a_method_that_fails_somewhere_is_compared_on_what_is_left() -> None:
    names = {"weak": 0.3, "ceiling": 2.0, "student-xent": 1.0, "probe-x": 1.4}
    tasks = {f"t{i}": {s: judged(names, seed=10 * i + s) for s in (0, 1)} for i in range(7)}

    def without(one: TrialResult, name: str) -> TrialResult:
        return TrialResult(
            one.test, None, {k: v for k, v in one.outcomes.items() if k != name}, one.oracles, one.seed, 3
        )

    tasks["t0"] = {seed: without(one, "probe-x") for seed, one in tasks["t0"].items()}
    tasks["t1"][0] = without(tasks["t1"][0], "probe-x")
    found = compare(tasks, "student-xent").set_index(["metric", "method"]).loc["auroc"]
    assert found["tasks"]["probe-x"] == 6
    only = tasks["t1"][1]
    from w2s_probes import auroc

    expected = [auroc(only.truth, only.scores["probe-x"]) - auroc(only.truth, only.scores["student-xent"])]
    for i in range(2, 7):
        runs = tasks[f"t{i}"].values()
        expected.append(
            float(
                np.mean([auroc(o.truth, o.scores["probe-x"]) - auroc(o.truth, o.scores["student-xent"]) for o in runs])
            )
        )
    assert found["difference"]["probe-x"] == pytest.approx(np.mean(expected))


def test_each_filter_is_compared_with_its_own_control_and_no_other() -> None:
    names = {"weak": 0.3, "ceiling": 2.0, "student-xent": 1.0, "filter-knn": 1.6, "filter-topo": 1.0}
    names |= {"control-random:filter-knn": 1.0, "control-random:filter-topo": 1.0}
    tasks = {f"t{i}": {0: judged(names, seed=i, n=600)} for i in range(7)}
    found = compare(tasks, "student-xent")
    beside: Any = found[(found["metric"] == "auroc") & (found["against"] != "student-xent")].dropna(subset="against")
    pairs = dict(zip(beside["method"], beside["against"], strict=True))
    assert pairs == {name: f"control-random:{name}" for name in ("filter-knn", "filter-topo")}
    by = beside.set_index("method")
    assert (by["p"]["filter-knn"], by["p_holm"]["filter-knn"]) == (2 / 2**7, 4 / 2**7)
    assert by["p"]["filter-topo"] > 0.05
    rest: Any = found[(found["metric"] == "auroc") & (found["against"] == "student-xent")].set_index("method")
    assert rest["p_holm"].notna().to_dict() == {name: name.startswith("filter") for name in rest.index}


def test_every_use_of_gold_rows_is_compared_with_the_control_that_they_share() -> None:
    names = {"weak": 0.3, "ceiling": 2.0, "student-xent": 1.0, "control-gold-alone:25": 0.6}
    names |= {"gold-append:25": 1.7, "gold-after:25": 1.6, "control-gold-weak:gold-after:25": 1.0}
    tasks = {f"t{i}": {0: judged(names, seed=i, n=600)} for i in range(7)}
    found = compare(tasks, "student-xent")
    beside: Any = found[(found["metric"] == "auroc") & (found["against"] != "student-xent")].dropna(subset="against")
    after, alone = "gold-after:25", "control-gold-alone:25"
    pairs = [("gold-append:25", alone), (after, f"control-gold-weak:{after}"), (after, alone)]
    assert list(zip(beside["method"], beside["against"], strict=True)) == pairs
    ranked = [{name: auroc(one[0].truth, scores) for name, scores in one[0].scores.items()} for one in tasks.values()]
    gains = [np.mean([values[a] - values[b] for values in ranked]) for a, b in pairs]
    assert beside["difference"].tolist() == pytest.approx(gains)
    assert beside["p_holm"].tolist() == [4 / 2**7, 2 / 2**7, 4 / 2**7]  # corrected over those of one kind of control


def test_a_line_over_seeds_names_the_settings_that_all_of_them_have() -> None:
    runs = {seed: judged({"weak": 0.3, "ceiling": 2, "gold-select-knn": 1}, seed) for seed in (0, 1)}
    for seed, one in runs.items():
        chosen = replace(one.outcomes["gold-select-knn"], probe="knn", k=(5, 50)[seed], l2=0.1, alpha=0.5 + seed)
        runs[seed] = replace(one, outcomes={**one.outcomes, "gold-select-knn": chosen})
    table = results_table(task_rows("t", runs, 20))
    own = table[(table["method"] == "gold-select-knn") & (table["metric"] == "auroc")]
    assert own["k"].dropna().tolist() == [5, 50]
    assert own["alpha"].isna().tolist() == [False, False, True]
    assert (own["l2"].tolist(), own["layer"].tolist(), own["probe"].tolist()) == ([0.1] * 3, [3] * 3, ["knn"] * 3)


def wrong_on(*counts: int, n: int = 1000) -> list[np.ndarray]:
    """Scores of n rows that are wrong on the first so many of them, half of each class."""
    truth = np.tile([0.0, 1.0], n // 2)
    return [np.where(np.arange(n) < count, 0.8 - 0.6 * truth, 0.2 + 0.6 * truth) for count in counts]


def test_a_second_pgr_is_counted_from_the_supervisor_without_what_the_first_has_read() -> None:
    names = ["control-debate-none", "weak", "student-xent", "ceiling"]
    scores = dict(zip(names, wrong_on(100, 85, 74, 66), strict=True))
    test = pd.DataFrame({"id": [f"r{i}" for i in range(1000)], "label": np.tile([0.0, 1.0], 500)})
    outcomes = {name: Outcome({"test": one}) for name, one in scores.items()}
    runs = {
        seed: TrialResult(test, None, outcomes, frozenset({"ceiling"}), seed, 3, base="control-debate-none")
        for seed in (0, 1)
    }
    table = results_table(task_rows("t", runs, 200))
    for seed in (0, 1, None):
        lines = table[table["seed"].isna() if seed is None else table["seed"] == seed]
        found = lines[lines["method"] == "student-xent"].set_index("metric")
        assert found["value"]["pgr_base_accuracy"] == pytest.approx(0.764706, abs=1e-6)
        assert found["value"]["pgr_accuracy"] == pytest.approx(0.578947, abs=1e-6)
        assert found["gap"]["pgr_base_accuracy"] == pytest.approx(0.034)
        assert found["low"]["pgr_base_accuracy"] < 0.764706 < found["high"]["pgr_base_accuracy"]
        assert set(found["status"][["pgr_accuracy", "pgr_base_accuracy"]]) <= {"rows only", "ok"}
    base = table[table["method"] == "control-debate-none"]
    assert "pgr_accuracy" in set(base["metric"])
    assert "pgr_base_accuracy" not in set(base["metric"])
    compared = compare({"t": runs}, "student-xent").set_index(["metric", "method"])
    assert compared["pooled_pgr"]["pgr_base_accuracy", "student-xent"] == pytest.approx(0.764706, abs=1e-6)
    assert compared["pooled_pgr"]["pgr_accuracy", "student-xent"] == pytest.approx(0.578947, abs=1e-6)
    assert ("pgr_base_accuracy", "control-debate-none") not in compared.index


def test_without_a_base_there_are_no_lines_of_it() -> None:
    one = judged({"weak": 0.5, "ceiling": 2, "student-xent": 1, "control-debate-none": 0.4})
    assert not results_table(task_rows("t", {0: one}, 20))["metric"].str.contains("base").any()
    assert not compare({"t": {0: one}}, "student-xent")["metric"].str.contains("base").any()
