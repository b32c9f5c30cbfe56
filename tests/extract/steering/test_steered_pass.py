"""A changed stream is that of a hand-written hook, in every family; what must not change does not."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer

from extract.models.loading import Placement
from extract.models.source import ModelSource
from extract.steering.directions import LinearScore
from extract.steering.steered_pass import (
    LayerReadout,
    SteeredModel,
    StreamChanges,
    WordsReadout,
)
from w2s_probes import InputError
from w2s_probes.checkpoints.blocks import block_path_in
from w2s_probes.checkpoints.tokens import Tokens

Checkpoint = Callable[..., Path]
WORDS = WordsReadout((5, 6))
RNG = np.random.default_rng(0)
VECTORS = np.concatenate([np.zeros((1, 32)), RNG.normal(size=(3, 32))]).astype(np.float32)
UNITS = (VECTORS / np.maximum(np.linalg.norm(VECTORS, axis=1, keepdims=True), 1e-30)).astype(np.float32)


@pytest.fixture
def tokens(rows: pd.DataFrame, checkpoint: Checkpoint) -> list[Tokens]:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint())
    return [np.array(tokenizer(text)["input_ids"], dtype=np.int32) for text in rows["text"][:8]]


def opened(folder: Path, readout: Any, budget: int = 4000) -> SteeredModel:
    source = ModelSource.find(str(folder))
    placement = Placement("cpu", batch_tokens=budget)
    return SteeredModel(source, source.block_path, readout, dtype="float32", placement=placement)


def read(model: SteeredModel, tokens: list[Tokens], *changes: Any, **more: Any) -> NDArray[np.float64]:
    return model.read(tokens, [str(i) for i in range(len(tokens))], StreamChanges(*changes, **more))


@cache
def whole(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


def by_hook(folder: Path, tokens: list[Tokens], layer: int, changed: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Each row alone through the whole model: logits of both words and the log-total, and states by layer."""
    model = whole(folder)
    blocks = model.transformer.h if hasattr(model, "transformer") else model.model.layers
    if layer == 0:
        handle = blocks[0].register_forward_pre_hook(lambda _, given: (changed(given[0]), *given[1:]))
    else:

        def after(_: Any, __: Any, out: Any) -> Any:
            return changed(out) if isinstance(out, torch.Tensor) else (changed(out[0]), *out[1:])

        handle = blocks[layer - 1].register_forward_hook(after)
    found = []
    with torch.inference_mode():
        for row in tokens:
            last = model(input_ids=torch.from_numpy(row.astype(np.int64))[None]).logits[0, -1]
            found.append([last[5].item(), last[6].item(), last.logsumexp(0).item()])
    handle.remove()
    return np.array(found)


def plus(vector: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda states: states + vector


def without(unit: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda states: states - (states @ unit)[..., None] * unit


@pytest.mark.parametrize("layer", [0, 2])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_added_and_ablated_directions_are_those_of_a_forward_hook(
    family: str, layer: int, tokens: list[Tokens], checkpoint: Checkpoint
) -> None:
    model = opened(checkpoint(family), WORDS)
    added, taken = read(model, tokens, layer, "add", VECTORS), read(model, tokens, layer, "ablate", UNITS)
    for at in (0, 2):
        hooked = by_hook(checkpoint(family), tokens, layer, plus(torch.from_numpy(VECTORS[at])))
        assert added[at] == pytest.approx(hooked, abs=1e-5)
        hooked = by_hook(checkpoint(family), tokens, layer, without(torch.from_numpy(UNITS[at])))
        assert taken[at] == pytest.approx(hooked, abs=1e-5)
    assert np.abs(added[2] - added[0]).max() > 0.01


def test_from_a_token_on_is_each_rows_own_count(tokens: list[Tokens], checkpoint: Checkpoint) -> None:
    model = opened(checkpoint(), WORDS)
    v = torch.from_numpy(VECTORS[1])

    def from_on(x: torch.Tensor, start: int) -> torch.Tensor:
        return torch.cat([x[:, :start], x[:, start:] + v], dim=1)

    for start, own in ((2, lambda x: from_on(x, 2)), (-1, lambda x: from_on(x, x.shape[1] - 1))):
        found = read(model, tokens, 1, "add", VECTORS, from_token=start)
        assert found[1] == pytest.approx(by_hook(checkpoint(), tokens, 1, own), abs=1e-5)


def test_a_change_of_nothing_is_the_model_left_alone_bit_for_bit(tokens: list[Tokens], checkpoint: Checkpoint) -> None:
    model = opened(checkpoint(), WORDS)
    ids = torch.from_numpy(np.stack([row[:2].astype(np.int64) for row in tokens if len(row) > 1]))
    mask = torch.ones_like(ids)
    left = model.reader.logits(ids, mask, 2, lambda states: states, model._head)
    for by, vectors in (("add", VECTORS), ("ablate", UNITS)):
        changes = StreamChanges(2, by, vectors)  # type: ignore[arg-type]
        none = changes.at(np.zeros(len(ids), dtype=np.intp), mask.sum(dim=1), torch.device("cpu"))
        assert torch.equal(left, model.reader.logits(ids, mask, 2, none, model._head))
    with torch.inference_mode():
        plain = model.reader.model(input_ids=ids, attention_mask=mask).logits[:, -1]
    assert torch.equal(left, plain)


@pytest.mark.parametrize(("family", "position"), [("llama", "last"), ("gpt2", "mean"), ("bert", "first")])
def test_at_its_own_layer_a_probe_moves_by_w_times_the_vector_and_ablation_leaves_no_projection(
    family: str, position: Any, tokens: list[Tokens], checkpoint: Checkpoint
) -> None:
    w = RNG.normal(size=32)
    model = opened(checkpoint(family), LayerReadout(LinearScore(2, w, 0.3), position))
    found = read(model, tokens, 2, "add", VECTORS)[..., 0]
    assert found[1:] - found[0] == pytest.approx(np.tile(VECTORS[1:] @ w, (len(tokens), 1)).T, abs=2e-5)
    along = opened(checkpoint(family), LayerReadout(LinearScore(2, UNITS[1].astype(float), 0.0), position))
    left = read(along, tokens, 2, "ablate", UNITS)[..., 0]
    assert left[1] == pytest.approx(0, abs=1e-5)
    assert np.abs(left[0]).max() > 0.01


def test_rows_do_not_hang_on_batches_or_their_order(tokens: list[Tokens], checkpoint: Checkpoint) -> None:
    w = RNG.normal(size=32)
    tokens = tokens[:5]
    for readout in (WORDS, LayerReadout(LinearScore(3, w, 0.0), "last")):
        whole = read(opened(checkpoint("gpt2"), readout), tokens, 1, "add", VECTORS)
        alone = read(opened(checkpoint("gpt2"), readout, budget=1), tokens, 1, "add", VECTORS)
        turned = read(opened(checkpoint("gpt2"), readout, budget=90), tokens[::-1], 1, "add", VECTORS[::-1])
        assert alone == pytest.approx(whole, abs=1e-5)
        assert turned[::-1, ::-1] == pytest.approx(whole, abs=1e-5)


def test_in_a_linear_model_the_later_layer_moves_by_what_the_blocks_make_of_the_vector(
    tokens: list[Tokens], checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = RNG.normal(size=32)
    model = opened(checkpoint("llama"), LayerReadout(LinearScore(3, w, 0.0), "last"))
    trunk: Any = model.reader.model
    matrices = [0.2 * RNG.normal(size=(32, 32)) for _ in range(3)]
    for block, matrix in zip(trunk.layers, matrices, strict=True):
        # The block's output x + A x, in place of attention and MLP.
        monkeypatch.setattr(
            block.self_attn, "forward", lambda hidden_states, **_: (torch.zeros_like(hidden_states), None)
        )
        monkeypatch.setattr(block, "post_attention_layernorm", torch.nn.Identity())
        linear = torch.nn.Linear(32, 32, bias=False)
        linear.weight.data = torch.from_numpy(matrix.astype(np.float32))
        monkeypatch.setattr(block, "mlp", linear)
    model._state = type(model._state)(trunk)
    found = read(model, tokens, 1, "add", VECTORS)[..., 0]
    way = (np.eye(32) + matrices[2]) @ (np.eye(32) + matrices[1])
    expected = VECTORS[1:].astype(float) @ way.T @ w
    assert found[1:] - found[0] == pytest.approx(np.tile(expected, (len(tokens), 1)).T, rel=1e-4, abs=1e-4)


def test_a_batch_that_does_not_fit_is_halved_and_a_row_that_does_not_is_named(
    tokens: list[Tokens], checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = opened(checkpoint(), WORDS)
    whole = read(model, tokens, 1, "add", VECTORS)
    logits, most = model.reader.logits, [8]

    def small(ids: torch.Tensor, *rest: Any) -> torch.Tensor:
        if len(ids) > most[0]:
            raise RuntimeError("out of memory")
        return logits(ids, *rest)

    monkeypatch.setattr(model.reader, "logits", small)
    assert read(model, tokens, 1, "add", VECTORS) == pytest.approx(whole, abs=1e-5)
    most[0] = 0
    with pytest.raises(InputError, match="does not fit into the memory"):
        read(model, tokens, 1, "add", VECTORS)


def test_numbers_that_are_not_finite_name_the_row_and_blame_the_strength(
    tokens: list[Tokens], checkpoint: Checkpoint
) -> None:
    model = opened(checkpoint(), WORDS)
    with pytest.raises(InputError, match="row '0' gives numbers that are NaN or infinite in float32: try a smaller"):
        read(model, tokens, 1, "add", np.where(VECTORS, np.float32(np.inf), np.float32(0)))


def test_blocks_that_are_not_in_the_speaking_model_are_refused(checkpoint: Checkpoint) -> None:
    model = opened(checkpoint(), WORDS)
    with pytest.raises(InputError, match=r"has no list of blocks 'encoder\.layer'"):
        block_path_in(model.reader.model, "encoder.layer")


def test_in_bfloat16_the_vector_is_added_as_the_model_would_round_it(
    tokens: list[Tokens], checkpoint: Checkpoint
) -> None:
    source = ModelSource.find(str(checkpoint("llama", "bfloat16")))
    readout = LayerReadout(LinearScore(2, np.eye(32)[0], 0.0), "last")
    model = SteeredModel(source, source.block_path, readout, dtype="bfloat16", placement=Placement("cpu"))
    found = read(model, tokens, 2, "add", VECTORS)[..., 0]
    first = torch.from_numpy(found[0].astype(np.float32)).bfloat16()
    for vector, moved in zip(VECTORS[1:], found[1:], strict=True):
        expected = (first + torch.tensor(vector[0]).bfloat16()).float().numpy()
        # Batches of another shape round a state elsewhere, which then rounds once more.
        assert moved == pytest.approx(expected, abs=0.02)
