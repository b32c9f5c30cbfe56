"""Token saliency: scores are the probe's own, gradients those of finite differences, and tokens are shown as text."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import PreTrainedTokenizerFast

from analyses.saliency import (
    TokenReader,
    TokenSaliency,
    stored_token_score_parts,
    stored_token_scores,
    token_reader,
    token_saliency,
)
from analyses.saliency.held_norms import held_norms
from analyses.saliency.readouts import AttentionReadout, LinearReadout
from analyses.saliency.token_pieces import token_pieces
from extract.encoding import Encoding
from extract.extractor import Extraction, extract
from w2s_probes import ActivationStore, InputError, KNNProbe, LogisticProbe
from w2s_probes.io.tables import write_table
from w2s_probes.probes import AttentionProbe, token_rows

LAYERS = (0, 1, 2)  # of three blocks: what transformers reports of the last is after the final norm
TEXT = "w3 w1 w4 w1 w5 w9 w2 w6"
ROWS = pd.DataFrame({"id": ["a", "b", "c"], "text": [TEXT, "w7 w8", "w10 w11 w12 w13 w14"]})


def probe_of(width: int = 32, seed: int = 0) -> LogisticProbe:
    """A linear probe with weights of its own."""
    rng = np.random.default_rng(seed)
    return LogisticProbe().fitted(rng.normal(size=width), 0.3, 1, np.array([0, 1]))


@pytest.fixture(scope="module")
def opened(
    checkpoint: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, Any], tuple[TokenReader, ActivationStore]]:
    """A function from a family and a position to its reader and its store; each made once."""
    made: dict[tuple[str, str], tuple[TokenReader, ActivationStore]] = {}

    def make(family: str, position: Any) -> tuple[TokenReader, ActivationStore]:
        if (family, position) not in made:
            folder = tmp_path_factory.mktemp("tokens")
            store = extract(Extraction.plan(str(checkpoint(family)), ROWS, position=position), folder / "acts")
            reader = TokenReader.open(str(checkpoint(family)), store, position="last" if position == "all" else None)
            made[family, position] = reader, store
        return made[family, position]

    return make


@pytest.mark.parametrize(
    ("family", "position"), [("llama", "last"), ("bert", "mean"), ("gpt2", "mean"), ("gpt_neox", "last")]
)
def test_the_log_odds_are_those_of_the_probe_on_the_stored_row(opened: Any, family: str, position: str) -> None:
    reader, store = opened(family, position)
    probe = probe_of()
    for layer in (*LAYERS, 3):
        found = token_saliency(reader, store, probe, dict(zip(ROWS["id"], ROWS["text"], strict=True)), layer=layer)
        ours = [found[row].log_odds for row in ROWS["id"]]
        np.testing.assert_allclose(ours, probe.decision_function(store.layer(layer)), atol=2e-5)
        for one in found.values():
            read = one.scores.mean() if position == "mean" else one.scores[-1]
            assert read == pytest.approx(one.log_odds, abs=2e-5)


def finite_difference(
    reader: TokenReader, ids: NDArray[np.int32], layer: int, at: int, w: NDArray[np.float64], b: float
) -> float:
    """How the log-odds move as one token's embedding is scaled: through inputs_embeds and output_hidden_states."""
    model: Any = reader.tracer.model
    embedded = model.get_input_embeddings()(torch.from_numpy(ids.astype(np.int64))[None])
    step, ends = 1e-3, []  # smaller ones drown in the float32 of some models' norms
    for sign in (1, -1):
        scaled = embedded.clone()
        scaled[0, at] *= 1 + sign * step
        seen = model(inputs_embeds=scaled, attention_mask=torch.ones(1, len(ids)), output_hidden_states=True)
        states = seen.hidden_states[layer][0].numpy()
        ends.append((states.mean(axis=0) if reader.position == "mean" else states[-1]) @ w + b)
    return float(ends[0] - ends[1]) / (2 * step)


@pytest.mark.parametrize(
    ("family", "position"), [("llama", "last"), ("bert", "mean"), ("gpt2", "mean"), ("gpt_neox", "last")]
)
def test_gradient_x_input_is_the_finite_difference_of_scaling_each_embedding(
    opened: Any, family: str, position: str
) -> None:
    reader, _ = opened(family, position)
    probe = probe_of()
    w, b = probe.coef_[0], float(probe.intercept_[0])
    ids = reader.encoding.encode(reader.source.tokenizer, ["a"], [TEXT]).rows[0]
    reader.tracer.model.double()  # differences of float32 would be rounding
    try:
        for layer in LAYERS[1:]:
            found = reader.tracer.trace(ids, layer, LinearReadout(reader.position, w, b), hold_norms=False)
            with torch.inference_mode():
                expected = [finite_difference(reader, ids, layer, at, w, b) for at in range(len(ids))]
            np.testing.assert_allclose(found.gradient_x_input, expected, rtol=1e-3, atol=2e-6)
            assert np.abs(expected).max() > 1e-4
    finally:
        reader.tracer.model.float()


def test_at_the_embedding_gradient_x_input_of_a_linear_readout_is_complete(opened: Any) -> None:
    reader, store = opened("llama", "mean")  # layer 0 is the embedding itself
    found = token_saliency(reader, store, probe_of(), {"a": TEXT}, layer=0)["a"]
    assert found.gradient_x_input.sum() == pytest.approx(found.log_odds - 0.3, abs=1e-5)
    np.testing.assert_allclose(found.gradient_x_input * len(found.tokens), found.scores - 0.3, atol=1e-5)


@pytest.mark.parametrize("norm", [nn.RMSNorm(8), nn.LayerNorm(8)])
def test_with_norms_held_what_goes_through_one_is_counted_in_full_and_else_not_at_all(norm: nn.Module) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        norm.weight.mul_(torch.rand(8) + 0.5)  # type: ignore[operator]
        if getattr(norm, "bias", None) is not None:
            norm.bias.add_(torch.rand(8))  # type: ignore[operator]
    model, readout = nn.Sequential(norm), torch.randn(8)
    x = torch.randn(8, requires_grad=True)
    plain = model(x)
    (free,) = torch.autograd.grad(plain @ readout, [x])
    with held_norms(model):
        held = model(x)
        (gradient,) = torch.autograd.grad(held @ readout, [x])
    torch.testing.assert_close(held, plain)
    bias = getattr(norm, "bias", None)
    expected = plain if bias is None else plain - bias
    assert float((gradient * x).sum().detach()) == pytest.approx(float((expected @ readout).detach()), abs=1e-5)
    assert float((free * x).sum().detach()) == pytest.approx(0, abs=1e-4)
    torch.testing.assert_close(model(x), plain)  # the hooks are gone


@pytest.mark.parametrize(("family", "position"), [("llama", "last"), ("gpt2", "mean")])
def test_a_prefix_scores_what_the_text_scores_that_ends_there(opened: Any, family: str, position: str) -> None:
    reader, _ = opened(family, position)
    found = reader.read(probe_of(), TEXT, layer=2)
    assert found.causal
    words = TEXT.split()
    shorter = [reader.read(probe_of(), " ".join(words[: i + 1]), layer=2).log_odds for i in range(len(words))]
    np.testing.assert_allclose(found.prefixes, shorter, atol=2e-5)


def test_a_model_that_looks_ahead_has_no_prefixes(opened: Any) -> None:
    reader, _ = opened("bert", "mean")
    found = reader.read(probe_of(), TEXT, layer=2)
    assert not found.causal
    assert np.isnan(found.prefixes).all()
    assert "own activation" in found._repr_html_()
    assert "had the text ended there" not in found._repr_html_() + repr(found)


def test_leaving_a_token_out_is_reading_the_text_without_it(opened: Any) -> None:
    reader, store = opened("llama", "last")
    found = token_saliency(reader, store, probe_of(), {"a": TEXT}, layer=2, leave_out=True)["a"]
    words = TEXT.split()
    for at in (0, 3, 7):
        without = reader.read(probe_of(), " ".join(words[:at] + words[at + 1 :]), layer=2).log_odds
        assert found.left_out[at] == pytest.approx(found.log_odds - without, abs=2e-5)
    assert np.isnan(reader.read(probe_of(), TEXT, layer=2).left_out).all()


def test_stored_tokens_are_scored_without_a_model(opened: Any) -> None:
    reader, store = opened("llama", "all")
    table = stored_token_scores(store, probe_of(), layer=2)
    assert table.groupby("id", sort=False)["position"].max().tolist() == [7, 1, 4]
    for row, text in zip(ROWS["id"], ROWS["text"], strict=True):
        found = reader.read(probe_of(), text, layer=2)
        mine = table[table["id"] == row]
        np.testing.assert_allclose(mine["score"], found.scores, atol=2e-5)
        assert mine["token_id"].tolist() == found.token_ids.tolist()
    some = stored_token_scores(store, probe_of(), layer=2, ids=["c"])
    pd.testing.assert_frame_equal(some, table[table["id"] == "c"].reset_index(drop=True))


def test_tokens_with_markup_are_shown_as_text() -> None:
    tokens = ["<script>alert(1)</script>", " $a & b$", '"quoted"']
    numbers = np.array([1.0, -2.0, 0.5])
    found = TokenSaliency(
        "<i>id</i>", tokens, np.arange(3, dtype=np.int32), 1, "last", True, 0.5, numbers, numbers, numbers, numbers
    )
    html = found._repr_html_()
    assert "<script" not in html
    assert "<i>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "&quot;quoted&quot;" in html
    assert "gradient × input" in html
    assert "log-odds lost without the token" in html
    assert found.figure()._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]  # dollars are no formula
    assert "alert" in repr(found)
    assert found.to_frame()["token"].tolist() == tokens


def byte_level() -> PreTrainedTokenizerFast:
    """A small tokenizer of the kind that splits one character into several tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=alphabet, special_tokens=["<end>"], show_progress=False
    )
    tokenizer.train_from_iterator(["the cat and the dog, the cat"], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", model_max_length=1000)


@pytest.mark.parametrize("text", ["the cat and  the dog", "naïve café 🙂 ok", "日本語 the"])
def test_pieces_of_a_text_joined_are_the_text(text: str) -> None:
    tokenizer = byte_level()
    for encoding, whole in ((Encoding(None, "right", None), True), (Encoding(4, "right", None), False)):
        ids = encoding.encode(tokenizer, ["row"], [text]).rows[0]
        pieces = token_pieces(tokenizer, encoding, text, ids)
        assert len(pieces) == len(ids)
        joined = "".join(pieces).replace("·", "")
        assert joined == text if whole else text.startswith(joined)


def test_texts_are_taken_as_they_come(opened: Any, tmp_path: Path) -> None:
    reader, store = opened("llama", "last")
    write_table(ROWS, tmp_path / "mine.jsonl")
    named = dict(zip(ROWS["id"], ROWS["text"], strict=True))
    expected = token_saliency(reader, store, probe_of(), named, layer=2)
    ways: list[tuple[Any, list[str]]] = [
        (str(tmp_path / "mine.jsonl"), ["a", "b", "c"]),
        (tmp_path / "mine.jsonl", ["a", "b", "c"]),
        (ROWS, ["a", "b", "c"]),
        (list(ROWS["text"]), ["text-0", "text-1", "text-2"]),
        (ROWS["text"], ["text-0", "text-1", "text-2"]),
        (ROWS.set_index("id")["text"], ["a", "b", "c"]),
        (TEXT, ["text"]),
    ]
    for texts, names in ways:
        found = token_saliency(reader, store, probe_of(), texts, layer=2)
        assert list(found) == names
        for ours, theirs in zip(found.values(), expected.values(), strict=False):
            np.testing.assert_array_equal(ours.scores, theirs.scores)
    table = expected.to_frame()
    assert table.groupby("id")["token"].size().to_dict() == {"a": 8, "b": 2, "c": 5}
    assert expected._repr_html_().count("gradient × input") == 3
    assert repr(expected).count("TokenSaliency(") == 3
    refused: list[tuple[Any, str]] = [
        (5, "texts: a int: give a text, a list of texts, a mapping or table by id, or the name of a file with `text`"),
        ([3], "texts: 'text-0' is a int, not a string"),
        ("no.jsonl", "no.jsonl: no such file"),
        (pd.DataFrame({"id": ["a"]}), "texts: no field 'text'; it has 'id'"),
    ]
    for wrong, message in refused:
        with pytest.raises(InputError) as error:
            token_saliency(reader, store, probe_of(), wrong, layer=2)
        assert message in str(error.value)


def test_what_does_not_belong_together_is_refused_in_a_line(
    opened: Any, checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    reader, store = opened("llama", "last")
    ragged = opened("llama", "all")[1]
    texts = {"a": TEXT}
    knn: Any = KNNProbe(k=1).fit(np.eye(32), np.arange(32) % 2)
    wrong: list[tuple[Callable[[], object], str]] = [
        (lambda: token_saliency(reader, store, probe_of(), texts, layer=9), "layer 9 is outside 0..3"),
        (lambda: token_saliency(reader, store, knn, texts, layer=1), "KNNProbe has no log-odds"),
        (lambda: token_saliency(reader, store, LogisticProbe(), texts, layer=1), "not fitted"),
        (lambda: token_saliency(reader, store, probe_of(8), texts, layer=1), "8 columns, the model's layers have 32"),
        (lambda: TokenReader.open(str(checkpoint("gpt_neox")), store), "was made by other weights"),
        (lambda: TokenReader.open(str(checkpoint()), store, position="mean"), "was made with 'last'"),
        (lambda: TokenReader.open(str(checkpoint()), ragged), "holds every token; give position"),
        (lambda: stored_token_scores(store, probe_of(), layer=1), "holds one vector a row"),
    ]
    for call, message in wrong:
        with pytest.raises(InputError) as error:
            call()
        assert message in str(error.value)
        assert "\n" not in str(error.value)


def attention_probe(**settings: Any) -> AttentionProbe:
    """Weights that spread attention over a text."""
    rng = np.random.default_rng(3)
    units = 3 * (1 + bool(settings.get("gated")))
    heads = settings.get("heads", 1)
    made = AttentionProbe(hidden=3, **settings)
    hidden = rng.normal(size=(units, 32)) * (made.pool == "attention")
    arrays = (hidden, rng.normal(size=units), rng.normal(size=(heads, 3)), rng.normal(size=(heads, 32)))
    return made.fitted(*arrays, 0.3)


@pytest.mark.parametrize(
    "settings", [{}, {"gated": True, "heads": 2}, {"pool": "max"}, {"pool": "mean"}, {"skip_first": True}], ids=str
)
def test_an_attention_probe_is_read_token_by_token_and_its_parts_add_up(opened: Any, settings: dict[str, Any]) -> None:
    reader, store = opened("llama", "all")
    reader = TokenReader(reader.source, reader.encoding, "all", reader.tracer, reader.causal)
    probe = attention_probe(**settings)
    found = token_saliency(
        reader, store, probe, dict(zip(ROWS["id"], ROWS["text"], strict=True)), layer=2, leave_out=True
    )
    stored = probe.token_scores(store.tokens(2, ids=list(ROWS["id"])))
    table = found.to_frame()
    for name in ("score", "attention", "contribution"):
        np.testing.assert_allclose(table[name], stored[name], atol=5e-5)
    by_row = table.groupby("id", sort=False)
    np.testing.assert_allclose(by_row["attention"].sum(), 1, atol=1e-5)
    np.testing.assert_allclose(by_row["contribution"].sum(), [one.log_odds for one in found.values()], atol=5e-5)
    one, words = found["a"], TEXT.split()
    first = int(probe.skip_first)
    shorter = [reader.read(probe, " ".join(words[: i + 1]), layer=2).log_odds for i in range(first, len(words))]
    np.testing.assert_allclose(one.prefixes[first:], shorter, atol=5e-5)
    assert np.isnan(one.prefixes[:first]).all()
    without = reader.read(probe, " ".join(words[:3] + words[4:]), layer=2).log_odds
    assert one.left_out[3] == pytest.approx(one.log_odds - without, abs=5e-5)
    assert one.position == "all"
    assert "position all" in one._repr_html_()


def test_gradient_x_input_of_an_attention_probe_is_a_finite_difference(opened: Any) -> None:
    reader, _ = opened("llama", "all")
    reader = TokenReader(reader.source, reader.encoding, "all", reader.tracer, reader.causal)
    probe = attention_probe()
    ids = reader.encoding.encode(reader.source.tokenizer, ["a"], [TEXT]).rows[0]
    model: Any = reader.tracer.model.double()
    try:
        found = reader.tracer.trace(ids, 2, AttentionReadout(probe), hold_norms=False)
        embedded = model.get_input_embeddings()(torch.from_numpy(ids.astype(np.int64))[None]).detach()
        for at in (0, 4):
            ends = []
            for sign in (1, -1):
                scaled = embedded.clone()
                scaled[0, at] *= 1 + sign * 1e-3
                seen = model(inputs_embeds=scaled, attention_mask=torch.ones(1, len(ids)), output_hidden_states=True)
                ends.append(
                    float(AttentionReadout(probe).log_odds(seen.hidden_states[2], torch.ones(1, len(ids))).detach())
                )
            assert found.gradient_x_input[at] == pytest.approx((ends[0] - ends[1]) / 2e-3, rel=1e-3, abs=2e-6)
    finally:
        model.float()


def test_a_linear_probe_has_its_attention_where_it_reads(opened: Any) -> None:
    for position, attention in (("mean", np.full(8, 1 / 8)), ("last", 1.0 * (np.arange(8) == 7))):
        reader, _ = opened("llama", position)
        found = reader.read(probe_of(), TEXT, layer=2)
        assert found.attention == pytest.approx(attention)
        assert found.contribution.sum() == pytest.approx(found.log_odds, abs=2e-5)


def test_an_attention_probe_that_does_not_fit_is_refused(opened: Any) -> None:
    reader, store = opened("llama", "all")
    with pytest.raises(InputError, match="not fitted: AttentionProbe"):
        token_saliency(reader, store, AttentionProbe(), TEXT, layer=1)
    narrow = AttentionProbe(pool="mean").fitted(np.ones((0, 8)), np.ones(0), np.ones((1, 0)), np.ones((1, 8)), 0.0)
    with pytest.raises(InputError, match="8 columns, the model's layers have 32"):
        token_saliency(reader, store, narrow, TEXT, layer=1)
    every = TokenReader(reader.source, reader.encoding, "all", reader.tracer, reader.causal)
    with pytest.raises(InputError, match="reads one vector a text: give position"):
        every.read(probe_of(), TEXT, layer=1)


def test_texts_and_stored_rows_are_read_in_parts_with_the_same_numbers(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, store = opened("llama", "all")
    texts = dict(zip(ROWS["id"], ROWS["text"], strict=True))
    expected = reader.read_all(probe_of(), texts, layer=2, leave_out=True)
    whole = stored_token_scores(store, probe_of(), layer=2)
    monkeypatch.setattr(token_reader, "PART_TOKENS", 8)
    monkeypatch.setattr(token_rows, "PASS_TOKENS", 8)
    left_out: list[list[int]] = []
    without_each = reader.tracer.without_each

    def counted(rows: Any, layer: int, read: Any) -> Any:
        left_out.append([len(ids) for ids in rows])
        return without_each(rows, layer, read)

    monkeypatch.setattr(type(reader.tracer), "without_each", lambda _tracer, *given: counted(*given))
    each = reader.read_each(probe_of(), texts, layer=2, leave_out=True)
    assert left_out == []
    for at, (name, found) in enumerate(each):
        assert left_out == [[8], [2, 5]][: min(at, 1) + 1]  # no part is read before it is asked for
        assert found.log_odds == expected[name].log_odds
        np.testing.assert_allclose(found.left_out, expected[name].left_out, atol=2e-5)
    parts = list(stored_token_score_parts(store, probe_of(), layer=2))
    assert [part["id"].unique().tolist() for part in parts] == [["a"], ["b", "c"]]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)
    with pytest.raises(InputError, match="layer 9 is outside"):
        reader.read_each(probe_of(), texts, layer=9)
