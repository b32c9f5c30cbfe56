"""Memory of an offloaded extraction, in an address space smaller than the model, where the ordinary way fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaModel

from tests.conftest import ROOT, save_checkpoint

# Blocks of 25 MB, so that libraries' own memory does not hide them.
BLOCKS, WIDTH = 10, 768
# The process may map so much more than it has when the model is to be loaded, and is measured from there.
RUN = """
import json, resource, sys
import torch
from extract.extractor import Extraction
from extract.models.loading import Placement
from extract.models.source import ModelSource
from extract.offload import offloaded_engine
from extract.offload.offloading import Offload
from w2s_probes.io.tables import read_table

def status(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))

folder, limit = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
plan = Extraction.plan(ModelSource.find(f"{folder}/model"), read_table(f"{folder}/rows.jsonl"))
plan.key, plan.source.tokenizer, plan.source.skeleton
before, size = status("VmHWM"), status("VmSize")
resource.setrlimit(resource.RLIMIT_AS, (size + limit, size + limit))
store = plan.run(f"{folder}/offloaded", placement=Placement("cpu", offload=Offload(max_memory=limit)))
peak, failure = status("VmHWM") - before, ""
try:
    plan.run(f"{folder}/whole", placement=Placement("cpu"))
except (MemoryError, ValueError) as error:
    failure = str(error)
layer = store.layer(-1)
print(json.dumps({"peak": peak, "whole": failure, "rows": len(layer), "finite": bool((layer == layer).all())}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and limits the address space")
def test_a_model_is_read_in_less_memory_than_its_weights_take(tmp_path: Path) -> None:
    with torch.device("meta"):
        sizes = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_attention_heads": 8}
        model = LlamaModel(LlamaConfig(vocab_size=44, num_hidden_layers=BLOCKS, max_position_embeddings=64, **sizes))
    model = model.to_empty(device="cpu")
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.fill_(1e-3 if parameter.dim() > 1 and number else 1.0)
    save_checkpoint(model, tmp_path / "model")
    block = sum(parameter.nbytes for parameter in model.layers[0].parameters())
    size = (tmp_path / "model" / "model.safetensors").stat().st_size
    rows = [{"id": f"r{i}", "text": " ".join(f"w{i}" for _ in range(1 + i % 7))} for i in range(12)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    # An arena of malloc a thread would take more of the address space than the model.
    environment = os.environ | {"MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUN, str(tmp_path), str(int(0.8 * size))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert (seen["rows"], seen["finite"]) == (12, True)
    assert seen["peak"] < 2 * block + 16e6 < size / 2  # states and vectors are a few kilobytes
    assert "allocate memory" in seen["whole"]
