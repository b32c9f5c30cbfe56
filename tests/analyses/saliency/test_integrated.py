"""Integrated gradients against another implementation of them, and what their sum is to be."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from captum.attr import IntegratedGradients

from analyses.saliency import TokenReader, token_saliency
from analyses.saliency.integrated import integrated_gradients, mean_embedding
from analyses.saliency.readouts import LinearReadout
from extract.extractor import Extraction, extract
from w2s_probes import ActivationStore, InputError, LogisticProbe

TEXT = "w3 w1 w4 w1 w5 w9 w2 w6"
ROWS = pd.DataFrame({"id": ["a", "b", "c"], "text": [TEXT, "w7 w8", "w10 w11 w12 w13 w14"]})
FAMILIES = [("llama", "last"), ("bert", "mean"), ("gpt2", "mean")]


@pytest.fixture(params=FAMILIES, ids=str)
def opened(request: pytest.FixtureRequest, checkpoint: Any, tmp_path: Path) -> tuple[TokenReader, ActivationStore]:
    """A reader and its store."""
    family, position = request.param
    store = extract(Extraction.plan(str(checkpoint(family)), ROWS, position=position), tmp_path / "acts")
    return TokenReader.open(str(checkpoint(family)), store), store


def probe_of(width: int = 32) -> LogisticProbe:
    """A linear probe with weights of its own."""
    return LogisticProbe().fitted(np.random.default_rng(0).normal(size=width), 0.3, 1, np.array([0, 1]))


@pytest.mark.parametrize("baseline", ["mean", "zero"])
def test_they_are_those_of_an_independent_implementation(opened: Any, baseline: Any) -> None:
    reader, _ = opened
    probe, layer, steps = probe_of(), 2, 16
    w, b = probe.coef_[0], float(probe.intercept_[0])
    model: Any = reader.tracer.model.double()
    ids = reader.encoding.encode(reader.source.tokenizer, ["a"], [TEXT]).rows[0]
    found = integrated_gradients(
        reader.tracer, ids, layer, LinearReadout(reader.position, w, b), steps=steps, baseline=baseline
    )
    text = torch.from_numpy(ids.astype(np.int64))[None]
    table = model.get_input_embeddings().weight.detach()
    start = table.mean(dim=0) if baseline == "mean" else torch.zeros_like(table[0])

    def log_odds(embedded: torch.Tensor) -> torch.Tensor:
        mask = torch.ones(embedded.shape[:2], dtype=torch.long)
        seen = model(inputs_embeds=embedded, attention_mask=mask, output_hidden_states=True)
        states = seen.hidden_states[layer]
        vector = states.mean(dim=1) if reader.position == "mean" else states[:, -1]
        odds: torch.Tensor = vector @ torch.from_numpy(w) + b
        return odds

    embedded = table[text]
    theirs, gap = IntegratedGradients(log_odds).attribute(
        embedded,
        baselines=start.expand_as(embedded),
        n_steps=steps,
        method="gausslegendre",
        return_convergence_delta=True,
    )
    np.testing.assert_allclose(found.values, theirs[0].sum(dim=-1).detach().numpy(), rtol=1e-6, atol=1e-9)
    assert found.gap == pytest.approx(-float(gap), abs=1e-6)
    assert np.abs(found.values).max() > 0.01


def test_they_add_up_and_more_steps_leave_a_smaller_gap(opened: Any) -> None:
    reader, store = opened
    few, many = (
        token_saliency(reader, store, probe_of(), {"a": TEXT}, layer=2, integrate=steps)["a"] for steps in (2, 32)
    )
    assert abs(many.integrated_gap) < 0.01
    assert abs(many.integrated_gap) <= abs(few.integrated_gap) + 1e-5
    assert many.integrated is not None
    embedding = mean_embedding(reader.tracer).numpy()
    table = reader.tracer.embedding.weight.detach().double().numpy()
    np.testing.assert_allclose(embedding, table.mean(axis=0), atol=1e-6)
    assert f"gap {many.integrated_gap:+.2g}" in many._repr_html_()
    assert "integrated gradients" in repr(many)
    np.testing.assert_array_equal(many.to_frame()["integrated"], many.integrated)
    plain = token_saliency(reader, store, probe_of(), {"a": TEXT}, layer=2)["a"]
    assert plain.integrated is None
    assert "integrated" not in plain._repr_html_() + repr(plain)
    assert plain.to_frame()["integrated"].isna().all()


def test_texts_that_are_read_together_are_those_that_are_read_alone(opened: Any) -> None:
    reader, store = opened
    texts = dict(zip(ROWS["id"], ROWS["text"], strict=True))
    together = token_saliency(reader, store, probe_of(), texts, layer=2, leave_out=True, integrate=4)
    for name, text in texts.items():
        alone = reader.read(probe_of(), text, layer=2, name=name, leave_out=True, integrate=4)
        np.testing.assert_allclose(together[name].left_out, alone.left_out, atol=2e-5)
        np.testing.assert_array_equal(together[name].integrated, alone.integrated)
        assert np.isfinite(alone.left_out).all()


def test_what_cannot_be_integrated_is_refused(opened: Any) -> None:
    reader, store = opened
    for options, message in (
        ({"integrate": -1}, "integrate = -1: a number of steps, such as 32, or 0 for none"),
        ({"integrate": 4, "baseline": "pad"}, "baseline 'pad': known: mean, zero"),
    ):
        with pytest.raises(InputError) as error:
            token_saliency(reader, store, probe_of(), {"a": TEXT}, layer=2, **options)
        assert message in str(error.value)
    assert token_saliency(reader, store, probe_of(), {}, layer=2) == {}
