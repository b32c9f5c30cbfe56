"""A row's numbers depend on its text alone: not on its neighbours, on padding, or on what was read before."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import torch
import transformers as hf

from extract.extractor import Extraction
from extract.forward.engine import Engine, words_of
from extract.forward.model_state import ModelState
from extract.forward.row_check import difference, refuse_dependent_rows
from extract.forward.switches import mode_of
from extract.forward.trace import Position
from extract.models.loading import Placement
from extract.models.source import ModelSource
from tests.conftest import save_checkpoint
from w2s_probes import ActivationStore
from w2s_probes.checkpoints.batches import batches
from w2s_probes.errors import InputError
from w2s_probes.store.shards import Content

SMALL: dict[str, Any] = {
    **{"vocab_size": 44, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48, "num_hidden_layers": 3},
    **{"max_position_embeddings": 96, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3},
}
SPARSE = {"attention_type": "block_sparse", "block_size": 4, "num_random_blocks": 1}
LONG = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [3.0] * 4, "factor": 4.0}
SWITCHING: dict[str, dict[str, Any]] = {
    "BigBird": SPARSE,
    "Phi3": {
        "rope_parameters": LONG | {"original_max_position_embeddings": 16},
        "original_max_position_embeddings": 16,
    },
    "Llama": {
        "rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0},
        "max_position_embeddings": 16,
    },
}
MIXING: dict[str, dict[str, Any]] = {
    "FNet": {},
    "ConvBert": {"embedding_size": 32, "conv_kernel_size": 3},
}
LENGTHS = (3, 40, 12, 16, 17, 29, 1, 33, 40, 18)


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str, dict[str, Any]], ModelSource]:
    """A function from a config's name and settings to a tiny checkpoint of it."""

    def make(name: str, settings: dict[str, Any]) -> ModelSource:
        torch.manual_seed(0)
        config = getattr(hf, f"{name}Config")(**(SMALL | settings))
        model = hf.AutoModel.from_config(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.mul_(4)  # initial weights are so small that blocks hardly change their input
        return ModelSource.find(str(save_checkpoint(model, tmp_path / name, 96)))

    return make


def rows_of(lengths: tuple[int, ...] = LENGTHS) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{i}" for i in rng.integers(0, 38, n)) for n in lengths]
    return pd.DataFrame({"id": [f"r{i}" for i in range(len(texts))], "text": texts})


def alone(plan: Extraction) -> dict[int, np.ndarray[Any, Any]]:
    """Every row through a model that has read nothing before."""
    tokens = plan.encoding.encode(plan.source.tokenizer, plan.rows["id"].tolist(), plan.rows["text"].tolist()).rows
    parts = [plan.engine(Placement()).read([row], [name]) for row, name in zip(tokens, plan.rows["id"], strict=True)]
    return {layer: np.concatenate([part[layer] for part in parts]) for layer in plan.layers}


@pytest.mark.parametrize("family", SWITCHING)
@pytest.mark.parametrize("position", ["last", "mean"])
def test_rows_of_models_that_switch_by_length_are_as_if_read_alone(
    made: Callable[..., ModelSource], tmp_path: Path, family: str, position: Any
) -> None:
    plan = Extraction.plan(made(family, SWITCHING[family]), rows_of(), position=position)
    store = plan.run(tmp_path / "acts", placement=Placement(batch_tokens=200))
    assert store is not None
    for layer, expected in alone(plan).items():
        assert difference(store.layer(layer), expected) < 1e-4


@pytest.mark.parametrize("family", SWITCHING)
def test_what_was_read_before_does_not_matter(made: Callable[..., ModelSource], family: str) -> None:
    plan = Extraction.plan(made(family, SWITCHING[family]), rows_of())
    tokens = plan.encoding.encode(plan.source.tokenizer, plan.rows["id"].tolist(), plan.rows["text"].tolist()).rows
    names = plan.rows["id"].tolist()
    engine = plan.engine(Placement(batch_tokens=64))
    first = engine.read(tokens, names)
    for order in (slice(None, None, -1), slice(2, 3), slice(1, 2)):
        again = engine.read(tokens[order], names[order])
        for layer in plan.layers:
            np.testing.assert_allclose(again[layer], first[layer][order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", MIXING)
def test_models_that_let_rows_mix_are_refused_unless_rows_go_alone(
    made: Callable[..., ModelSource], tmp_path: Path, family: str
) -> None:
    plan = Extraction.plan(made(family, MIXING[family]), rows_of())
    with pytest.raises(InputError, match=r"row 'r\d' read alone differs .* give --batch-tokens 1, or --no-check"):
        plan.run(tmp_path / "acts", placement=Placement(batch_tokens=400))
    assert not (tmp_path / "acts").exists()
    single = plan.run(tmp_path / "single", placement=Placement(batch_tokens=1))
    mixed = plan.run(tmp_path / "mixed", placement=Placement(batch_tokens=400), check=False)
    assert single is not None
    assert mixed is not None
    expected = alone(plan)
    assert difference(single.layer(3), expected[3]) < 1e-4
    assert difference(mixed.layer(3), expected[3]) > 1e-3


def test_the_command_checks_unless_told_not_to(
    made: Callable[..., ModelSource], tmp_path: Path, w2s: Callable[..., None], fails: Callable[..., str]
) -> None:
    source = made("FNet", {})
    rows_of().to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    call = (
        "extract",
        source.folder,
        "--rows",
        tmp_path / "rows.jsonl",
        "--batch-tokens",
        "400",
        "--out",
        tmp_path / "a",
    )
    assert "read alone differs from the same row in a batch" in fails(*call)
    w2s(*call, "--no-check")
    assert len(ActivationStore.open(tmp_path / "a")) == len(LENGTHS)


def test_batches_hold_rows_of_one_mode_within_the_budget() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        lengths = rng.integers(1, 60, 40).tolist()
        limit, budget = int(rng.integers(1, 60)), int(rng.integers(1, 300))
        found = list(batches(lengths, budget, mode=lambda length: max(0, length - limit)))  # noqa: B023
        assert sorted(row for batch in found for row in batch) == list(range(40))
        for batch in found:
            assert len({max(0, lengths[row] - limit) for row in batch}) == 1
            assert len(batch) == 1 or len(batch) * lengths[batch[0]] <= budget


def test_modes_of_configs() -> None:
    sparse = mode_of(hf.BigBirdConfig(**SPARSE))
    assert sparse(1) == sparse(28) != sparse(29) == sparse(32) != sparse(33)
    phi = mode_of(hf.Phi3Config(**(SMALL | SWITCHING["Phi3"])))
    assert phi(1) == phi(16) != phi(17) == phi(90)
    dynamic = mode_of(hf.LlamaConfig(**(SMALL | SWITCHING["Llama"])))
    assert dynamic(1) == dynamic(16) != dynamic(17) != dynamic(18)
    assert len({mode_of(hf.LlamaConfig(**SMALL))(n) for n in range(1, 200)}) == 1


def test_a_models_state_is_put_back() -> None:
    class Moody(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner: Any = torch.nn.Linear(2, 2)
            self.mode = "first"
            self.seen: Any
            self.register_buffer("seen", torch.zeros(3))

        def forward(self) -> None:
            self.mode = "later"
            self.longest = 7
            self.seen += 1
            self.inner = torch.nn.Linear(2, 2)

    model = Moody()
    inner, state = model.inner, ModelState(model)
    for _ in range(2):
        model.forward()
        model.register_buffer("seen", torch.ones(3))
        state.restore()
        assert model.inner is inner
        assert (model.mode, model.seen.tolist(), hasattr(model, "longest")) == ("first", [0, 0, 0], False)


def test_words_of_another_dtype_are_rounded_and_what_does_not_fit_is_refused(
    made: Callable[..., ModelSource], tmp_path: Path
) -> None:
    source = made("Mamba", {"state_size": 4, "residual_in_fp32": True})
    for dtype in ("bfloat16", "float32"):
        for position in get_args(Position):
            plan = Extraction.plan(source, rows_of(), dtype=dtype, position=position)
            store = plan.run(tmp_path / dtype / position)
            assert store is not None
            got = store.tokens(2).values if position == "all" else store.layer(2)
            assert np.abs(got).max() > 0
            if position != "all":
                exact = alone(Extraction.plan(source, rows_of(), dtype="float32", position=position))[2]
                assert difference(got, exact) < 0.5
    with torch.no_grad():
        model = hf.AutoModel.from_pretrained(source.folder, dtype=torch.float32)
        model.embeddings.weight.mul_(1e7)  # within float32, beyond float16
    big = ModelSource.find(str(save_checkpoint(model, tmp_path / "big")))
    with pytest.raises(InputError, match=r"layer \d of row 'r\d' is NaN or infinite in float16"):
        Extraction.plan(big, rows_of(), dtype="float16").run(tmp_path / "inf")
    assert not (tmp_path / "inf").exists()


def test_the_engine_is_what_the_check_reads_with(made: Callable[..., ModelSource], tmp_path: Path) -> None:
    """A model that remembers its first batch is found out even where batches hold one row."""
    plan = Extraction.plan(made("Llama", {}), rows_of())
    engine = plan.engine(Placement(batch_tokens=1))
    calls = {"n": 0}
    true_read = Engine.read

    def drifting(self: Engine, *arguments: Any, **options: Any) -> Any:
        calls["n"] += 1
        return {layer: words + calls["n"] for layer, words in true_read(self, *arguments, **options).items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "read", drifting)
        with pytest.raises(InputError, match="read alone differs"):
            plan.run(tmp_path / "acts", engine=engine)


@pytest.mark.parametrize(
    ("dtype", "errors", "refused"),
    [
        ("float32", [0, 0, 0.01, 0], True),
        ("float32", [0, 0, 1e-4, 0], False),
        ("bfloat16", [0, 0, 0.2, 0.2], False),
        ("bfloat16", [0, 0, 0.4, 0], False),  # one row that rounding has sent to another expert
        ("bfloat16", [0, 0, 0.7, 0], True),
        ("bfloat16", [0, 0.4, 0.4, 0], True),
    ],
)
def test_how_much_of_a_difference_is_refused_in_each_dtype(dtype: Any, errors: list[float], refused: bool) -> None:
    rng = np.random.default_rng(0)
    tokens = [np.arange(4, 5 + n, dtype=np.int32) for n in range(4)]
    together = torch.from_numpy(rng.normal(size=(4, 64)).astype(np.float32) * 3)
    apart = torch.cdist(together, together)[*torch.triu_indices(4, 4, 1)].median()
    shift = torch.tensor(errors)[:, None] * apart / 8  # of 64 columns: the root of their number

    class Fixed:
        def read(self, rows: Any, names: list[str], *, at: None = None) -> dict[int, Any]:
            return {1: words_of((together + shift)[[int(name) for name in names]].to(getattr(torch, dtype)))}

    content = Content(list("0123"), {1: words_of(together.to(getattr(torch, dtype)))})
    arguments: Any = (Fixed(), tokens, content, dtype)
    if refused:
        with pytest.raises(InputError, match="read alone differs"):
            refuse_dependent_rows(*arguments)
    else:
        refuse_dependent_rows(*arguments)
