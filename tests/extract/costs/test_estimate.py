"""Planned costs against torch's own counters, a real store's bytes and the measured peak of a real forward pass."""

import re
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import transformers as hf
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from extract.costs.estimate import Costs, default_rate, estimate
from extract.costs.flops import Batching
from extract.costs.lengths import equal_lengths, given_lengths, token_lengths
from extract.extractor import Extraction, extract
from extract.forward.trace import ActivationReader
from extract.models.source import ModelSource
from extract.named_positions import extract_positions, plan_positions
from w2s_probes import InputError
from w2s_probes.checkpoints.batches import batches, padded
from w2s_probes.checkpoints.blocks import trunk_of
from w2s_probes.store.dtypes import WORDS

USUAL: dict[str, Any] = {
    **{"vocab_size": 44, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3},
    **{"num_attention_heads": 4, "max_position_embeddings": 140, "pad_token_id": 0},
}
GROUPED = USUAL | {"num_key_value_heads": 2}
GPT2 = {"vocab_size": 44, "n_embd": 32, "n_layer": 3, "n_head": 4, "bos_token_id": 2, "eos_token_id": 3}
LATENT = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8}
CONFIGS: dict[str, dict[str, Any]] = {
    "Llama": GROUPED,
    "GPT2": GPT2,
    "Bert": USUAL,
    "DistilBert": {"vocab_size": 44, "dim": 32, "hidden_dim": 48, "n_layers": 3, "n_heads": 4, "pad_token_id": 0},
    "Qwen3": GROUPED | {"head_dim": 16},  # heads wider together than the residual stream
    "Mixtral": GROUPED | {"num_local_experts": 4, "num_experts_per_tok": 2},
    "Qwen3Moe": GROUPED | {"head_dim": 8, "moe_intermediate_size": 16, "num_experts": 8, "num_experts_per_tok": 3},
    "GptOss": GROUPED | {"head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 1},
    "T5": {"vocab_size": 44, "d_model": 32, "d_ff": 48, "d_kv": 6, "num_layers": 3, "num_heads": 4, "pad_token_id": 0},
    # One dense block, then shared and routed experts; queries and values of different widths.
    "DeepseekV3": USUAL
    | {**LATENT, "num_key_value_heads": 4, "moe_intermediate_size": 16, "n_routed_experts": 8}
    | {"num_experts_per_tok": 2, "n_group": 2, "topk_group": 1, "first_k_dense_replace": 1},
}
ROWS, LENGTH = 4, 16


def described(folder: Path, family: str, **settings: Any) -> ModelSource:
    """A model known by its config alone: there is no other file in the folder."""
    getattr(hf, f"{family}Config")(**settings).save_pretrained(folder)
    return ModelSource.describe(str(folder))


def eager(source: ModelSource) -> Any:
    """The real model with random weights, in operations that torch's counter knows."""
    torch.manual_seed(0)
    model: Any = trunk_of(hf.AutoModel.from_config(source.config, attn_implementation="eager").eval())
    model.set_experts_implementation("eager")
    model.config.use_cache = False
    return model


@pytest.mark.filterwarnings("default")  # the models' own
@pytest.mark.parametrize("family", CONFIGS)
def test_parameters_and_operations_are_those_that_torch_counts(family: str, tmp_path: Path) -> None:
    source = described(tmp_path, family, **CONFIGS[family])
    model = eager(source)
    reader = ActivationReader(model, source.block_path)
    rows = torch.randint(5, 44, (ROWS, LENGTH), generator=torch.Generator().manual_seed(0)).tolist()
    for layers in ([0], [1], [0, 2], [3]):
        costs = estimate(source, np.full(ROWS, LENGTH), layers=layers, dtype="float32")
        with FlopCounterMode(display=False) as counter:
            reader.read(*padded(rows, pad=0), layers, "last")
        assert costs.flops == counter.get_total_flops()
        assert costs.parameters == sum(p.numel() for p in model.parameters())
        assert costs.block_parameters == sum(p.numel() for p in model.get_submodule(source.block_path).parameters())
        assert costs.blocks_run == max(layers)


class Peak(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The most bytes that results of operations held at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if not isinstance(tensor, torch.Tensor):
                continue
            storage = tensor.untyped_storage()
            pointer, size = storage._cdata, storage.nbytes()
            views = any(t.untyped_storage()._cdata == pointer for t in tensors((args, kwargs)))
            if not views and pointer not in self._known:
                self._known.add(pointer)
                self.live += size
                self.most = max(self.most, self.live)
                weakref.finalize(storage, self._free, pointer, size)
        return out

    def _free(self, pointer: int, size: int) -> None:
        self._known.discard(pointer)
        self.live -= size


def tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


WIDE = USUAL | {"hidden_size": 256, "num_attention_heads": 8, "intermediate_size": 896}
WORKING: dict[str, dict[str, Any]] = {
    "Llama": WIDE | {"num_key_value_heads": 2},
    "Bert": WIDE,
    "GPT2": GPT2 | {"n_embd": 256, "n_head": 8},
    "Mixtral": WIDE | {"num_key_value_heads": 2, "num_local_experts": 8},
    "Gemma2": WIDE | {"num_key_value_heads": 4, "head_dim": 32},  # this one and the next have no fused attention
    "Bloom": {"vocab_size": 44, "hidden_size": 256, "n_layer": 3, "n_head": 8},
}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", WORKING)
def test_working_memory_is_the_measured_peak_or_up_to_twice_that(family: str, dtype: str, tmp_path: Path) -> None:
    source = described(tmp_path, family, **WORKING[family])
    costs = estimate(source, np.full(8, 128), dtype=dtype)
    model = hf.AutoModel.from_config(source.config).eval().to(getattr(torch, dtype))
    model.config.use_cache = False
    ids, mask = torch.full((8, 128), 5), torch.ones(8, 128, dtype=torch.long)
    mask[0, -5:] = 0  # with nothing to mask some models take a shorter way
    with Peak() as peak:
        ActivationReader(model, source.block_path).read(ids, mask, costs.layers, "last")
    assert 0.9 * peak.most < costs.working < 2.1 * peak.most


@pytest.mark.parametrize("position", ["last", "all"])
@pytest.mark.parametrize("layers", ["all", "-1"])
def test_a_real_store_has_the_planned_bytes(
    checkpoint: Callable[..., Path], tmp_path: Path, position: Any, layers: str
) -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{i}" for i in rng.integers(0, 40, size=rng.integers(1, 30))) + f" w{i}" for i in range(400)]
    rows = pd.DataFrame({"id": [f"a row of no. {i:04d}" for i in range(400)], "text": texts})
    source = ModelSource.find(str(checkpoint()))
    store = extract(Extraction.plan(source, rows, layers=layers, position=position), tmp_path / "s")
    lengths = token_lengths(source, rows)
    costs = estimate(source, lengths, layers=layers, position=position)
    assert costs.tokens == sum(len(text.split()) for text in texts)
    real = sum(file.stat().st_size for file in store.path.iterdir())
    assert costs.store == pytest.approx(real, rel=0.02)
    # The planned activations alone, bit for bit.
    vectors = costs.tokens if position == "all" else 400
    held = sum(words.nbytes for words in (store.words(layer) for layer in store.layers))
    assert held == vectors * costs.width * WORDS[costs.dtype].itemsize * len(costs.layers)


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    """The config of Llama 3 8B."""
    return described(
        tmp_path_factory.mktemp("eight"),
        "Llama",
        **{"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32},
        **{"num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 8192, "dtype": "bfloat16"},
    )


def test_the_figures_of_a_well_known_model(eight: ModelSource) -> None:
    costs = estimate(eight, equal_lengths(eight, 10_000, 200))
    assert len(costs.layers) == 33
    assert costs.dtype == "bfloat16"
    assert costs.block_parameters == 32 * (2 * 4096 * (4096 + 1024) + 3 * 4096 * 14336 + 2 * 4096)
    assert costs.parameters == costs.block_parameters + 128256 * 4096 + 4096
    assert costs.store == pytest.approx(10_000 * 33 * 4096 * 2, rel=1e-3)
    assert costs.weights == 2 * costs.parameters
    # Two operations for every block parameter and token; attention adds 1 % at this length.
    assert costs.flops == pytest.approx(2 * costs.block_parameters * 2_000_000, rel=0.02)
    assert costs.seconds() == costs.flops / (0.4 * 312e12)
    assert costs.seconds(flops_per_s=1e15) == costs.flops / 1e15
    assert costs.seconds(tokens_per_s=1000) == 2000
    half = estimate(eight, equal_lengths(eight, 10_000, 200), layers="middle")
    assert half.flops == costs.flops / 2
    assert half.store == pytest.approx(costs.store / 33, rel=0.01)
    assert half.weights == costs.weights  # all blocks are loaded


def test_every_token_costs_as_many_vectors(eight: ModelSource) -> None:
    lengths = equal_lengths(eight, 1000, 50)
    last, every = (estimate(eight, lengths, layers="16", position=p) for p in ("last", "all"))
    assert every.store == pytest.approx(50 * last.store, rel=0.01)
    assert every.flops == last.flops
    assert every.working > last.working


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 200))
def test_padding_is_that_of_the_batches(lengths: list[int], budget: int) -> None:
    found = Batching.of(np.array(lengths), budget)
    real = [(len(rows), max(lengths[row] for row in rows)) for rows in batches(lengths, budget)]
    assert found.tokens == sum(rows * longest for rows, longest in real)
    assert found.pairs == sum(rows * longest**2 for rows, longest in real)
    assert found.largest == max(rows * longest for rows, longest in real)
    assert found.longest == max(lengths)


def test_a_sample_stands_for_many_rows(checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    source = ModelSource.describe(str(checkpoint()))
    counts = np.random.default_rng(0).integers(1, 60, size=3000)
    rows = pd.DataFrame({"id": [str(i) for i in range(3000)], "text": ["w1 " * count for count in counts]})
    lengths = token_lengths(source, rows)
    assert len(lengths) == 3000
    assert lengths.mean() == pytest.approx(counts.mean(), rel=0.02)
    monkeypatch.setattr("extract.costs.lengths.SAMPLE", 3000)
    assert sorted(token_lengths(source, rows)) == sorted(counts)
    assert token_lengths(source, rows, max_length=7).max() == 7
    assert token_lengths(source, rows.assign(text="w1 " * 99)).max() == 64  # the window


def test_lengths_that_are_said_end_at_the_window(eight: ModelSource, tmp_path: Path) -> None:
    assert equal_lengths(eight, 3, 10_000).tolist() == [8192] * 3
    assert given_lengths(eight, ["3"], tokens_per_row=90, max_length=50).tokens.tolist() == [50] * 3
    (tmp_path / "r.jsonl").write_text('{"text": "x"}\n{"text": "y"}\n')
    assert given_lengths(eight, [str(tmp_path / "r.jsonl")], tokens_per_row=5).tokens.tolist() == [5, 5]


@pytest.mark.parametrize("family", ["Llama", "Bert", "GPT2"])
def test_a_config_without_a_tokenizer_asks_for_lengths(family: str, tmp_path: Path) -> None:
    """transformers makes some families a tokenizer from nothing, to which every text is empty or unknown."""
    source = described(tmp_path, family, **CONFIGS[family])
    with pytest.raises(InputError, match=r"tokenizer.*: give --tokens-per-row$"):
        token_lengths(source, pd.DataFrame({"id": ["a"], "text": ["some words"]}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": "33"}, r"layer 33 is outside 0\.\.32"),
        ({"position": "middle"}, "position 'middle': known: all, answer, first, last"),
        ({"dtype": "float64"}, "dtype 'float64': did you mean"),
        ({"batch_tokens": 0}, "batch_tokens=0 must be at least 1"),
    ],
)
def test_options_that_extract_refuses_are_refused(eight: ModelSource, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        estimate(eight, equal_lengths(eight, 1, 1), **options)


def test_a_config_without_a_dtype_asks_for_one(tmp_path: Path) -> None:
    source = described(tmp_path, "Llama", **GROUPED)
    with pytest.raises(InputError, match="names no dtype: choose one by --dtype"):
        estimate(source, np.array([3]))


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_rates_that_are_none_are_refused(eight: ModelSource, rate: float) -> None:
    costs: Costs = estimate(eight, equal_lengths(eight, 1, 1))
    with pytest.raises(InputError, match=r"flops_per_s=.* must be a number above 0"):
        costs.seconds(flops_per_s=rate)
    with pytest.raises(InputError, match="two rates for one thing"):
        costs.seconds(flops_per_s=1.0, tokens_per_s=1.0)
    assert default_rate("float32") < default_rate("bfloat16")


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (["10"], {}, "--rows 10: a number has no texts to count: give --tokens-per-row"),
        ([], {}, "no rows: give --rows"),
        (["-3"], {"tokens_per_row": 5}, "--rows -3: give a whole number of at least 1"),
        (["2.5"], {"tokens_per_row": 5}, r"--rows 2\.5: give a whole number"),
        (["nan"], {"tokens_per_row": 5}, "--rows nan: give a whole number"),
        (["5"], {"tokens_per_row": 0}, "tokens_per_row=0 must be at least 1"),
        (["10000000000"], {"tokens_per_row": 5}, "rows=10000000000 must be at least 1 and at most"),
        (["5"], {"tokens_per_row": 5, "max_length": 0}, "max_length=0 must be at least 1"),
        (["no.jsonl"], {}, "no.jsonl: no such file"),
    ],
)
def test_rows_that_cannot_be_counted_are_refused(
    eight: ModelSource, rows: list[str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        given_lengths(eight, rows, **options)


def test_named_positions_templates_and_sites_are_the_bytes_and_rows_of_their_stores(
    checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{j}" for j in rng.integers(0, 40, 6)) + " 1873" * (n % 4 > 0) for n in range(40)]
    rows = pd.DataFrame({"id": [f"r{n}" for n in range(40)], "text": texts})
    jinja = tmp_path / "template.jinja"
    jinja.write_text(
        "{% for m in messages %}<s> {{ m['content'] }} </s>{% endfor %}{% if add_generation_prompt %} w1{% endif %}"
    )
    positions = {"end": "last", "year": "regex:[0-9]{4}", "mean": "mean"}
    source = ModelSource.find(str(checkpoint()))
    how: dict[str, Any] = {"chat_template": str(jinja), "missing": "skip"}
    lengths = given_lengths(source, rows, positions=list(positions.values()), **how)
    assert (len(lengths.tokens), lengths.left_out, lengths.limit) == (30, 10, 64)
    assert lengths.tokens.tolist() == [10] * 30  # six words and the year, two marks, and the prompt for an answer
    for site in ("mlp", "logits:w1,w2"):
        costs = estimate(source, lengths.tokens, site=site, position=positions)
        plans = plan_positions(source, rows, positions, site=site, **how)
        stores = extract_positions(plans, tmp_path / site[:3])
        written = sum(file.stat().st_size for file in (tmp_path / site[:3]).rglob("*") if file.is_file())
        assert costs.store == pytest.approx(written, abs=3 * 3000)  # headers of small files are guessed
        assert all(store is not None and len(store) == costs.rows == 30 for store in stores.values())
        one = estimate(source, lengths.tokens, site=site)
        assert costs.store == 3 * one.store
        assert costs.host - one.host == 2 * 2 * 30 * len(costs.layers) * (32 if site == "mlp" else 2) * 4
    head = 2 * 44 * 32 * 4  # of one vector at four layers
    assert costs.flops - one.flops == head * (300 - 30)  # the mean of logits is of every token's
    several = estimate(source, lengths.tokens, site="logits:w1,w2", position={"a": "last", "b": "first"})
    assert several.flops - one.flops == head * 30
    with pytest.raises(InputError, match=r"'regex:\[0-9\]\{4\}' is nowhere in 10 of 40 rows"):
        given_lengths(source, rows, positions=["regex:[0-9]{4}"])


def test_what_an_extraction_refuses_in_tokenizer_and_rows_is_refused_in_the_same_words(
    checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [" ".join(f"w{j}" for j in range(n, n + 9)) for n in range(12)]
    rows = pd.DataFrame({"id": [f"r{n}" for n in range(12)], "text": texts})
    source = ModelSource.find(str(checkpoint()))
    marked = {"end": "last", "a": "regex:^w[0-9]+", "b": "regex:w[0-9]+$", "c": "regex:w[0-9]+$"}
    cut: dict[str, Any] = {"max_length": 6}
    refused: list[tuple[dict[str, str], dict[str, Any]]] = [
        ({"": "last"}, {"site": "logits:w1,nonesuchword"}),
        ({"": "last"}, {"site": "logits:w1,#99999"}),
        (marked, cut),
        (marked, cut | {"truncation": "left"}),
        ({"": "regex:w[0-9]+$"}, cut),
        ({"": "last"}, cut | {"truncation": "off"}),
    ]
    for positions, options in refused:
        with pytest.raises(InputError) as said:
            extract_positions(plan_positions(source, rows, positions, **options), tmp_path / "acts")
        with monkeypatch.context() as patched:
            if len(positions) > 1:  # a sample stands for all rows, and yet all of them are named
                patched.setattr("extract.costs.lengths.SAMPLE", 5)
            with pytest.raises(InputError, match=f"^{re.escape(str(said.value))}$"):
                given_lengths(source, rows, positions=list(positions.values()), **options)
    assert not (tmp_path / "acts").exists()
    kept = given_lengths(source, rows, positions=["regex:w[0-9]+$"], truncation="left", **cut)
    assert (kept.tokens.tolist(), kept.cut) == ([6] * 12, 12)
