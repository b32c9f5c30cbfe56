"""Sites and marked positions read block by block: the numbers of the ordinary way, and its refusals."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import transformers as hf

from extract.extractor import Extraction
from extract.forward.engine import Engine
from extract.models.loading import Placement
from extract.models.source import ModelSource
from extract.offload.offloaded_engine import OffloadedEngine
from extract.offload.offloading import Offload, Room
from extract.repair import repair
from extract.site import Site
from tests.conftest import save_checkpoint, shard_file
from tests.extract.forward.test_families import FAMILIES, LENGTHS
from tests.extract.forward.test_sites import MORE
from tests.extract.offload.scarce_memory import scarce_memory
from w2s_probes import ActivationStore, InputError
from w2s_probes.checkpoints.tokens import Tokens
from w2s_probes.io.tables import write_table

NAMES = [f"r{i}" for i in range(len(LENGTHS))]
SITES = (Site("attention"), Site("mlp"), Site("logits", (9, 4, 31)))
WHOLE = Placement("cpu", batch_tokens=24)
OFFLOADED = Placement("cpu", batch_tokens=24, offload=Offload())
MARKS = np.array([[min(2, length - 1)] for length in LENGTHS])


def tokens() -> list[Tokens]:
    rng = np.random.default_rng(0)
    return [rng.integers(5, 44, n, dtype=np.int32) for n in LENGTHS]


def source_of(family: str, folder: Path) -> ModelSource:
    torch.manual_seed(0)
    config = getattr(hf, f"{family}Config")(**(MORE[family] if family in MORE else FAMILIES[family][1]))
    return ModelSource.find(str(save_checkpoint(hf.AutoModelForCausalLM.from_config(config), folder / family)))


def both_ways(source: ModelSource, site: Site, position: str | list[str], **about: Any) -> list[Any]:
    """What the ordinary engine reads, and the offloaded one; of each a line where it refuses to."""
    at = MARKS if isinstance(position, list) else None
    about = {"layers": range(site.first_layer, source.depth + 1), "dtype": "float32"} | about
    found: list[Any] = []
    for kind, placement in ((Engine, WHOLE), (OffloadedEngine, OFFLOADED)):
        try:
            engine = kind(source, position=position, site=site, placement=placement, **about)
            words = engine.read(tokens(), NAMES, at=at)
            found.append({layer: array.tobytes() for layer, array in words.items()} | {"modules": engine.site_modules})
        except InputError as error:
            found.append(str(error))
    return found


# GPT-NeoX has parallel parts, Gemma 2 norms each part after it, Granite has logits of a sum that it scales.
@pytest.mark.parametrize("family", ["GPTNeoX", "Gemma2", "Granite"])
def test_sites_are_those_of_the_ordinary_way_bit_for_bit(family: str, tmp_path: Path) -> None:
    """At several positions side by side, one of them marked, and at every token; and where it refuses, in its words."""
    source = source_of(family, tmp_path)
    for site in SITES:
        whole, offloaded = both_ways(source, site, ["last", "mean", "regex:x", "first"])
        assert whole == offloaded
        assert isinstance(whole, str) == ((family, site.name) in {*REFUSED})
        if site.name != "attention":
            whole, offloaded = both_ways(source, site, "all")
            assert whole == offloaded


REFUSED = (("Granite", "attention"), ("Granite", "mlp"))


def test_few_layers_half_precision_small_sweeps_and_little_memory_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of("Llama", tmp_path)
    for layers in ([0], [0, 2], [3]):
        whole, offloaded = both_ways(source, SITES[2], "last", layers=layers)
        assert whole == offloaded
    whole, offloaded = both_ways(source, SITES[0], "mean", layers=[2], dtype="bfloat16")
    assert whole == offloaded
    memory = scarce_memory(monkeypatch, 30)
    monkeypatch.setattr(Room, "of", lambda *_, **__: Room(memory=0, disk=0))  # a batch a sweep
    about: dict[str, Any] = {"layers": [1, 2, 3], "position": "all", "dtype": "float32"}
    for site in SITES:
        plain = Engine(source, site=site, placement=WHOLE, **about).read(tokens(), NAMES)
        large = Placement("cpu", batch_tokens=60, offload=Offload())
        engine = OffloadedEngine(source, site=site, placement=large, **about)
        found = engine.read(tokens(), NAMES)
        assert engine.budget <= memory.most
        for layer, words in plain.items():
            np.testing.assert_allclose(words, found[layer], atol=2e-6)


def test_a_model_whose_head_reads_more_than_the_states_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, forward = source_of("Llama", tmp_path), hf.LlamaForCausalLM.forward

    def looking_back(self: Any, input_ids: Any = None, **options: Any) -> Any:
        found = forward(self, input_ids, **options)
        found.logits = found.logits + 100 * self.model.embed_tokens(input_ids).mean(dim=-1, keepdim=True)
        return found

    monkeypatch.setattr(hf.LlamaForCausalLM, "forward", looking_back)
    for line in both_ways(source, SITES[2], "last", layers=[1]):
        assert "LlamaForCausalLM: what it does after its last block cannot be run by itself" in line


def test_stores_of_named_positions_are_the_ordinary_ones_and_repaired_block_by_block(
    checkpoint: Callable[..., Path], tmp_path: Path, w2s: Callable[..., None], fails: Callable[..., str]
) -> None:
    shutil.copytree(checkpoint(), tmp_path / "model")
    texts = [f"w1 w{n} {n} w3 w4 w{n % 7}" + " w5" * (n % 5) for n in range(12)]
    rows = pd.DataFrame({"id": [f"t{n}" for n in range(12)], "text": texts, "span": [[0, 5]] * 12})
    write_table(rows, tmp_path / "rows.jsonl")
    call = ["extract", tmp_path / "model", "--rows", tmp_path / "rows.jsonl", "--site", "mlp", "--batch-tokens", "30"]
    call += ["--position", "mark=span", "--position", "number=regex: [0-9]+ ", "--position", "end=last"]
    w2s(*call, "--out", tmp_path / "whole")
    w2s(*call, "--out", tmp_path / "offloaded", "--offload")
    for name in ("mark", "number", "end"):
        whole, offloaded = (ActivationStore.open(tmp_path / kind / name) for kind in ("whole", "offloaded"))
        assert whole.key == offloaded.key
        assert offloaded.manifest.notes["offload"] is True
        assert offloaded.manifest.notes["site_modules"] == ["mlp"]
        assert shard_file(whole.path).read_bytes() == shard_file(offloaded.path).read_bytes()
        w2s("doctor", offloaded.path, "--model", tmp_path / "model", "--rows", tmp_path / "rows.jsonl")
    file = shard_file(tmp_path / "offloaded" / "mark")
    before = file.read_bytes()
    file.write_bytes(before[:300])
    w2s("repair", tmp_path / "offloaded" / "mark", "--offload", "--rows", tmp_path / "rows.jsonl")
    assert shard_file(tmp_path / "offloaded" / "mark").read_bytes() == before
    line = fails(*call, "--out", tmp_path / "o", "--offload", "--quantization", "8bit")
    assert "--offload and --quantization exclude each other" in line
    assert not (tmp_path / "o").exists()
    with pytest.raises(InputError, match="no language-model head"):
        Extraction.plan(str(checkpoint("bert")), rows, site="logits:w1").run(tmp_path / "o", placement=OFFLOADED)
    (tmp_path / "offloaded" / "end" / shard_file(tmp_path / "offloaded" / "end").name).unlink()
    assert len(repair(tmp_path / "offloaded" / "end", placement=Placement("cpu"))) == 1
