"""Caches of lmprobe in its first form, written by `torch.save` as its `save_layer` did, beside those of the later."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from w2s_probes.errors import InputError
from w2s_probes.importing import import_prompt_folder
from w2s_probes.io.tables import write_table

torch = pytest.importorskip("torch")
TEXTS = {"b": "one two three", "a": "one", "c": "four five"}
BLOCKS, WIDTH, LONGEST = 2, 4, 4


def states(name: str) -> NDArray[np.float32]:
    """(blocks, longest, width), padded on the right."""
    own = np.random.default_rng(ord(name)).normal(size=(BLOCKS, len(TEXTS[name].split()), WIDTH)).astype(np.float32)
    return np.pad(own, ((0, 0), (0, LONGEST - own.shape[1]), (0, 0)), constant_values=9)


def mask(name: str) -> NDArray[np.int64]:
    return (np.arange(LONGEST) < len(TEXTS[name].split())).astype(np.int64)[None]


def place(here: Path, name: str) -> Path:
    return here / "cache" / hashlib.sha256(TEXTS[name].encode()).hexdigest()[:16]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Rows a and b in the first form, in bfloat16, and c in the later one."""
    write_table(pd.DataFrame({"id": list(TEXTS), "text": list(TEXTS.values())}), tmp_path / "rows.jsonl")
    for name in "ba":
        place(tmp_path, name).mkdir(parents=True)
        for block in range(BLOCKS):
            layer = torch.from_numpy(states(name)[block][None]).bfloat16()
            torch.save(layer, place(tmp_path, name) / f"layer_{block}.pt")
        torch.save(torch.from_numpy(mask(name)), place(tmp_path, name) / "attention_mask.pt")
        torch.save(torch.zeros(3), place(tmp_path, name) / "perplexity.pt")
    later = {f"layer_{block}": torch.from_numpy(states("c")[block][None]).bfloat16() for block in range(BLOCKS)}
    from safetensors.torch import save_file as save_torch

    save_torch(later | {"attention_mask": torch.from_numpy(mask("c"))}, f"{place(tmp_path, 'c')}.safetensors")
    return tmp_path


def imported(here: Path, name: str = "acts", **given: Any) -> Any:
    options: dict[str, Any] = {"layout": "lmprobe", "depth": 4} | given
    return import_prompt_folder(here / "cache", here / "rows.jsonl", here / name, **options)


def rounded(name: str, block: int) -> NDArray[np.float32]:
    """The row's own tokens as bfloat16 keeps them."""
    own = states(name)[block][: len(TEXTS[name].split())]
    return np.asarray(torch.from_numpy(own).bfloat16().float().numpy())


def test_rows_of_both_forms_are_joined_at_a_token_and_at_every_one(here: Path) -> None:
    for position, token in (("last", -1), ("first", 0)):
        store = imported(here, position, position=position)
        assert (store.layers, store.manifest.dtype, list(store.ids)) == ([1, 2], "bfloat16", list(TEXTS))
        for layer in store.layers:
            np.testing.assert_array_equal(store.layer(layer), np.stack([rounded(n, layer - 1)[token] for n in TEXTS]))
    tokens = imported(here, "all", position="all", tokenize=lambda ids, texts: [range(len(t.split())) for t in texts])
    np.testing.assert_array_equal(tokens.tokens(2).values, np.concatenate([rounded(name, 1) for name in TEXTS]))
    for name in TEXTS:
        place(here, name).mkdir(exist_ok=True)
        (place(here, name) / "pooled_mean").mkdir()
        for block in range(BLOCKS):
            torch.save(
                torch.full((1, WIDTH), ord(name) + block), place(here, name) / "pooled_mean" / f"layer_{block}.pt"
            )
        torch.save(torch.full((1, WIDTH), ord(name)).float(), place(here, name) / "pooled_mean" / "layer_0.pt")
    Path(f"{place(here, 'c')}.safetensors").unlink()
    pooled = imported(here, "mean", position="mean", layers="1")
    assert pooled.layer(1).tolist() == [[ord(name)] * WIDTH for name in TEXTS]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda here: (place(here, "a") / "attention_mask.pt").unlink(), "no tensor 'attention_mask'"),
        (lambda here: torch.save(torch.zeros(1, 4), place(here, "a") / "attention_mask.pt"), "no tensor of whole"),
        (lambda here: (place(here, "a") / "layer_1.pt").unlink(), r"layers \[1\], width 4 .* has layers \[1, 2\]"),
        (lambda here: (place(here, "a") / "layer_1.pt").write_bytes(b"x"), "layer_1.pt: holds more than tensors"),
        (lambda here: torch.save({"x": 3}, place(here, "a") / "layer_1.pt"), "holds several tensors|no tensor"),
        (lambda here: torch.save(torch.zeros(1, 3, 4), place(here, "a") / "layer_1.pt"), r"has shape \(1, 3, 4\), not"),
    ],
)
def test_a_faulty_folder_is_refused_by_name(here: Path, fault: Callable[[Path], object], message: str) -> None:
    fault(here)
    with pytest.raises(InputError, match=message):
        imported(here, position="last")
    assert not (here / "acts").exists()


def test_the_later_file_goes_before_the_folder_as_lmprobe_reads_them(here: Path) -> None:
    zeros = {f"layer_{block}": np.zeros((1, LONGEST, WIDTH), np.float32) for block in range(BLOCKS)}
    for name in TEXTS:
        save_file(zeros | {"attention_mask": mask(name)}, f"{place(here, name)}.safetensors")
    assert not imported(here, position="last").layer(1).any()
