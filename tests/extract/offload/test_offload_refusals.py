"""What `--offload` refuses, each in one line that says what to do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from extract.extractor import Extraction
from extract.models.checkpoints import Trust
from extract.models.loading import Placement
from extract.models.source import ModelSource
from extract.offload.model_parts import ModelParts
from extract.offload.offloading import Offload
from tests.conftest import model_of, save_checkpoint
from w2s_probes import InputError

OFFLOADED = Placement("cpu", batch_tokens=50, offload=Offload())
WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_checkpoint(model_of("llama").model, tmp_path / "model")


def refused(folder: Path, rows: pd.DataFrame, message: str, **options: Any) -> None:
    """Assert that the extraction is refused with this message and has written nothing."""
    placement = options.pop("placement", OFFLOADED)
    source = ModelSource.find(str(folder), trust=Trust(pickle=True))
    with pytest.raises(InputError, match=message) as caught:
        Extraction.plan(source, rows, dtype="float32", **options).run(folder / "acts", placement=placement)
    assert "\n" not in str(caught.value)
    assert not (folder / "acts").exists()


def with_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def with_tensors(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS, metadata={"format": "pt"})


def test_quantised_models_adapters_and_pickles(folder: Path, rows: pd.DataFrame) -> None:
    refused(folder, rows, "--offload and --quantization exclude each other", quantization="8bit")
    spread = Placement("auto", offload=Offload())
    refused(folder, rows, r"--offload has one block at a time .*, such as cuda:0, not 'auto'", placement=spread)
    refused(folder, rows, "device_map 'tpu7': no such device here", placement=Placement("tpu7", offload=Offload()))
    (folder / "adapter_config.json").write_text("{}")
    refused(folder, rows, "adapter_config.json lies beside the weights, and --offload reads no adapters: merge it")
    (folder / "adapter_config.json").unlink()
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()
    refused(folder, rows, r"there is neither: load the model once and save it with model.save_pretrained\(folder\)")
    with_config(folder, quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True})
    refused(folder, rows, "is quantised, which --offload cannot load: leave --offload out")


def test_weights_that_lack_something(folder: Path, rows: pd.DataFrame) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:-100])
    refused(
        folder, rows, r"model.safetensors: not a safetensors file that --offload can read \(ValueError: cut short\)"
    )
    (folder / WEIGHTS).write_bytes(whole)
    with_tensors(folder, lambda tensors: {name: x for name, x in tensors.items() if "1.mlp.up" not in name})
    refused(folder, rows, r"the weights do not fit the config, 1 are missing: 'layers.1.mlp.up_proj.weight'")
    (folder / WEIGHTS).write_bytes(whole)
    with_tensors(folder, lambda tensors: {name.replace("layers.", "deck_"): x for name, x in tensors.items()})
    refused(folder, rows, r"its files hold no tensors of block 0 .*model.save_pretrained\(folder\)")
    (folder / WEIGHTS).write_bytes(whole)
    with_config(folder, intermediate_size=40)
    refused(folder, rows, "it cannot be loaded block by block")


def test_shards_are_read_by_their_index(rows: pd.DataFrame, tmp_path: Path) -> None:
    save_checkpoint(model_of("llama"), tmp_path / "model")
    model_of("llama").save_pretrained(tmp_path / "shards", max_shard_size="40KB")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "shards" / name).write_bytes((tmp_path / "model" / name).read_bytes())
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    stores = [
        Extraction.plan(str(tmp_path / name), rows).run(tmp_path / f"{name}-acts", placement=OFFLOADED)
        for name in ("model", "shards")
    ]
    assert stores[0] is not None
    assert stores[1] is not None
    assert stores[0].words(3).tobytes() == stores[1].words(3).tobytes()
    index = tmp_path / "shards" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": [1]}))
    refused(tmp_path / "shards", rows, "model.safetensors.index.json: has no weight_map of names")


def test_memory_for_less_than_one_block_at_a_time_says_what_would_do(folder: Path, rows: pd.DataFrame) -> None:
    little = Placement("cpu", batch_tokens=5000, offload=Offload(max_memory=1_000_000))
    refused(
        folder,
        rows,
        r"--max-memory 1MB is too little for one block at a time: give --max-memory 18MB",
        placement=little,
    )
    enough = Placement("cpu", batch_tokens=5000, offload=Offload(max_memory=18_000_000))
    assert Extraction.plan(str(folder), rows).run(folder / "acts", placement=enough) is not None


def test_a_scratch_folder_that_cannot_be_written_is_refused(folder: Path, rows: pd.DataFrame) -> None:
    there = Placement("cpu", offload=Offload(scratch=folder / WEIGHTS / "below"))
    refused(folder, rows, r"below: cannot hold the states between blocks \(Not a directory\)", placement=there)


def test_what_only_the_whole_model_computes_is_refused(
    folder: Path, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A buffer of a block that the model's own beginning fills would be left as the memory happened to be."""
    from transformers.models.llama import modeling_llama

    begin = modeling_llama.LlamaDecoderLayer.__init__

    def with_buffer(self: Any, *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **options)
        self.register_buffer("scale", torch.ones(4), persistent=False)

    monkeypatch.setattr(modeling_llama.LlamaDecoderLayer, "__init__", with_buffer)
    refused(folder, rows, r"cannot be loaded block by block, since 'layers.0.scale' is computed by the whole model")


def test_options_that_read_whole_models_do_not_take_offload(folder: Path, rows: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="--offload is of `w2s extract` and `w2s repair`"):
        Extraction.plan(str(folder), rows).engine(OFFLOADED)


def test_nothing_of_a_part_is_left_over(folder: Path) -> None:
    """A block's own weights alone are in memory, and of an encoder-decoder the frame has no decoder."""
    parts = ModelParts(ModelSource.find(str(folder)), "float32", torch.device("cpu"))
    frame = parts.frame()
    assert {p.device.type for p in frame.get_submodule("layers").parameters()} == {"meta"}
    names = {name for name, parameter in frame.named_parameters() if parameter.device.type == "cpu"}
    assert names == {"embed_tokens.weight", "norm.weight"}
    assert sum(p.nbytes for p in parts.block(1).parameters()) == parts.block_bytes
