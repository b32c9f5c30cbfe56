"""The attention probe's formula: vectors by a second implementation, gradients by autograd, what changes nothing."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit

from w2s_probes import LogisticProbe
from w2s_probes.probes import AttentionProbe, token_rows
from w2s_probes.probes.attention_pass import AttentionWeights, Pool, gradient, read
from w2s_probes.store import TokenActivations

VALUES = np.array([[1, 0, -1], [0.5, 2, 0], [-1, 1, 0.5], [0, -0.5, 2], [2, 1, 1], [0.3, 0.3, 0.3]], np.float32)
ENDS = np.array([0, 3, 5, 6])
TOKENS = TokenActivations(VALUES, ENDS, np.arange(6, dtype=np.int32))
W1, B1 = np.array([[0.5, -0.2, 0.1], [-0.3, 0.8, 0.4]]), np.array([0.1, -0.1])
W2, V, B = np.array([[1.2, -0.7]]), np.array([[0.9, -0.4, 0.6]]), -0.2
Y = np.array([0.8, 0.3, 0.6])


def written(w2: NDArray[np.float64] = W2) -> AttentionProbe:
    return AttentionProbe(hidden=2).fitted(W1, B1, w2, V, B)


def test_a_written_probe_reads_rows_as_a_second_implementation_does() -> None:
    frame = written().token_scores(TOKENS)
    attention = [0.772369, 0.142353, 0.085278, 0.416196, 0.583804, 1]
    contribution = [0.077237, -0.078294, -0.102333, 0.499435, 1.050848, 0.13]
    assert frame["attention"].to_numpy() == pytest.approx(attention, abs=1e-6)
    assert frame["score"].to_numpy() == pytest.approx([0.1, -0.55, -1.2, 1.2, 1.8, 0.13], abs=1e-6)
    assert frame["contribution"].to_numpy() == pytest.approx(contribution, abs=1e-6)
    assert frame["position"].tolist() == [0, 1, 2, 0, 1, 0]
    assert frame["id"].tolist() == [0, 0, 0, 1, 1, 2]
    assert written().decision_function(TOKENS) == pytest.approx([-0.103391, 1.550283, 0.13], abs=1e-6)
    assert written().predict_proba(TOKENS)[:, 1] == pytest.approx([0.474175, 0.824955, 0.532454], abs=1e-6)
    pooled = [[0.758268, 0.369984, -0.729730], [1.167609, 0.375707, 1.416196], [0.3, 0.3, 0.3]]
    assert written().pool(TOKENS) == pytest.approx(np.array(pooled), abs=1e-6)


def weights(
    dtype: torch.dtype = torch.float32, *, gated: bool = False, heads: int = 1, seed: int = -1
) -> AttentionWeights:
    """The written probe; or with a seed two drawn ones."""
    if seed < 0:
        parts = [np.concatenate([W1, V])[None], np.append(B1, 0)[None], W2[None], np.array([B])]
    else:
        rng, rows = np.random.default_rng(seed), 2 * (1 + gated) + heads
        parts = [rng.normal(size=shape) for shape in ((2, rows, 3), (2, rows), (2, heads, 2), (2,))]
    projection, offset, attention, intercept = (torch.tensor(part, dtype=dtype) for part in parts)
    return AttentionWeights(projection, offset, attention, intercept, gated)


def test_loss_and_gradient_are_those_of_the_second_implementation() -> None:
    made, X = weights(), torch.from_numpy(VALUES)
    found = read(made, X, ENDS, "attention")
    log_odds = found.log_odds[:, 0].astype(float)
    assert np.mean(np.logaddexp(0, log_odds) - Y * log_odds) == pytest.approx(0.895128, abs=1e-6)
    slope = ((expit(found.log_odds) - Y[:, None]) / 3).astype(np.float32)
    by_projection, _, by_attention, by_intercept = gradient(made, X, ENDS, found, slope, "attention")
    assert by_projection[0, -1].numpy() == pytest.approx([0.115205, 0.018805, 0.320313], abs=1e-6)
    assert by_attention[0, 0].numpy() == pytest.approx([-0.003577, 0.030189], abs=1e-6)
    assert by_intercept.numpy() == pytest.approx([0.043861], abs=1e-6)


def plain(w: AttentionWeights, X: torch.Tensor, pool: Pool, skip: int, model: int) -> list[torch.Tensor]:
    """Log-odds row by row, as the formula has them."""
    rows = []
    for start, stop in pairwise(ENDS):
        h = X[start + skip * (stop - start > 1) : stop]
        out = h @ w.projection[model].T + w.offset[model]
        u = torch.tanh(out[:, : w.hidden])
        u = u * torch.sigmoid(out[:, w.hidden : 2 * w.hidden]) if w.gated else u
        s = out[:, out.shape[1] - w.heads :]
        if pool == "attention":
            s = torch.softmax(u @ w.attention[model].T, dim=0) * s
            rows.append(s.sum() + w.intercept[model])
        else:
            rows.append((s.amax(dim=0) if pool == "max" else s.mean(dim=0)).sum() + w.intercept[model])
    return rows


@pytest.mark.parametrize(
    ("pool", "gated", "heads"), [("attention", False, 1), ("attention", True, 3), ("max", False, 2), ("mean", False, 1)]
)
def test_the_gradient_is_that_of_autograd_for_two_probes_at_once(pool: Pool, gated: bool, heads: int) -> None:
    made, X = weights(gated=gated, heads=heads, seed=3), torch.from_numpy(VALUES)
    checked = weights(torch.float64, gated=gated, heads=heads, seed=3)
    for part in checked.parts:
        part.requires_grad_()
    found = read(made, X, ENDS, pool)
    slope = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    rows = [torch.stack(plain(checked, X.double(), pool, 0, model)) for model in range(2)]
    for model in range(2):
        assert found.log_odds[:, model] == pytest.approx(rows[model].detach().numpy(), abs=1e-5)
    torch.autograd.backward((torch.stack(rows, dim=1) * torch.from_numpy(slope)).sum())
    for ours, part in zip(gradient(made, X, ENDS, found, slope, pool), checked.parts, strict=True):
        expected = np.zeros(part.shape) if part.grad is None else part.grad.numpy()
        assert ours.numpy() == pytest.approx(expected, abs=1e-5)


def test_without_attention_weights_it_is_the_logistic_probe_of_the_means() -> None:
    means = np.stack([VALUES[start:stop].mean(axis=0) for start, stop in pairwise(ENDS)])
    flat = written(np.zeros((1, 2))).decision_function(TOKENS)
    assert flat == pytest.approx([-0.55, 1.5, 0.13], abs=1e-6)
    linear = LogisticProbe().fitted(V[0], B, 1, np.array([0, 1]))
    assert flat == pytest.approx(linear.decision_function(means), abs=1e-6)


def ragged(rows: int = 40, width: int = 6, seed: int = 0) -> tuple[TokenActivations, NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    ends = np.concatenate([[0], np.cumsum(rng.integers(2, 12, size=rows))])
    values = rng.normal(size=(ends[-1], width)).astype(np.float32)
    y = np.where(np.add.reduceat(values[:, 0], ends[:-1]) > 0, 0.9, 0.1)
    ids = np.array([f"row {i}" for i in range(rows)], dtype=object)
    return TokenActivations(values, ends, rng.integers(0, 99, ends[-1]).astype(np.int32), ids), y


@pytest.mark.parametrize("pool", ["attention", "max", "mean"])
def test_the_order_of_tokens_the_rows_beside_and_the_size_of_a_pass_change_nothing(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, y = ragged()
    probe = AttentionProbe(hidden=4, epochs=5, pool=pool).fit(tokens, y)
    once = probe.decision_function(tokens)
    rng = np.random.default_rng(1)
    order = np.concatenate(
        [
            start + rng.permutation(stop - start)
            for start, stop in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
        ]
    )
    shuffled = TokenActivations(tokens.values[order], tokens.offsets, tokens.token_ids[order])
    assert probe.decision_function(shuffled) == pytest.approx(once, abs=1e-5)
    alone = [probe.decision_function(tokens.take(np.array([row])))[0] for row in range(40)]
    assert alone == pytest.approx(once, abs=1e-5)
    backwards = np.arange(40)[::-1]
    assert probe.decision_function(tokens.take(backwards)) == pytest.approx(once[backwards], abs=1e-5)
    frame = probe.token_scores(tokens)
    assert frame.groupby("id", sort=False)["attention"].sum().to_numpy() == pytest.approx(np.ones(40), abs=1e-5)
    assert frame.groupby("id", sort=False)["contribution"].sum().to_numpy() == pytest.approx(once, abs=1e-5)
    monkeypatch.setattr(token_rows, "PASS_TOKENS", 25)
    assert probe.decision_function(tokens) == pytest.approx(once, abs=1e-5)
    assert logit(probe.predict_proba(tokens)[:, 1]) == pytest.approx(once, abs=1e-5)


def test_a_first_token_that_is_skipped_has_no_part_whatever_it_holds() -> None:
    tokens, y = ragged()
    far = tokens.values.copy()
    far[tokens.offsets[:-1]] = 1e4
    other = TokenActivations(far, tokens.offsets, tokens.token_ids)
    for pool in ("attention", "max", "mean"):
        near, moved = (
            AttentionProbe(hidden=4, epochs=3, pool=pool, skip_first=True).fit(t, y) for t in (tokens, other)
        )
        assert near.decision_function(tokens) == pytest.approx(moved.decision_function(other), abs=1e-4)
        assert (near.token_scores(tokens)["attention"].to_numpy()[tokens.offsets[:-1]] == 0).all()
