"""The offloaded engine beside the ordinary one: the same numbers in every family, whatever is kept where meanwhile."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from transformers.models.llama import modeling_llama

from extract.extractor import Extraction
from extract.forward.engine import Engine
from extract.forward.trace import ActivationReader, Position
from extract.models.loading import Placement
from extract.models.source import ModelSource
from extract.offload import offloaded_engine
from extract.offload.check_pass import CheckPass
from extract.offload.model_parts import ModelParts
from extract.offload.offloaded_engine import OffloadedEngine
from extract.offload.offloading import Offload, Room
from extract.offload.shells import Shells
from tests.conftest import save_checkpoint
from tests.extract.forward.test_families import FAMILIES, LENGTHS, whole_model
from tests.extract.offload.scarce_memory import scarce_memory
from w2s_probes import InputError
from w2s_probes.checkpoints.batches import batches, padded
from w2s_probes.checkpoints.blocks import trunk_of
from w2s_probes.checkpoints.tokens import Tokens

Words = dict[int, Any]
NAMES = [f"r{i}" for i in range(len(LENGTHS))]
SMALL = 24  # tokens of a batch: two of the longest rows, or a long one and short ones with padding


def tokens() -> list[Tokens]:
    rng = np.random.default_rng(0)
    return [rng.integers(5, 44, n, dtype=np.int32) for n in LENGTHS]


def placement(**options: Any) -> Placement:
    return Placement("cpu", batch_tokens=SMALL, offload=Offload(**options))


def both_ways(source: ModelSource, layers: list[int], position: Position, **options: Any) -> tuple[Words, Words]:
    plain = Engine(source, layers=layers, position=position, dtype="float32", placement=Placement("cpu", None, SMALL))
    ours = OffloadedEngine(source, layers=layers, position=position, dtype="float32", placement=placement(**options))
    return plain.read(tokens(), NAMES), ours.read(tokens(), NAMES)


def assert_same(plain: Words, offloaded: Words) -> None:
    assert plain.keys() == offloaded.keys()
    for layer, words in plain.items():
        np.testing.assert_array_max_ulp(words, offloaded[layer], maxulp=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_numbers_are_those_of_the_ordinary_way(family: str, tmp_path: Path) -> None:
    """Every token, so that masks, positions and windows are those of the family, with padding beside short rows."""
    model = whole_model(family)
    source = ModelSource.find(str(save_checkpoint(model, tmp_path / "model")))
    for config in (model.config, getattr(trunk_of(model), "config", model.config)):
        config.use_cache = False
    reader, layers, rows = ActivationReader(trunk_of(model), source.block_path), range(source.depth + 1), tokens()
    engine = OffloadedEngine(source, layers=layers, position="all", dtype="float32", placement=placement())
    found, places = engine.read(rows, NAMES), np.concatenate([[0], np.cumsum(LENGTHS)])
    for batch in batches(LENGTHS, SMALL):
        ids, mask = padded([rows[row] for row in batch], pad=source.pad)
        at = np.concatenate([np.arange(places[row], places[row + 1]) for row in batch])
        assert_same(
            {layer: states.numpy() for layer, states in reader.read(ids, mask, layers, "all").items()},
            {layer: words[at] for layer, words in found.items()},
        )


@pytest.fixture
def source(checkpoint: Callable[..., Path]) -> ModelSource:
    return ModelSource.find(str(checkpoint()))


@pytest.fixture
def t5(tmp_path: Path) -> ModelSource:
    return ModelSource.find(str(save_checkpoint(whole_model("T5"), tmp_path / "t5")))


def test_positions_and_layers_are_those_asked_for_and_no_block_after_the_last_is_loaded(
    source: ModelSource, loaded: list[int]
) -> None:
    for position in get_args(Position):
        assert_same(*both_ways(source, [0, 2], position))
    assert set(loaded) == {0, 1}
    loaded.clear()
    assert_same(*both_ways(source, [0], "last"))
    assert loaded == []


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The blocks whose weights were loaded, in order."""
    numbers: list[int] = []
    block = ModelParts.block

    def counted(self: ModelParts, number: int) -> Any:
        numbers.append(number)
        return block(self, number)

    monkeypatch.setattr(ModelParts, "block", counted)
    return numbers


def test_states_may_be_on_disk_and_each_sweep_may_hold_one_batch(
    t5: ModelSource, loaded: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T5 also hands positions from block to block, which are kept with the states."""
    plain, in_memory = both_ways(t5, [0, 1, 2, 3], "all")
    assert loaded == [0, 1, 2]  # in one sweep, though there were two batches
    _, on_disk = both_ways(t5, [0, 1, 2, 3], "all", scratch=tmp_path / "scratch")
    assert list((tmp_path / "scratch").iterdir()) == []
    loaded.clear()
    monkeypatch.setattr(offloaded_engine, "CPU_SWEEP", 1)
    _, one_by_one = both_ways(t5, [0, 1, 2, 3], "all")
    assert loaded == [0, 1, 2] * 2
    for words in (in_memory, on_disk, one_by_one):
        assert_same(plain, words)


def test_a_sweep_ends_where_its_room_does(
    source: ModelSource, loaded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Room, "of", lambda *_, **__: Room(memory=0, disk=0))
    assert_same(*both_ways(source, [1, 3], "last"))
    assert loaded == [0, 1, 2] * 2


def test_half_precision_is_the_ordinary_ones_bit_for_bit(source: ModelSource) -> None:
    about: dict[str, Any] = {"layers": [0, 3], "position": "mean", "dtype": "bfloat16"}
    plain = Engine(source, **about, placement=Placement("cpu", None, SMALL)).read(tokens(), NAMES)
    ours = OffloadedEngine(source, **about, placement=placement()).read(tokens(), NAMES)
    assert {layer: words.tobytes() for layer, words in plain.items()} == {n: w.tobytes() for n, w in ours.items()}


def test_a_batch_beyond_memory_is_led_through_in_halves(source: ModelSource, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, _ = both_ways(source, [0, 1, 2, 3], "all")
    memory = scarce_memory(monkeypatch, 30)
    large, layers = Placement("cpu", batch_tokens=60, offload=Offload()), [0, 1, 2, 3]
    engine = OffloadedEngine(source, layers=layers, position="all", dtype="float32", placement=large)
    found = engine.read(tokens(), NAMES)
    assert engine.budget <= memory.most
    for layer, words in plain.items():
        assert found[layer] == pytest.approx(words, abs=2e-6)
    memory.most = 5
    with pytest.raises(InputError, match="a block and a short row do not fit into memory together"):
        offloaded(source)
    monkeypatch.setattr(CheckPass, "go_through", lambda *_: None)
    with pytest.raises(InputError, match=r"row 'r1' with 12 tokens does not fit into the memory of cpu beside a block"):
        offloaded(source)


def test_blocks_that_share_more_than_their_outputs_are_refused(
    source: ModelSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block that leaves something to the next one, which with other blocks between them is not there any more."""
    forward, left = modeling_llama.LlamaDecoderLayer.forward, {"states": 0.0}

    def leaving(self: Any, hidden_states: Any, *arguments: Any, **options: Any) -> Any:
        out = forward(self, hidden_states + left["states"], *arguments, **options)
        left["states"] = out.mean() if self.self_attn.layer_idx < 2 else 0.0
        return out

    monkeypatch.setattr(modeling_llama.LlamaDecoderLayer, "forward", leaving)
    with pytest.raises(InputError, match=r"block \d gives other numbers when it is run by itself, .* leave --offload"):
        both_ways(source, [3], "last")


def test_without_what_blocks_hand_on_beside_their_states_a_model_is_refused(
    t5: ModelSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extract.offload.shells._place_in_memory", lambda tensor: id(tensor))  # sees no views
    walk = Shells.pass_through

    def forgetful(self: Shells, *arguments: Any, **options: Any) -> Any:
        passage = walk(self, *arguments, **options)
        passage.keep = [tensor * (1 if place == 0 else 0) for place, tensor in enumerate(passage.keep)]
        return passage

    monkeypatch.setattr(Shells, "pass_through", forgetful)
    with pytest.raises(InputError, match="block 1 gives other numbers"):
        both_ways(t5, [3], "last")


def test_blocks_that_are_run_again_or_skipped_are_refused(source: ModelSource, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = modeling_llama.LlamaModel.forward

    def changed(order: list[int]) -> None:
        def run(self: Any, *arguments: Any, **options: Any) -> Any:
            blocks = list(self.layers)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(type(self.layers), "__getitem__", lambda *_: [blocks[i] for i in order])
                return forward(self, *arguments, **options)

        monkeypatch.setattr(modeling_llama.LlamaModel, "forward", run)

    changed([0, 0, 1, 2])
    with pytest.raises(InputError, match="block 0 of layers is run 2 times for one text"):
        offloaded(source)
    changed([0, 2])
    with pytest.raises(InputError, match="block 1 of layers is skipped"):
        offloaded(source)


def offloaded(source: ModelSource) -> Words:
    engine = OffloadedEngine(source, layers=[2], position="last", dtype="float32", placement=placement())
    return engine.read(tokens(), NAMES)


def test_numbers_that_are_none_are_refused_with_their_row(source: ModelSource, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = modeling_llama.LlamaDecoderLayer.forward

    def failing(self: Any, hidden_states: Any, *arguments: Any, **options: Any) -> Any:
        out = forward(self, hidden_states, *arguments, **options)
        return out / 0 if self.self_attn.layer_idx == 1 and out.shape[1] == 7 else out

    monkeypatch.setattr(modeling_llama.LlamaDecoderLayer, "forward", failing)
    with pytest.raises(InputError, match=r"layer 2 of row 'r3' is NaN or infinite in float32"):
        offloaded(source)


def test_rows_of_one_store_are_read_in_few_sweeps_and_finished_parts_survive_a_kill(
    source: ModelSource, rows: pd.DataFrame, loaded: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extract.extractor.SHARD_ROWS", 10)
    plan = Extraction.plan(source, rows)
    plain = plan.run(tmp_path / "plain", placement=Placement("cpu", batch_tokens=60))
    here = Placement("cpu", batch_tokens=60, offload=Offload())
    seen: list[Any] = []
    whole = plan.run(tmp_path / "whole", placement=here, progress=seen.append)
    assert loaded == [0, 1, 2]  # four parts, and eight rows that were read again alone
    assert (seen[-1].rows, seen[-1].tokens) == (40, seen[-1].of_tokens)
    assert [read.rows for read in seen] == sorted(read.rows for read in seen)
    monkeypatch.setattr(offloaded_engine, "CPU_SWEEP", 300)
    with pytest.raises(KeyboardInterrupt):
        plan.run(tmp_path / "killed", placement=here, progress=_killed_at(25))
    there = sorted(path.name for path in (tmp_path / "killed").glob("shard-*"))
    assert 0 < len(there) < 4
    resumed = plan.run(tmp_path / "killed", placement=here)
    assert plain is not None
    assert set(there) <= {path.name for path in (tmp_path / "killed").glob("shard-*")}
    for store in (whole, resumed):
        assert store is not None
        assert store.key == plain.key
        assert store.manifest.notes["offload"] is True
        for layer in plain.layers:
            assert store.words(layer).tobytes() == plain.words(layer).tobytes()


def _killed_at(rows: int) -> Callable[[Any], None]:
    def progress(read: Any) -> None:
        if read.rows > rows:
            raise KeyboardInterrupt

    return progress
