"""Models by name: what is found, what is refused, and what their identity is."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from torch import nn

from extract.extractor import Extraction
from extract.models.loading import Placement, load_trunk
from extract.models.source import ModelSource
from tests.conftest import FAMILIES
from tests.extract.test_extraction import encoded
from w2s_probes import InputError
from w2s_probes.checkpoints.blocks import find_blocks

Checkpoint = Callable[..., Path]
CPU = Placement("cpu")


def test_another_list_of_blocks_is_another_store(checkpoint: Checkpoint, rows: pd.DataFrame) -> None:
    source = ModelSource.find(str(checkpoint()))
    named = ModelSource.find(str(checkpoint()), blocks="layers")
    assert Extraction.plan(source, rows).identity == Extraction.plan(named, rows).identity
    assert Extraction.plan(source, rows).identity["blocks"] == "layers"


def test_a_model_without_a_limit_reads_texts_of_any_length(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(checkpoint("bert"), tmp_path / "copy")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["model_max_length"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    source = ModelSource.find(str(folder))
    limits = [source.window]
    del source.config.__dict__["max_position_embeddings"]
    monkeypatch.delattr(type(source.config), "max_position_embeddings", raising=False)
    assert [*limits, source.window] == [64, None]  # first the config's, then nobody's
    rows = pd.DataFrame({"id": ["a", "b"], "text": ["w1 " * 100, "w2"]})
    assert encoded(source, rows, source.window) == ([100, 1], 0)


def test_a_config_that_asks_for_more_than_the_weights_hold_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """transformers fills what is missing with random numbers, and goes on."""
    folder = shutil.copytree(checkpoint(), tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}))
    with pytest.raises(InputError, match=r"weights do not fit the config, \d+ are missing: 'layers\.3\."):
        load_trunk(ModelSource.find(str(folder)), "float32", CPU)


@pytest.mark.parametrize(
    "content",
    [
        *("[]", "null", "{}", '{"model_type": 5}', '{"model_type": "llama", "hidden_size": "x"}'),
        *('{"model_type": "llama", "num_attention_heads": 0}', '{"model_type": "llama", "num_hidden_layers": 0}'),
    ],
)
def test_configs_of_any_nonsense_are_the_users_error(checkpoint: Checkpoint, tmp_path: Path, content: str) -> None:
    folder = shutil.copytree(checkpoint(), tmp_path / "copy")
    (folder / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"^model .*(config|weights)|has no blocks"):
        source = ModelSource.find(str(folder))
        _ = source.depth
        load_trunk(source, "float32", CPU)


def test_blocks_are_found_or_the_candidates_named(checkpoint: Checkpoint) -> None:
    paths = {family: ModelSource.find(str(checkpoint(family))).block_path for family in FAMILIES}
    assert paths == {"llama": "layers", "gpt_neox": "layers", "bert": "encoder.layer", "gpt2": "h"}
    source = ModelSource.find(str(checkpoint()))

    class Twin(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left = nn.ModuleList(nn.Linear(1, 1) for _ in range(3))
            self.right = nn.ModuleList(nn.Linear(1, 1) for _ in range(3))

    with pytest.raises(InputError, match=r"name them with --blocks: left \(3\), right \(3\)"):
        find_blocks(Twin(), source.config)
    assert find_blocks(Twin(), source.config, "right") == "right"
    with pytest.raises(InputError, match=r"no list of blocks at 'middle'"):
        find_blocks(Twin(), source.config, "middle")


def test_a_checkpoints_identity_is_its_files_not_its_place(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint(), tmp_path / "copy")
    before = ModelSource.find(str(checkpoint()))
    assert ModelSource.find(str(folder)).weights == before.weights
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-3}))
    assert ModelSource.find(str(folder)).weights != before.weights
    (folder / "config.json").write_text(json.dumps({"model_type": "nonesuch"}))
    with pytest.raises(InputError, match="nonesuch"):
        _ = ModelSource.find(str(folder)).config


def test_models_that_cannot_be_used_are_refused_in_one_line(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint(), tmp_path / "copy")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    cases = {
        str(tmp_path / "none"): "no such folder",
        str(tmp_path): r"no config\.json",
        str(folder): r"no weights .* pickle files can run code and are not read",
        "package:no_such_package/model": "no package 'no_such_package' is installed",
        "someone/no-such-model": "neither a folder here nor a model that the hub gives out",
    }
    for name, message in cases.items():
        with pytest.raises(InputError, match=message):
            ModelSource.find(name)
    (folder / "model.safetensors").write_bytes(b"garbage")
    config = json.loads((folder / "config.json").read_text())
    assert ModelSource.find(str(folder)).own_dtype == config["dtype"]
    (folder / "config.json").write_text(json.dumps(config | {"dtype": None}))
    with pytest.raises(InputError, match="not a readable safetensors file"):
        _ = ModelSource.find(str(folder)).own_dtype
    with pytest.raises(InputError, match="cannot be loaded"):
        load_trunk(ModelSource.find(str(folder)), "float32", CPU)
