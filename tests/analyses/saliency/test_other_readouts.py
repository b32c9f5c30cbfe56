"""Token saliency of mean differences, by their direction, and of the MLP, by its slope; others are refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from analyses.saliency import TokenReader, stored_token_scores, token_saliency
from analyses.saliency.readouts import MLPReadout
from extract.extractor import Extraction, extract
from w2s_probes import ActivationStore, InputError, LogisticProbe
from w2s_probes.probes import (
    ClassifierProbe,
    GraphProbe,
    KNNProbe,
    MeanDifferenceProbe,
    MLPProbe,
    WhitenedMeanDifferenceProbe,
)

TEXT = "w3 w1 w4 w1 w5 w9 w2 w6"
ROWS = pd.DataFrame({"id": ["a", "b", "c"], "text": [TEXT, "w7 w8", "w10 w11 w12 w13 w14"]})
LAYER = 2


@pytest.fixture(scope="module", params=[("llama", "last"), ("gpt2", "mean")], ids=str)
def opened(
    request: pytest.FixtureRequest, checkpoint: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[TokenReader, ActivationStore]:
    """A reader and its store."""
    family, position = request.param
    plan = Extraction.plan(str(checkpoint(family)), ROWS, position=position)
    store = extract(plan, tmp_path_factory.mktemp("tokens") / "acts")
    return TokenReader.open(str(checkpoint(family)), store), store


def taught(probe: Any, store: ActivationStore) -> Any:
    """The probe, fitted to rows around those of the store, of which one column tells the class."""
    rng, X = np.random.default_rng(0), store.layer(LAYER)
    rows = X[rng.integers(len(X), size=60)] + rng.normal(size=(60, X.shape[1])) * X.std(axis=0)
    return probe.fit(rows, (rows[:, 0] * rows[:, 1] > np.median(rows[:, 0] * rows[:, 1])).astype(float))


@pytest.mark.parametrize("kind", [MeanDifferenceProbe(), WhitenedMeanDifferenceProbe(), MLPProbe(1e-4, epochs=40)])
def test_log_odds_are_the_probes_and_contributions_add_up_to_them(opened: Any, kind: Any) -> None:
    reader, store = opened
    probe = taught(kind, store)
    found = token_saliency(reader, store, probe, dict(zip(ROWS["id"], ROWS["text"], strict=True)), layer=LAYER)
    ours = [found[row].log_odds for row in ROWS["id"]]
    np.testing.assert_allclose(ours, probe.decision_function(store.layer(LAYER)), atol=1e-4)
    for one in found.values():
        assert one.contribution is not None
        assert one.contribution.sum() == pytest.approx(one.log_odds, abs=1e-4)
        assert one.prefixes[-1] == pytest.approx(one.log_odds, abs=1e-4)
        states = reader.tracer.states(one.token_ids, LAYER)
        assert one.scores == pytest.approx(probe.decision_function(states), abs=1e-4)
    if found["a"].position == "mean":
        states = reader.tracer.states(found["a"].token_ids, LAYER)
        so_far = [probe.decision_function(states[: at + 1].mean(axis=0)[None])[0] for at in range(len(states))]
        assert found["a"].prefixes == pytest.approx(so_far, abs=1e-4)


def test_gradient_x_input_of_an_mlp_is_that_of_its_slope(opened: Any) -> None:
    """At each text the MLP is a line: the one of its own gradient, read as a linear probe."""
    reader, store = opened
    probe = taught(MLPProbe(1e-4, epochs=40), store)
    slopes = probe.gradient(store.layer(LAYER))
    assert np.abs(slopes[0] - slopes[2]).max() > 1e-3 * np.abs(slopes).max()  # the control: it is no line everywhere
    odds = probe.decision_function(store.layer(LAYER))
    for at, (name, text) in enumerate(zip(ROWS["id"], ROWS["text"], strict=True)):
        offset = float(odds[at] - slopes[at] @ store.layer(LAYER)[at])
        line = LogisticProbe().fitted(slopes[at], offset, 1, np.array([0, 1]))
        own, other = (token_saliency(reader, store, one, {name: text}, layer=LAYER)[name] for one in (probe, line))
        np.testing.assert_allclose(own.gradient_x_input, other.gradient_x_input, rtol=1e-4, atol=1e-5)
        assert own.log_odds == pytest.approx(other.log_odds, abs=1e-4)


def test_left_out_and_integrated_witnesses_of_an_mlp_are_of_its_log_odds(opened: Any) -> None:
    reader, store = opened
    probe = taught(MLPProbe(1e-4, epochs=40), store)
    found = token_saliency(reader, store, probe, {"a": TEXT}, layer=LAYER, leave_out=True, integrate=64)["a"]
    with torch.inference_mode():
        read = MLPReadout(reader.position, probe)
        ids = np.delete(found.token_ids, 3)
        states = torch.from_numpy(reader.tracer.states(ids, LAYER))[None]
        without = float(read.log_odds(states, torch.ones(1, len(ids), dtype=torch.long))[0])
    assert found.left_out[3] == pytest.approx(found.log_odds - without, abs=1e-4)
    assert found.integrated is not None
    assert np.isfinite(found.integrated).all()
    assert abs(found.integrated_gap) < 0.3 * max(1, np.abs(found.integrated).sum())


def test_what_has_no_slope_or_does_not_fit_is_refused_in_a_line(opened: Any) -> None:
    reader, store = opened
    bayes = ClassifierProbe("sklearn.naive_bayes:GaussianNB")
    for kind in (KNNProbe(3), GraphProbe(3), bayes):
        with pytest.raises(InputError, match="Probe has no log-odds with a slope: use LogisticProbe, MeanDiff"):
            token_saliency(reader, store, taught(kind, store), {"a": TEXT}, layer=LAYER)
    for fresh in (MLPProbe(), MeanDifferenceProbe()):
        with pytest.raises(InputError, match="the probe is not fitted: "):
            token_saliency(reader, store, fresh, {"a": TEXT}, layer=LAYER)
        narrow = fresh.fit(np.random.default_rng(0).normal(size=(20, 5)), np.arange(20) % 2)
        with pytest.raises(InputError, match="the probe was fitted on 5 columns, the model's layers have 32"):
            token_saliency(reader, store, narrow, {"a": TEXT}, layer=LAYER)


def test_stored_tokens_are_scored_by_an_mlp_as_rows_are(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    store = extract(Extraction.plan(str(checkpoint("llama")), ROWS, position="all"), tmp_path / "acts")
    values = store.tokens(LAYER).values
    probe = MLPProbe(epochs=5).fit(values, (np.arange(len(values)) % 2).astype(float))
    scored = stored_token_scores(store, probe, layer=LAYER)
    assert scored["score"].to_numpy() == pytest.approx(probe.decision_function(values), abs=1e-6)
