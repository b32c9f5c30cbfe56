"""Caches of lmprobe: its block i is our layer i + 1, padding is told by the mask, files are found by their texts."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tests.conftest import run_failing
from w2s_probes.errors import InputError
from w2s_probes.importing import import_prompt_folder
from w2s_probes.io.tables import write_table

TEXTS = {"b": "one two three", "a": "one", "c": "four five"}
LONGEST, BLOCKS, WIDTH = 4, 3, 5


def states(name: str) -> NDArray[np.float16]:
    """(blocks, tokens, width) of a row's own tokens."""
    rng = np.random.default_rng(ord(name))
    return rng.normal(size=(BLOCKS, len(TEXTS[name].split()), WIDTH)).astype(np.float16)


def file_of(folder: Path, name: str) -> Path:
    return folder / f"{hashlib.sha256(TEXTS[name].encode()).hexdigest()[:16]}.safetensors"


def written(name: str, *, left: bool) -> dict[str, np.ndarray]:
    """As `save_prompt_activations` of lmprobe 0.10.3 writes a row of a padded batch."""
    own = states(name)
    pads = LONGEST - own.shape[1]
    sides = (pads, 0) if left else (0, pads)
    padded = np.pad(own, ((0, 0), sides, (0, 0)), constant_values=9)
    mask = np.pad(np.ones((1, own.shape[1]), dtype=np.int64), ((0, 0), sides))
    return {f"layer_{block}": padded[block][None] for block in range(BLOCKS)} | {"attention_mask": mask}


@pytest.fixture(params=[True, False], ids=["padded left", "padded right"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    cache = tmp_path / "cache" / hashlib.sha256(b"org/model").hexdigest()[:16]
    cache.mkdir(parents=True)
    (cache / "_model_name.txt").write_text("org/model")
    (cache / "_manifest.jsonl").write_text("{}\n")
    for name in TEXTS:
        save_file(written(name, left=request.param), file_of(cache, name))
    save_file(written("a", left=True), cache / "0123456789abcdef.safetensors")  # of a prompt that is no row
    write_table(pd.DataFrame({"id": list(TEXTS), "text": list(TEXTS.values())}), tmp_path / "rows.jsonl")
    return cache


def imported(folder: Path, name: str = "acts", **given: Any) -> Any:
    options: dict[str, Any] = {"depth": BLOCKS, "last_entry": "pre-norm"} | given
    rows = folder.parent.parent / "rows.jsonl"
    return import_prompt_folder(folder, rows, folder.parent.parent / name, layout="lmprobe", **options)


def test_the_token_of_the_text_is_kept_and_a_block_is_the_layer_after_it(folder: Path) -> None:
    for position, token in (("last", -1), ("first", 0)):
        store = imported(folder, position, position=position)
        assert (store.layers, list(store.ids)) == ([1, 2, 3], list(TEXTS))
        for layer in store.layers:
            expected = np.stack([states(name)[layer - 1, token] for name in TEXTS])
            np.testing.assert_array_equal(store.words(layer), expected)
        assert store.manifest.sites[1] == "imported layer_0"
    assert imported(folder, "some", layers="2", last_entry=None).layers == [2]


def test_pooled_vectors_are_taken_where_they_are_there(folder: Path) -> None:
    pooled = {name: np.full((1, WIDTH), ord(name), dtype=np.float16) for name in TEXTS}
    for name in TEXTS:
        means = {f"pooled_mean_layer_{block}": pooled[name] + block for block in range(BLOCKS)}
        save_file(written(name, left=True) | means, file_of(folder, name))
    store = imported(folder, position="mean")
    assert store.layer(2).tolist() == [[ord(name) + 1] * WIDTH for name in TEXTS]


def changed(name: str, **tensors: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: save_file(written(name, left=True) | tensors, file_of(folder, name))


@pytest.mark.parametrize(
    ("fault", "given", "message"),
    [
        (lambda folder: file_of(folder, "a").unlink(), {}, r"no file for 1 of 3 rows.*\('?a.*to the letter"),
        (lambda folder: None, {"position": "mean"}, "holds tokens and no pooled mean"),
        (lambda folder: None, {"last_entry": None}, "layer 3 is the last:.*--last-entry"),
        (lambda folder: None, {"last_entry": None, "depth": None}, "layer 3 is the last:.*--depth if layer 3"),
        (lambda folder: None, {"depth": 2, "last_entry": None}, "layer 3 is above the model's 2 blocks"),
        (lambda folder: None, {"layers": "1,4", "depth": 4}, r"no layer 4 \(its block 3\); it holds .*1, 2, 3"),
        (changed("a", attention_mask=np.zeros((1, LONGEST), dtype=np.int64)), {}, "attention_mask holds no token"),
        (changed("a", layer_1=np.zeros((1, 3, WIDTH), dtype=np.float16)), {}, "layer_1 has shape"),
        (changed("b", layer_9=np.zeros((1, LONGEST, WIDTH), dtype=np.float16)), {}, "layers .* but .* has layers"),
        (changed("a", layer_1=np.zeros((1, LONGEST, WIDTH), dtype=np.float32)), {}, "several number formats"),
        (changed("c", layer_1=np.full((1, LONGEST, WIDTH), np.nan, dtype=np.float16)), {}, "layer 2 of row 'c' is not"),
    ],
)
def test_faults_are_one_line_and_nothing_is_written(
    folder: Path, fault: Callable[[Path], object], given: dict[str, Any], message: str
) -> None:
    fault(folder)
    with pytest.raises(InputError, match=message) as refused:
        imported(folder, **given)
    assert "\n" not in str(refused.value)
    assert not (folder.parent.parent / "acts").exists()


def test_tokens_are_counted_by_the_mask_and_compared_where_they_are_there(folder: Path) -> None:
    tokens = {name: list(range(7, 7 + len(text.split()))) for name, text in TEXTS.items()}
    tokenize = lambda ids, texts: [tokens[name] for name in ids]  # noqa: E731
    assert imported(folder, tokenize=tokenize).manifest.notes["tokens_checked"] is True
    tokens["c"] = [7]
    with pytest.raises(InputError, match="row 'c' has 2 tokens there, and the tokenizer gives 1"):
        imported(folder, "other", tokenize=tokenize)
    tokens["c"] = [7, 8]
    beside = file_of(folder, "a").with_suffix(".perplexity.safetensors")
    save_file({"perplexity": np.ones(3, dtype=np.float32), "token_ids": np.array([99])}, beside)
    with pytest.raises(InputError, match="row 'a': token 1 is 99 there, and the tokenizer gives 7"):
        imported(folder, "other", tokenize=tokenize)


def test_the_command_says_which_folder_is_meant(folder: Path) -> None:
    rows, out = folder.parent.parent / "rows.jsonl", folder.parent.parent / "o"
    asked = ["--rows", rows, "--layout", "lmprobe", "--position", "last", "--out", out]
    assert f"holds the caches of '{folder.name}'" in run_failing("import", folder.parent, *asked)
    assert "layer 3 is the last" in run_failing("import", folder, *asked)
