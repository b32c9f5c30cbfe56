"""Activations that others have saved come into a store bit for bit, and nothing in their files is ever run."""

import hashlib
import json
import os
import pickle
import re
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from tests.conftest import run_failing, shard_file
from w2s_probes import ActivationStore, InputError, KNNProbe, relabel
from w2s_probes.importing import import_activations
from w2s_probes.importing.read_saved import read_saved
from w2s_probes.io.tables import write_table
from w2s_probes.store.manifest import Manifest

ROWS, LAYERS, WIDTH = 12, 3, 5
IDS = [f"r{i}" for i in range(ROWS)]


NUMBERS = np.arange(ROWS * LAYERS * WIDTH, dtype=np.float32).reshape(ROWS, LAYERS, WIDTH)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    write_table(pd.DataFrame({"id": IDS, "text": [f"w{i}" for i in range(ROWS)]}), tmp_path / "rows.jsonl")
    return tmp_path / "rows.jsonl"


def activations(dtype: torch.dtype = torch.float32, *shape: int) -> torch.Tensor:
    """Random numbers, with some that a detour through another format would change: denormal, signed zero, extreme."""
    tensor = torch.randn(shape or (ROWS, LAYERS, WIDTH), generator=torch.Generator().manual_seed(0)).to(dtype)
    info = torch.finfo(dtype)
    tensor.view(-1)[:4] = torch.tensor([info.max, info.smallest_normal / 2, -0.0, info.eps], dtype=dtype)
    return tensor


def bits(tensor: torch.Tensor) -> NDArray[Any]:
    """The tensor's words, whatever they mean."""
    return tensor.contiguous().view(torch.uint8).numpy()


def stored_bits(store: ActivationStore, layer: int) -> NDArray[Any]:
    words = store.words(layer)
    return words.view(np.uint8).reshape(len(words), -1)


SAVERS: dict[str, Callable[[Path, torch.Tensor], Path]] = {}


def saver(ending: str) -> Callable[[Any], Any]:
    def keep(function: Any) -> Any:
        SAVERS[ending] = function
        return function

    return keep


@saver("pt")
def as_torch(folder: Path, tensor: torch.Tensor) -> Path:
    torch.save(tensor, folder / "acts.pt")
    return folder / "acts.pt"


@saver("old pt")
def as_old_torch(folder: Path, tensor: torch.Tensor) -> Path:
    torch.save(tensor, folder / "acts.pth", _use_new_zipfile_serialization=False)
    return folder / "acts.pth"


@saver("dict pt")
def as_dict(folder: Path, tensor: torch.Tensor) -> Path:
    held: dict[Any, Any] = {i: tensor[:, i].clone() for i in range(LAYERS)}
    torch.save(held | {"model": "anyone's"}, folder / "acts.pt")
    return folder / "acts.pt"


@saver("list pt")
def as_list(folder: Path, tensor: torch.Tensor) -> Path:
    torch.save([tensor[:, i].clone().requires_grad_() for i in range(LAYERS)], folder / "acts.pt")
    return folder / "acts.pt"


@saver("layers first pt")
def as_layers_first(folder: Path, tensor: torch.Tensor) -> Path:
    torch.save(tensor.transpose(0, 1).contiguous(), folder / "acts.pt")
    return folder / "acts.pt"


@saver("safetensors")
def as_safetensors(folder: Path, tensor: torch.Tensor) -> Path:
    save_file({f"layer_{i:02d}": tensor[:, i].contiguous() for i in range(LAYERS)}, folder / "acts.safetensors")
    return folder / "acts.safetensors"


@saver("npy")
def as_npy(folder: Path, tensor: torch.Tensor) -> Path:
    np.save(folder / "acts.npy", tensor.numpy())
    return folder / "acts.npy"


@saver("big-endian npy, by columns")
def as_foreign_npy(folder: Path, tensor: torch.Tensor) -> Path:
    array = tensor.numpy()
    np.save(folder / "acts.npy", np.asfortranarray(array.astype(array.dtype.newbyteorder(">"))))
    return folder / "acts.npy"


@saver("npz")
def as_npz(folder: Path, tensor: torch.Tensor) -> Path:
    np.savez(folder / "acts.npz", **{f"model.layers.{i}": tensor[:, i].numpy() for i in range(LAYERS)})  # type: ignore[arg-type]
    return folder / "acts.npz"


@saver("compressed npz")
def as_compressed_npz(folder: Path, tensor: torch.Tensor) -> Path:
    np.savez_compressed(folder / "acts.npz", acts=tensor.numpy())
    return folder / "acts.npz"


def cases() -> list[tuple[str, torch.dtype]]:
    """Every format with every dtype that it has: NumPy has no bfloat16."""
    every = [(kind, dtype) for kind in SAVERS for dtype in (torch.float32, torch.float16, torch.bfloat16)]
    return [(kind, dtype) for kind, dtype in every if dtype is not torch.bfloat16 or "np" not in kind]


@pytest.mark.parametrize(("kind", "dtype"), cases(), ids=str)
def test_every_format_arrives_bit_for_bit(kind: str, dtype: torch.dtype, rows: Path, tmp_path: Path) -> None:
    tensor = activations(dtype)
    store = import_activations(SAVERS[kind](tmp_path, tensor), rows, tmp_path / "acts", last_entry="pre-norm")
    assert store.layers == [0, 1, 2]
    assert store.ids.tolist() == IDS
    assert store.manifest.dtype == str(dtype).removeprefix("torch.")
    for layer in store.layers:
        assert stored_bits(store, layer).tolist() == bits(tensor[:, layer]).tolist()
    assert torch.equal(torch.from_numpy(store.layer(1, ids=["r3", "r1"])), tensor[[3, 1], 1].float())
    assert store.verify().ok


def test_bfloat16_that_numpy_cannot_name_is_taken_at_its_word(rows: Path, tmp_path: Path) -> None:
    tensor = activations(torch.bfloat16)
    words = tensor.view(torch.uint16).numpy()
    for name, array in (("u2", words), ("V2", words.view("V2"))):
        np.save(tmp_path / "acts.npy", array)
        with pytest.raises(InputError, match="give --dtype bfloat16"):
            import_activations(tmp_path / "acts.npy", rows, tmp_path / name)
        store = import_activations(
            tmp_path / "acts.npy", rows, tmp_path / name, dtype="bfloat16", last_entry="pre-norm"
        )
        assert store.words(2).tolist() == words[:, 2].tolist()


def test_the_manifest_says_from_which_file_and_the_same_call_is_the_same_store(rows: Path, tmp_path: Path) -> None:
    file = as_torch(tmp_path, activations())
    given: dict[str, Any] = {"layers": "8,16,24", "depth": 32, "model": "their-model", "position": "last"}
    store = import_activations(file, rows, tmp_path / "acts", **given)
    assert store.layers == [8, 16, 24]
    assert store.resolve("middle") == 16
    assert store.manifest.sites == {8: "imported [:, 0]", 16: "imported [:, 1]", 24: "imported [:, 2]"}
    notes = Manifest.read(tmp_path / "acts").notes
    assert notes["imported"] == [{"file": "acts.pt", "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}]
    assert notes["model"] == "their-model"
    before = {path.name: path.read_bytes() for path in (tmp_path / "acts").iterdir()}
    import_activations(file, rows, tmp_path / "acts", **given)
    assert {path.name: path.read_bytes() for path in (tmp_path / "acts").iterdir()} == before
    elsewhere = import_activations(file, rows, tmp_path / "again", **given)
    assert elsewhere.key == store.key
    torch.save(activations() + 1, file)
    with pytest.raises(InputError, match="holds other activations"):
        import_activations(file, rows, tmp_path / "acts", **given)


def test_several_files_make_one_store_in_the_order_given(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("w2s_probes.importing.written.SHARD_ROWS", 5)  # parts that straddle the files
    first, second = activations(), activations() + 7
    torch.save(first, tmp_path / "train.pt")
    torch.save(second, tmp_path / "test.pt")
    write_table(pd.DataFrame({"id": [f"t{i}" for i in range(ROWS)]}), tmp_path / "test.csv")
    files = [tmp_path / "train.pt", tmp_path / "test.pt"]
    store = import_activations(files, [rows, tmp_path / "test.csv"], tmp_path / "acts", last_entry="pre-norm")
    assert len(store.manifest.shards) == 5
    assert store.ids.tolist() == IDS + [f"t{i}" for i in range(ROWS)]
    assert torch.equal(torch.from_numpy(store.layer(2)), torch.cat([first, second])[:, 2])
    shutil.rmtree(tmp_path / "acts")
    with pytest.raises(InputError, match="ids must be unique"):
        import_activations(files, [rows, rows], tmp_path / "acts")


def test_rows_without_ids_are_named_by_their_texts_as_the_extractor_does(tmp_path: Path) -> None:
    from extract.row_files import read_rows

    write_table(pd.DataFrame({"text": [f"w{i}" for i in range(ROWS)]}), tmp_path / "rows.csv")
    file = as_torch(tmp_path, activations())
    store = import_activations(file, tmp_path / "rows.csv", tmp_path / "acts", last_entry="pre-norm")
    assert store.ids.tolist() == read_rows(tmp_path / "rows.csv")["id"].tolist()


def test_a_killed_import_goes_on_and_probes_work_on_what_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, w2s: Callable[..., None]
) -> None:
    monkeypatch.setattr("w2s_probes.importing.written.SHARD_ROWS", 16)
    rng = np.random.default_rng(0)
    truth = np.arange(60) % 2
    X = rng.normal(size=(60, 2, 6)).astype(np.float32)
    X[:, 1, 0] += 6 * truth
    np.save(tmp_path / "acts.npy", X)
    labels = np.where(rng.random(60) < 0.15, 1 - truth, truth).astype(float)
    write_table(pd.DataFrame({"id": [f"r{i}" for i in range(60)], "label": labels}), tmp_path / "weak.jsonl")

    class Killed(Exception):
        pass

    def kill(done: int, total: int) -> None:
        assert total == 4
        if done == 2:
            raise Killed

    place = tmp_path / "acts"
    with pytest.raises(Killed):
        import_activations(tmp_path / "acts.npy", tmp_path / "weak.jsonl", place, depth=2, report=kill)
    assert len(list(place.glob("shard-*"))) == 2
    w2s("import", tmp_path / "acts.npy", "--rows", tmp_path / "weak.jsonl", "--depth", 2, "--out", place)
    w2s("verify", place)
    assert np.array_equal(ActivationStore.open(place).layer(1), X[:, 1])
    w2s("filter", place, tmp_path / "weak.jsonl", "--layer", 1, "--by", "knn", "--k", 5, "--out", tmp_path / "k.jsonl")
    kept = pd.read_json(tmp_path / "k.jsonl", lines=True)
    assert kept["p"].tolist() == pytest.approx(relabel(KNNProbe(5), X[:, 1], labels).tolist())
    assert not kept["keep"].all()


def test_a_file_is_copied_without_being_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Peak memory hardly grows with the file; a copy of it, the control, shows in the same measure."""
    monkeypatch.setattr("w2s_probes.importing.written.SHARD_ROWS", 64)
    n, width = 1024, 8192  # 32 MB
    mapped = np.lib.format.open_memmap(tmp_path / "acts.npy", "w+", np.float32, (n, width))
    mapped[:] = np.arange(n, dtype=np.float32)[:, None]
    del mapped
    write_table(pd.DataFrame({"id": [str(i) for i in range(n)]}), tmp_path / "rows.csv")
    size = (tmp_path / "acts.npy").stat().st_size

    tracemalloc.start()  # not what the system has given the process, which keeps what earlier tests let go
    try:
        store = import_activations(tmp_path / "acts.npy", tmp_path / "rows.csv", tmp_path / "acts", layers=3)
        assert tracemalloc.get_traced_memory()[1] < size / 4
        copy = np.array(np.load(tmp_path / "acts.npy", mmap_mode="r"))
        assert tracemalloc.get_traced_memory()[1] > size / 2
    finally:
        tracemalloc.stop()
    assert np.array_equal(store.layer(3), copy)


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (os.system, (f"touch {self.mark}",))


def test_a_pickle_that_would_run_something_is_refused_and_does_not(rows: Path, tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    torch.save({"acts": activations(), "more": Evil(mark)}, tmp_path / "zip.pt")
    torch.save(Evil(mark), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil(mark)))
    np.save(tmp_path / "objects.npy", np.array([Evil(mark)] * ROWS, dtype=object), allow_pickle=True)
    np.savez(tmp_path / "objects.npz", acts=np.array([Evil(mark)] * ROWS, dtype=object))
    np.savez_compressed(tmp_path / "packed.npz", acts=np.array([Evil(mark)] * ROWS, dtype=object))
    for name in ("zip.pt", "old.pt", "plain.pt", "objects.npy", "objects.npz", "packed.npz"):
        message = run_failing("import", tmp_path / name, "--rows", rows, "--out", tmp_path / "acts")
        assert name in message
        assert not mark.exists(), name
        assert not (tmp_path / "acts").exists(), name
    torch.load(tmp_path / "zip.pt", weights_only=False)  # the control: it does, where it is let
    assert mark.exists()


def bad(change: Callable[[torch.Tensor], Any]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        torch.save(change(activations()), folder / "acts.pt")
        return folder / "acts.pt"

    return write


def with_nan(tensor: torch.Tensor) -> torch.Tensor:
    tensor[7, 1, 2] = float("nan")
    return tensor


def with_inf(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.clamp(-9, 9).to(torch.bfloat16)  # the largest float32 is none
    tensor[3, 2, 0] = float("-inf")
    return tensor


def made(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def flipped(save: Callable[..., None], bit: int) -> Callable[[Path], Path]:
    """An archive of which one bit of the numbers has changed on some disk."""

    def write(folder: Path) -> Path:
        save(folder / "acts.npz", acts=NUMBERS)
        content = bytearray((folder / "acts.npz").read_bytes())
        content[400 if save is np.savez else 250] ^= bit
        (folder / "acts.npz").write_bytes(content)
        return folder / "acts.npz"

    return write


def npy(array: NDArray[Any]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.save(folder / "acts.npy", array)
        return folder / "acts.npy"

    return write


BAD: dict[str, tuple[Callable[[Path], Path], tuple[Any, ...], str]] = {
    "too few rows": (bad(lambda t: t[:-1]), (), r"an array of shape \(11, 3, 5\), but there are 12 rows"),
    "NaN": (bad(with_nan), ("--last-entry", "pre-norm"), "layer 1 of row 'r7' is not finite"),
    "infinity in bfloat16": (bad(with_inf), ("--last-entry", "post-norm"), "layer 2 of row 'r3' is not finite"),
    "one layer without a number": (bad(lambda t: t[:, 0]), (), "say which it is, as in --layers 16"),
    "a wrong number of layers": (bad(lambda t: t), ("--layers", "0-3"), "holds 3 layers, but --layers names 4"),
    "layers by the model's depth": (bad(lambda t: t), ("--layers", "all"), "give --depth"),
    "a depth below the layers": (bad(lambda t: t), ("--depth", "1"), "layer 2 is above the model's 1 blocks"),
    "rows or layers": (bad(lambda t: t[:, :1].expand(12, 12, 5).clone()), (), "say which come first with --order"),
    "other rows first": (bad(lambda t: t), ("--order", "layers"), "there are 12 rows: the numbers must agree"),
    "one dimension": (bad(lambda t: t[:, 0, 0]), (), r"an array of shape \(12,\); it must be"),
    "names without numbers": (bad(lambda t: {"a": t, "b": t}), (), "choose one with --key"),
    "a key that is not there": (bad(lambda t: {"acts": t}), ("--key", "atcs"), "did you mean 'acts'"),
    "a key of what has no name": (npy(NUMBERS), ("--key", "a"), "one array, which has no name: leave --key a away"),
    "layers that descend": (
        bad(lambda t: t),
        ("--layers", "2,1,0"),
        "--layers 2,1,0: name each layer once, the lowest",
    ),
    "a layer twice": (bad(lambda t: t), ("--layers", "0-2,2"), "name each layer once"),
    "layers that descend by depth": (bad(lambda t: t), ("--layers", "0,-1,5", "--depth", "9"), "name each layer once"),
    "a layer of no model": (bad(lambda t: t[:, 0]), ("--layers", "9" * 9), "9 is no layer: none is above 10000"),
    "a layer beyond counting": (bad(lambda t: t[:, 0]), ("--layers", "9" * 5000), "9 is no layer: none is above 10000"),
    "a depth of no model": (bad(lambda t: t), ("--depth", "9" * 20), "--depth 9+: a model has 0 to 10000 blocks"),
    "a name with a layer of no model": (
        bad(lambda t: {"layer." + "9" * 20: t[:, 0]}),
        (),
        "ends in 9+, but no layer is above 10000: rename it",
    ),
    "layers first of one layer": (bad(lambda t: {"3": t[:, 0]}), ("--order", "layers"), "which is one layer: leave it"),
    "a layer that is no tensor": (
        bad(lambda t: {"1": t[:, 0], "2": "x", "seed_3": 0}),
        (),
        "entry '2' is a str, but its name is like those of the tensors",
    ),
    "a layer twice by name": (bad(lambda t: {"1": t[:, 0], 1: t[:, 1]}), (), "the same layer by text and by number"),
    "layers of no width": (bad(lambda t: t[:, :, :0].clone()), (), r"shape \(12, 3, 0\), which holds no numbers"),
    "no layers": (bad(lambda t: t[:, :0].clone()), (), "which holds no numbers"),
    "layers of several widths": (
        bad(lambda t: {"0": t[:, 0], "1": t[:, 1, :4].clone()}),
        (),
        r"its layers have several widths \(4, 5\)",
    ),
    "a layer of other rows": (bad(lambda t: {"0": t[:, 0], "1": t[:9, 1]}), (), r"layer 1 has shape \(9, 5\)"),
    "float64": (bad(lambda t: t.double()), (), "float64 cannot be stored bit for bit: give --dtype float32"),
    "whole numbers": (bad(lambda t: t.nan_to_num().clamp(-9, 9).long()), (), "holds int64; a store holds float32"),
    "another dtype asked for": (bad(lambda t: t), ("--dtype", "float16"), "which --dtype float16 does not fit"),
    "no tensor": (bad(lambda t: "text"), (), "holds a str; a tensor"),
    "a sparse tensor": (bad(lambda t: t[:, 0].to_sparse()), (), "save it dense"),
    "nothing": (bad(lambda t: {}), (), "holds no array"),
    "a damaged torch file": (made("acts.pt", b"PK\3\4 no archive"), (), "not a readable torch file"),
    "an empty torch file": (made("acts.pt", b""), (), "holds nothing, not one byte"),
    "a cut torch file": (made("acts.pt", b"\x80"), (), "not a readable torch file"),
    "a torch file of junk": (made("acts.pt", b"\x80\x02X\x01"), (), "not a readable torch file"),
    "raw numbers": (made("acts.npy", bytes(720)), (), "not what np.save writes"),
    "a cut NumPy file": (made("acts.npy", b"\x93NUMPY\1\0v\0{'descr'"), (), "not a readable NumPy array"),
    "an open bracket in a NumPy header": (
        made("acts.npy", b"\x93NUMPY\1\0v\0" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (12, 5".ljust(118)),
        (),
        "not a readable NumPy array",
    ),
    "a damaged archive": (made("acts.npz", b"PK\3\4 no archive"), (), "not a readable .npz file"),
    "a flipped bit": (flipped(np.savez, 1), (), r"not a readable \.npz file \(Bad CRC-32"),
    "a flipped bit of what is compressed": (flipped(np.savez_compressed, 4), (), r"not a readable \.npz file"),
    "damaged safetensors": (made("acts.safetensors", bytes(20)), (), "not a readable safetensors file"),
    "an unknown ending": (made("acts.bin", b""), (), "the name must end in one of .npy, .npz"),
    "no file": (lambda folder: folder / "none.pt", (), "none.pt: no such file"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_one_line_and_nothing_is_written(name: str, rows: Path, tmp_path: Path) -> None:
    make, options, expected = BAD[name]
    message = run_failing("import", make(tmp_path), "--rows", rows, *options, "--out", tmp_path / "new" / "acts")
    assert re.search(expected, message), message
    assert not (tmp_path / "new").exists()


def test_layers_are_refused_out_of_order_from_python_too_and_are_taken_in_it(rows: Path, tmp_path: Path) -> None:
    file = as_dict(tmp_path, activations())
    for layers in ([2, 1], (1, 1), "2,1"):
        with pytest.raises(InputError, match=r"--layers [12],1: name each layer once, the lowest first"):
            import_activations(file, rows, tmp_path / "acts", layers=layers)
    store = import_activations(file, rows, tmp_path / "acts", layers=[0, -1], depth=2, last_entry="pre-norm")
    assert store.layers == [0, 2]
    assert stored_bits(store, 2).tolist() == bits(activations()[:, 2]).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_torch_files_with_changed_bytes_are_refused_or_read_and_never_break_the_import(
    seed: int, rows: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(seed)
    whole = [save(tmp_path, activations()).read_bytes() for save in (as_dict, as_old_torch)]
    refused: list[str] = []
    for _ in range(60):
        content = bytearray(whole[rng.integers(2)])
        del content[rng.integers(len(content)) if rng.random() < 0.3 else len(content) :]
        for place in rng.integers(min(len(content), 600), size=3) if content else ():
            content[place] = rng.integers(256)
        (tmp_path / "acts.pt").write_bytes(content)
        try:
            read_saved(tmp_path / "acts.pt")
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 20
    assert not any("\n" in message for message in refused)


def test_other_bad_calls_say_what_to_do(rows: Path, tmp_path: Path) -> None:
    good = as_torch(tmp_path, activations())
    call = ["import", good, "--rows", rows, "--last-entry", "pre-norm"]
    assert "give one --rows a file" in run_failing(*call, "--rows", rows, "--out", tmp_path / "acts")
    write_table(pd.DataFrame({"id": IDS[:-1] + IDS[:1]}), tmp_path / "doubled.csv")
    doubled = run_failing("import", good, "--rows", tmp_path / "doubled.csv", "--out", tmp_path / "acts")
    assert "stand twice: 'r0'" in doubled
    write_table(pd.DataFrame({"name": IDS}), tmp_path / "nameless.csv")
    nameless = run_failing("import", good, "--rows", tmp_path / "nameless.csv", "--out", tmp_path / "acts")
    assert "neither `id` nor `text`" in nameless
    assert "is not an activation store" in run_failing(*call, "--out", tmp_path)
    (tmp_path / "file").write_text("")
    assert "not a folder" in run_failing(*call, "--out", tmp_path / "file" / "acts")
    assert not (tmp_path / "acts").exists()
    rounded = import_activations(
        bad(lambda t: t.double() / 1.1)(tmp_path), rows, tmp_path / "acts", dtype="float32", layers="0-2", depth=3
    )
    assert rounded.manifest.dtype == "float32"
    shard_file(tmp_path / "acts").unlink()
    assert "give the same `w2s import` again" in run_failing("repair", tmp_path / "acts")
    assert json.loads((tmp_path / "acts" / "manifest.json").read_text())["identity"]["dtype"] == "float32"
