"""Logits to be fused: planted ones, and a small model tuned on a few rows."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analyses.experiment.fusing import FusedRows
from analyses.recipe.fusion import Fusion
from tests.conftest import ROOT
from w2s_probes.fusion import fuse

WEAK = ROOT / "data" / "miniature" / "weak"
PROMPT = "{text}"


@dataclass
class GivenFusing:
    """Stands in for `Fusing`: models that read the first number of a row, each with noise of its own."""

    given: Any
    settings: Fusion = field(default_factory=Fusion)
    experts: tuple[None] = (None,)
    description: dict[str, Any] = field(default_factory=dict)

    def of(self, sets: dict[str, pd.DataFrame]) -> dict[str, FusedRows]:
        return {name: _fused(self.given.of(rows)[:, 0]) for name, rows in sets.items()}


@dataclass
class GivenFound:
    """Stands in for `Fusing`, too: what was found for some rows, whatever these are called."""

    found: dict[str, FusedRows]
    settings: Fusion = field(default_factory=Fusion)

    def of(self, sets: dict[str, pd.DataFrame]) -> dict[str, FusedRows]:
        return {name: self.found[name] for name in sets}


def _fused(x: NDArray[np.float32]) -> FusedRows:
    noise = np.random.default_rng(0).normal(size=(3, len(x)))
    z = x.astype(np.float64) - x.mean()
    strong, base = z + 0.3 * noise[0], 0.2 * z + 0.3 * noise[1]
    tuned = base + z + 0.3 * noise[2]
    found = fuse(strong, base, tuned)
    return FusedRows(strong, base, tuned, found.alpha, found.loss, np.zeros(len(x), dtype=np.int64))


def tuned_model(folder: Path, task: str, words: tuple[str, str], *, seed: int = 0, steps: int = 25) -> Path:
    """The miniature's weak model, tuned a little on 300 rows of a task to say its words."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(seed)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(WEAK), AutoTokenizer.from_pretrained(WEAK)
    rows = pd.read_json(WEAK.parent / "rows" / task / "train.jsonl.gz", lines=True)[-300:]
    tokens = tokenizer.convert_tokens_to_ids(list(words))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(steps):
        batch = rows.sample(32, random_state=seed * 1000 + step)
        read = tokenizer(list(batch["text"]), return_tensors="pt", padding=True)
        last = read["attention_mask"].sum(dim=1) - 1
        logits = model(input_ids=read["input_ids"], attention_mask=read["attention_mask"]).logits
        truth = torch.tensor([tokens[int(label)] for label in batch["label"]])
        loss = torch.nn.functional.cross_entropy(logits[torch.arange(len(batch)), last], truth)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
