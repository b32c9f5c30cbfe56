"""Draws by the inverse of the cumulative distribution, against tokens worked out by hand and against NumPy."""

import numpy as np
import pytest
import torch

from extract.generating.draws import draw, uniforms
from extract.generating.sampling import refuse_sampling
from w2s_probes import InputError
from w2s_probes.randomness import stream

LOGITS = [1, 0.5, 0, -1, 2]


def test_the_uniform_numbers_are_those_of_seed_member_row_and_turn() -> None:
    named = [(0, "a1", 1), (1, "a1", 1), (0, "a1", 2)]
    found = uniforms([stream(0, "debate", *name) for name in named], 6)
    assert found[0] == pytest.approx([0.533590, 0.331880, 0.233571, 0.976974, 0.614674, 0.056124], abs=1e-6)
    assert found[1, :3] == pytest.approx([0.688338, 0.326948, 0.513891], abs=1e-6)
    assert found[2, :3] == pytest.approx([0.451812, 0.178341, 0.353218], abs=1e-6)
    # A longer row begins with the shorter one's numbers: a higher limit leaves the tokens before it as they were.
    assert (uniforms([stream(0, "debate", 0, "a1", 1)], 4)[0] == found[0, :4]).all()


@pytest.mark.parametrize(
    ("temperature", "top_p", "tokens"),
    [(1.0, 1.0, [4, 1, 1, 4, 4, 0]), (0.5, 1.0, [4, 4, 4, 4, 4, 0]), (1.0, 0.8, [4, 1, 1, 4, 4, 0])],
)
def test_the_tokens_drawn_are_those_worked_out_by_hand(temperature: float, top_p: float, tokens: list[int]) -> None:
    u = torch.from_numpy(uniforms([stream(0, "debate", 0, "a1", 1)], 6)[0])
    assert draw(torch.tensor([LOGITS] * 6), u, temperature, top_p).tolist() == tokens


@pytest.mark.parametrize("top_p", [1.0, 0.7])
def test_a_token_is_the_number_of_cumulative_probabilities_that_are_not_above(top_p: float) -> None:
    rng = np.random.default_rng(0)
    logits, u = rng.normal(size=(500, 40)) * 2, rng.random(500)
    for row in range(500):
        p = np.exp(logits[row] / 1.3)
        p /= p.sum()
        order = np.argsort(-p, kind="stable")
        kept = np.zeros(40)
        mass = 0.0
        for token in order:
            if mass < top_p:
                kept[token] = p[token]
            mass += p[token]
        expected = int((np.cumsum(kept / kept.sum()) <= u[row]).sum())
        found = draw(torch.from_numpy(logits[row][None]), torch.from_numpy(u[row : row + 1]), 1.3, top_p)
        assert found.item() == expected


def test_shares_of_tokens_are_their_probabilities() -> None:
    u = torch.from_numpy(np.random.default_rng(0).random(20_000))
    found = np.bincount(draw(torch.tensor([LOGITS] * 20_000), u).numpy(), minlength=5) / 20_000
    assert found == pytest.approx(torch.softmax(torch.tensor(LOGITS), 0).numpy(), abs=0.012)  # 3 standard errors


def test_a_token_without_probability_is_never_drawn_not_even_at_the_edges() -> None:
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]])
    edges = [0.0, 0.5 - 1e-12, 0.5, np.nextafter(1, 0)]
    assert draw(logits.expand(4, -1), torch.tensor(edges, dtype=torch.float64)).tolist() == [1, 1, 3, 3]
    # Of equal tokens the first is kept.
    assert set(draw(torch.zeros(4, 5), torch.tensor([0.0, 0.3, 0.6, 0.999]), 1.0, 0.1).tolist()) == {0}
    # A vocabulary of many equally rare tokens: the sum of float32 probabilities is not 1.
    many = torch.zeros(1, 100_003)
    assert draw(many, torch.tensor([np.nextafter(1, 0)], dtype=torch.float64)).item() == 100_002


def test_temperature_0_takes_the_first_of_the_likeliest() -> None:
    assert draw(torch.tensor([[0.0, 2.0, 2.0]]), torch.tensor([0.9]), 0).tolist() == [1]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((-1.0, 1.0, 1), "temperature=-1.0: give a number from 0"),
        ((float("nan"), 1.0, 1), "temperature=nan"),
        ((1.0, 0.0, 1), "top_p=0.0: give a number above 0"),
        ((1.0, 1.5, 1), "top_p=1.5"),
        ((1.0, 1.0, 0), "max_new_tokens=0: at least 1"),
    ],
)
def test_numbers_that_no_text_can_be_drawn_by_are_refused(options: tuple[float, float, int], says: str) -> None:
    with pytest.raises(InputError, match=says):
        refuse_sampling(*options)
