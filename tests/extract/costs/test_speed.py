"""The speed of this machine is measured on a stand-in, without weights, and called an estimate."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from extract.costs import speed
from extract.costs.estimate import Costs, estimate
from extract.costs.lengths import Lengths, count_tokens, given_lengths
from extract.costs.speed import BlockSpeed, Machine, measure
from extract.doctor import diagnose, example_rows, sample_plan
from extract.extractor import Extraction
from extract.forward.engine import CPU_TOKENS, MOST_CPU_TOKENS
from extract.forward.trace import ActivationReader
from extract.models.source import ModelSource, auto_class
from tests.extract.costs.test_estimate import CONFIGS, described
from w2s_probes import InputError
from w2s_probes.cli.units import roughly

Checkpoint = Callable[..., Path]


def costs_of(source: ModelSource, rows: int = 20, length: int = 16, dtype: str = "float32") -> Costs:
    return estimate(source, np.full(rows, length), dtype=dtype, batch_tokens=CPU_TOKENS)


@pytest.mark.filterwarnings("default")  # the models' own
@pytest.mark.parametrize("family", CONFIGS)
def test_every_family_is_timed_from_its_config_alone(family: str, tmp_path: Path) -> None:
    source = described(tmp_path, family, **CONFIGS[family])
    costs = costs_of(source)
    found = measure(source, costs)
    assert found.timed == "one of its blocks with random weights"
    assert 0 < found.batch_seconds < 1
    assert found.flops_per_s > 0
    assert len(list(source.skeleton.get_submodule(source.block_path).children())) == source.depth  # left as it was
    assert all(p.device.type == "meta" for p in source.skeleton.parameters())


@pytest.mark.filterwarnings("default")
def test_torch_writes_no_tracebacks_of_what_it_cannot_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[logging.LogRecord] = []
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", told.append)
    logger.addHandler(handler)
    try:
        costs_of(described(tmp_path, "Mixtral", **CONFIGS["Mixtral"]))
    finally:
        logger.removeHandler(handler)
    assert told == []
    assert not logger.disabled


def test_an_estimate_is_of_the_order_of_a_real_pass(tmp_path: Path) -> None:
    """Wide enough that products count; the machine may be busy, so the bounds are loose."""
    settings = CONFIGS["Llama"] | {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4}
    source = described(tmp_path, "Llama", **settings)
    costs = costs_of(source, rows=256, length=32)
    model = auto_class(source.config).from_config(source.config).eval()
    model.config.use_cache = False
    ids = torch.randint(5, 44, (CPU_TOKENS // 32, 32), generator=torch.Generator().manual_seed(0))
    reader = ActivationReader(model, source.block_path)
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        reader.read(ids, torch.ones_like(ids), costs.layers, "last")
        times.append(time.perf_counter() - begin)
    real = min(times) * costs.batches
    assert 0.2 < measure(source, costs).seconds(costs) / real < 5


def test_time_grows_with_batches_and_operations(tmp_path: Path) -> None:
    source = described(tmp_path, "Llama", **CONFIGS["Llama"])
    costs = costs_of(source, rows=640)
    assert costs.batches == 10
    rate = BlockSpeed("", batch_seconds=0.5, flops_per_s=costs.flops / 7)
    assert rate.seconds(costs) == pytest.approx(5 + 7)
    assert rate.seconds(replace(costs, flops=0.0)) == 5


def test_of_a_large_block_one_product_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = described(tmp_path, "Llama", **CONFIGS["Llama"])
    monkeypatch.setattr(speed, "BIG", 10)
    monkeypatch.setattr(speed, "_one_block", None)
    found = measure(source, costs_of(source))
    assert found.timed == "one product of its width"
    assert found.flops_per_s > 0


def test_a_block_without_room_is_not_tried(tmp_path: Path) -> None:
    source = described(tmp_path, "Llama", **CONFIGS["Llama"])
    with pytest.raises(InputError, match=r"one block alone takes 0\.0 GB, and 0\.0 GB are free"):
        measure(source, costs_of(source), Machine(torch.device("cpu"), free=1000))


def test_the_machine_is_the_processor_and_its_memory_here() -> None:
    machine = Machine.here()
    assert [machine.batch_tokens(width) for width in (4096, 384, 128, 8)] == [1024, 1024, 3072, 8192]
    assert machine.free is not None
    assert machine.free > 1e6
    assert str(machine) == "cpu, 1 thread"


def test_a_card_counts_its_own_memory_alone(tmp_path: Path) -> None:
    source = described(tmp_path, "Llama", **CONFIGS["Llama"])
    costs = costs_of(source)
    assert Machine(torch.device("cpu"), None).memory(costs) == costs.host + costs.device
    assert Machine(torch.device("cuda", 0), None).memory(costs) == costs.device
    assert Machine(torch.device("cuda", 0), None).batch_tokens(64) == 32768


def test_texts_beyond_the_window_are_counted(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ModelSource.describe(str(checkpoint()))
    texts = ["w1 " * count for count in [10, 64, 65, 100, 3]]
    rows = pd.DataFrame({"id": list("abcde"), "text": texts})
    assert (count_tokens(source, rows).cut, count_tokens(source, rows).limit) == (2, 64)
    assert (count_tokens(source, rows, max_length=9).cut, count_tokens(source, rows, max_length=9).limit) == (4, 9)
    assert not count_tokens(source, rows).sampled
    many = pd.DataFrame(
        {"id": [str(i) for i in range(400)], "text": ["w1 " * (99 if i % 4 == 0 else 5) for i in range(400)]}
    )
    monkeypatch.setattr("extract.costs.lengths.SAMPLE", 100)
    found = count_tokens(source, many)
    assert found.sampled
    assert 60 <= found.cut <= 140
    joined = Lengths.joined([found, count_tokens(source, rows)])
    assert (joined.cut, len(joined.tokens), joined.sampled) == (found.cut + 2, 405, True)
    assert given_lengths(source, ["7"], tokens_per_row=65).cut == 7
    assert given_lengths(source, ["7"], tokens_per_row=64).cut == 0


def test_the_doctor_times_the_loaded_model(checkpoint: Checkpoint) -> None:
    found = diagnose(sample_plan(Extraction.plan(str(checkpoint()), example_rows()))).speed
    assert found.tokens_per_s > 0
    assert 0 < found.batch <= MOST_CPU_TOKENS
    assert " tokens/s on cpu, in a batch of " in str(found)


def test_estimates_are_written_with_two_digits() -> None:
    found = [roughly(seconds) for seconds in (0, 0.234, 1.26, 12.4, 95, 7200, 1e6)]
    assert found == ["0.010 s", "0.23 s", "1.3 s", "12 s", "1.6 min", "2.0 h", "12 days"]
