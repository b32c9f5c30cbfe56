"""Folders of one safetensors file a prompt: the right token and layer, bit for bit, and one line for each fault."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from w2s_probes.errors import InputError
from w2s_probes.importing import import_prompt_folder

LENGTHS = {"b": 5, "a": 2, "c": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "states"
    made.mkdir()
    for seed, (name, length) in enumerate(LENGTHS.items()):
        states = np.random.default_rng(seed).normal(size=(length, 3, 4)).astype(np.float16)
        save_file({"hidden_states": states, "token_ids": np.arange(length)}, made / f"{name}.safetensors")
        (made / f"{name}.safetensors.lock").touch()
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"id": name}) + "\n" for name in LENGTHS))
    return made


def states_of(folder: Path, name: str) -> np.ndarray:
    from safetensors.numpy import load_file

    return load_file(folder / f"{name}.safetensors")["hidden_states"]


@pytest.mark.parametrize(("position", "token"), [("last", -1), ("first", 0)])
def test_the_token_at_the_position_is_kept_bit_for_bit_in_the_order_of_the_rows(
    folder: Path, position: str, token: int
) -> None:
    rows = folder.parent / "rows.jsonl"
    asked: dict[str, Any] = {"layers": "2,3,6", "depth": 6, "position": position, "model": "/home/alice/llama"}
    store = import_prompt_folder(folder, rows, folder.parent / "acts", **asked)
    assert store.manifest.identity["model"] == "llama"
    assert list(store.ids) == list(LENGTHS)
    for slot, layer in enumerate([2, 3, 6]):
        expected = np.stack([states_of(folder, name)[token, slot] for name in LENGTHS])
        np.testing.assert_array_equal(store.words(layer).view(np.uint16), expected.view(np.uint16))
    assert (store.manifest.identity["last_entry"], store.manifest.identity["layout"]) == ("pre-norm", "vllm")


def changed(folder: Path, name: str, **tensors: np.ndarray) -> None:
    save_file(
        {"hidden_states": states_of(folder, name), "token_ids": np.arange(LENGTHS[name]), **tensors},
        folder / f"{name}.safetensors",
    )


def cut(folder: Path) -> None:
    path = folder / "a.safetensors"
    path.write_bytes(path.read_bytes()[:-3])


def not_finite(folder: Path) -> None:
    states = states_of(folder, "a").copy()
    states[-1, 1, 2] = np.nan
    changed(folder, "a", hidden_states=states)


FAULTS: dict[str, Callable[[Path], object]] = {
    "no file for 1 of 3 rows.*'?a'?": lambda folder: (folder / "a.safetensors").unlink(),
    "1 files of no row.*z": lambda folder: shutil.copy(folder / "a.safetensors", folder / "z.safetensors"),
    "a.safetensors: not a readable": cut,
    "layer 3 of row 'a' is not finite": not_finite,
    "b.safetensors: states of 4 tokens.*chunked prefill": lambda folder: changed(
        folder, "b", hidden_states=states_of(folder, "b")[1:]
    ),
    "a.safetensors: layers .*width 3.* width 4": lambda folder: changed(
        folder, "a", hidden_states=np.ascontiguousarray(states_of(folder, "a")[..., 1:])
    ),
    r"a.safetensors: .*shape \(2, 2, 4\), but --layers names 3": lambda folder: changed(
        folder, "a", hidden_states=np.ascontiguousarray(states_of(folder, "a")[:, 1:])
    ),
}


@pytest.mark.parametrize("position", ["last", "all"])
def test_a_float64_beyond_float32_is_refused_without_a_warning_of_numpy(folder: Path, position: Any) -> None:
    for name in LENGTHS:
        changed(folder, name, hidden_states=states_of(folder, name).astype(np.float64) * (1e39 if name == "a" else 1))
    asked: dict[str, Any] = {"layers": "2,3,6", "position": position, "dtype": "float32"}
    with pytest.raises(InputError, match="layer 2 of row 'a' is not finite"):
        import_prompt_folder(folder, folder.parent / "rows.jsonl", folder.parent / "acts", **asked)
    assert not (folder.parent / "acts").exists()


@pytest.mark.parametrize("token", [-1, 2**31])
def test_what_is_no_token_is_named(folder: Path, token: int) -> None:
    changed(folder, "a", token_ids=np.array([7, token]))
    with pytest.raises(InputError, match=f"row 'a' names token {token}: no id"):
        import_prompt_folder(
            folder, folder.parent / "rows.jsonl", folder.parent / "acts", layers="2,3,6", position="all"
        )


@pytest.mark.parametrize("message", FAULTS)
def test_each_fault_is_one_line_and_nothing_is_written(folder: Path, message: str) -> None:
    FAULTS[message](folder)
    with pytest.raises(InputError, match=message) as refused:
        import_prompt_folder(folder, folder.parent / "rows.jsonl", folder.parent / "acts", layers="2,3,6")
    assert "\n" not in str(refused.value)
    assert not (folder.parent / "acts").exists()


def test_a_layer_above_the_model_and_a_position_of_no_single_token_are_refused(folder: Path) -> None:
    rows, out = folder.parent / "rows.jsonl", folder.parent / "acts"
    with pytest.raises(InputError, match="layer 6 "):
        import_prompt_folder(folder, rows, out, layers="2,3,6", depth=5)
    with pytest.raises(InputError, match="--position last, first or all"):
        import_prompt_folder(folder, rows, out, layers="2,3,6", position="mean")


def test_the_command_line_takes_a_folder_by_its_layout_and_refuses_what_the_layout_says(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from w2s_probes.cli import main

    rows, out = str(folder.parent / "rows.jsonl"), folder.parent / "acts"
    given = ["import", str(folder), "--rows", rows, "--out", str(out), "--layout", "vllm"]
    for wrong in (["--layers", "2,3,6"], ["--position", "last"], ["--layers", "2,3,6", "--position", "mean"]):
        with pytest.raises(SystemExit) as ended:
            main([*given, *wrong])
        assert ended.value.code == 2
        assert not out.exists()
    with pytest.raises(SystemExit) as ended:
        main([*given, "--layers", "2,3,6", "--position", "last", "--key", "hidden_states"])
    assert ended.value.code == 2
    assert "no --key" in capfd.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main([*given, "--layers", "2,3,6", "--position", "last"])
    assert not ended.value.code
    assert out.exists()


def test_every_float_is_taken_and_float64_on_being_told(folder: Path) -> None:
    rows, given = folder.parent / "rows.jsonl", {"layers": "2,3,6", "depth": 6}
    doubled = {name: states_of(folder, name).astype(np.float64) for name in LENGTHS}
    for name, states in doubled.items():
        changed(folder, name, hidden_states=states)
    with pytest.raises(InputError, match="give --dtype float32 to round it"):
        import_prompt_folder(folder, rows, folder.parent / "acts", **given)  # type: ignore[arg-type]
    store = import_prompt_folder(folder, rows, folder.parent / "acts", dtype="float32", **given)  # type: ignore[arg-type]
    assert store.layer(3).tolist() == np.stack([doubled[name][-1, 1] for name in LENGTHS]).tolist()


def test_a_prompt_that_lost_its_beginning_is_told_by_the_tokenizer_and_named(folder: Path) -> None:
    rows, out = folder.parent / "rows.jsonl", folder.parent / "acts"
    texts = [{"id": name, "text": "x"} for name in LENGTHS]
    rows.write_text("".join(json.dumps(row) + "\n" for row in texts))
    own = {name: np.arange(length) for name, length in LENGTHS.items()}

    def imported(name: str) -> object:
        return import_prompt_folder(
            folder, rows, folder.parent / name, layers="2,3,6", tokenize=lambda ids, _: [own[row] for row in ids]
        )

    assert imported("acts")
    # As a prefix cache leaves it: states and tokens of the end alone, which agree with each other.
    save_file({"hidden_states": states_of(folder, "b")[3:], "token_ids": np.arange(3, 5)}, folder / "b.safetensors")
    with pytest.raises(InputError, match=r"row 'b' has 2 tokens there, and the tokenizer gives 5.*prefix cache"):
        imported("shortened")
    changed(folder, "b", hidden_states=np.zeros((5, 3, 4), np.float16), token_ids=np.array([0, 1, 9, 3, 4]))
    with pytest.raises(InputError, match="row 'b': token 3 is 9 there, and the tokenizer gives 2"):
        imported("other")
    assert out.exists()
    assert not (folder.parent / "shortened").exists()
    assert not (folder.parent / "other").exists()
