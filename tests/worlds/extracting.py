"""`w2s extract` on a small world: its arguments, and models of which it is wary."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from transformers import AutoModel

from w2s_probes.io.tables import read_table, write_table


def extracting(place: Path, *options: object, rows: str = "rows.jsonl", model: str = "model") -> list[Any]:
    out = () if "--out" in options else ("--out", place / "new")
    return ["extract", place / model, "--rows", place / rows, *out, *options]


def with_row(place: Path, row_id: str, text: str) -> str:
    """The name of a row file with one row more."""
    table = read_table(place / "rows.jsonl")
    write_table(pd.concat([table, pd.DataFrame({"id": [row_id], "text": [text]})]), place / "more.jsonl")
    return "more.jsonl"


def without_safetensors(place: Path) -> str:
    """The name of a copy of the model whose weights are pickled."""
    model = AutoModel.from_pretrained(shutil.copytree(place / "model", place / "pickled"))
    (place / "pickled" / "model.safetensors").unlink()
    torch.save(model.state_dict(), place / "pickled" / "pytorch_model.bin")
    return "pickled"


def with_classes(place: Path) -> str:
    """The name of a copy of the model that brings its classes along."""
    folder = shutil.copytree(place / "model", place / "mine")
    code = "from transformers import LlamaConfig\n\n\nclass MineConfig(LlamaConfig):\n    model_type = 'mine'\n"
    (folder / "configuration_mine.py").write_text(code)
    code = "from transformers import LlamaModel\n\nfrom .configuration_mine import MineConfig\n\n\n"
    (folder / "modeling_mine.py").write_text(code + "class MineModel(LlamaModel):\n    config_class = MineConfig\n")
    classes = {"AutoConfig": "configuration_mine.MineConfig", "AutoModel": "modeling_mine.MineModel"}
    config = json.loads((folder / "config.json").read_text()) | {"model_type": "mine", "auto_map": classes}
    (folder / "config.json").write_text(json.dumps(config))
    return "mine"


def listing(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))
