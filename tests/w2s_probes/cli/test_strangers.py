"""Rows, models and stores from strangers: what they may not do, and what they may once they are trusted by name."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from tests.conftest import shard_file
from tests.worlds.extracting import extracting, listing, with_classes, without_safetensors
from w2s_probes import ActivationStore
from w2s_probes.io.files import sha256
from w2s_probes.io.tables import write_table
from w2s_probes.store.manifest import Manifest
from w2s_probes.store.shards import layer_name

Call = Callable[..., None]
Failing = Callable[..., str]


def test_ids_that_look_like_paths_are_ids(place: Path, w2s: Call) -> None:
    names = [
        "../../etc/passwd",
        "/etc/shadow",
        "..",
        "a/b\\c",
        "~",
        "$HOME",
        "%s",
        "\u202egnp.exe",
        " ",
        "'; --",
        "\0x",
    ]
    table = pd.DataFrame({"id": names, "text": [f"w{i}" for i in range(len(names))]})
    write_table(table, place / "paths.jsonl")
    before = listing(place.parent)
    w2s(*extracting(place, rows="paths.jsonl"))
    store = ActivationStore.open(place / "new")
    assert store.ids.tolist() == names
    assert np.array_equal(store.layer(2, ids=[names[0]]), store.layer(2)[:1])
    new = [Path(path) for path in set(listing(place.parent)) - set(before)]
    assert {path.parent for path in new} == {place, place / "new"}


@pytest.mark.parametrize(
    ("option", "make"), [("--allow-pickle", without_safetensors), ("--trust-remote-code", with_classes)]
)
def test_what_was_refused_gives_the_same_vectors_when_it_is_allowed(
    option: str, make: Callable[[Path], str], place: Path, w2s: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [*sys.path])  # to which transformers adds that folder
    w2s(*extracting(place, option, model=make(place)))
    allowed, usual = ActivationStore.open(place / "new"), ActivationStore.open(place / "acts")
    for layer in usual.layers:
        assert allowed.words(layer).tobytes() == usual.words(layer).tobytes()
    assert allowed.manifest.identity["weights"] != usual.manifest.identity["weights"]


def test_a_pickle_that_would_run_code_is_not_run_even_if_allowed(place: Path, fails: Failing) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (place / "pwned",)

    without_safetensors(place)
    torch.save({"embed_tokens.weight": Evil()}, place / "pickled" / "pytorch_model.bin")
    assert "it cannot be loaded as asked for" in fails(*extracting(place, "--allow-pickle", model="pickled"))
    assert not (place / "pwned").exists()
    assert not (place / "new").exists()


def forged(store: Path, how: Callable[[Any], None]) -> None:
    """Change a shard, and the manifest so that it fits, as somebody would who gives stores away."""
    manifest, (file,) = Manifest.read(store), [shard_file(store)]
    with h5py.File(file, "r+") as opened:
        how(opened)
    changed = {"bytes": file.stat().st_size, "checksum": sha256(file)[:16]}
    shards = [s.model_copy(update=changed) if s.file == file.name else s for s in manifest.shards]
    manifest.model_copy(update={"shards": shards}).write(store)


def by_external_link(file: Any) -> None:
    del file[layer_name(1)]
    file[layer_name(1)] = h5py.ExternalLink("/etc/hostname", "/")


def by_soft_link(file: Any) -> None:
    del file[layer_name(1)]
    file[layer_name(1)] = h5py.SoftLink(f"/{layer_name(2)}")


def by_foreign_bytes(file: Any) -> None:
    shape = file[layer_name(1)].shape
    del file[layer_name(1)]
    file.create_dataset(layer_name(1), shape, "<f4", external=[("/dev/zero", 0, h5py.h5f.UNLIMITED)])


def by_a_view(file: Any) -> None:
    shape = file[layer_name(1)].shape
    del file[layer_name(1)]
    view = h5py.VirtualLayout(shape, "<f4")
    view[:] = h5py.VirtualSource(file[layer_name(2)])
    file.create_virtual_dataset(layer_name(1), view)


@pytest.mark.parametrize("how", [by_external_link, by_soft_link, by_foreign_bytes, by_a_view])
def test_a_store_that_points_outside_itself_is_refused(place: Path, fails: Failing, how: Callable[[Any], None]) -> None:
    forged(place / "acts", lambda file: file.attrs.__setitem__("harmless", 1))
    store = ActivationStore.open(place / "acts")
    assert len(store.layer(1)) == 40  # the control
    forged(place / "acts", how)
    labels = pd.DataFrame({"id": store.ids, "label": np.arange(40) % 2})
    write_table(labels, place / "labels.jsonl")
    before = listing(place)
    command = ["filter", place / "acts", place / "labels.jsonl", "--layer", 1, "--out", place / "out.jsonl"]
    assert "no dataset 'layer_001' of its own: damaged; `w2s repair`" in fails(*command)
    assert "no dataset 'layer_001' of its own" in fails("verify", place / "acts")
    assert listing(place) == before


def test_a_flipped_bit_is_found_by_verify_wherever_it_is(place: Path, w2s: Call, fails: Failing) -> None:
    w2s("verify", place / "acts")
    rng = np.random.default_rng(0)
    files = sorted((place / "acts").iterdir())
    for file in files:
        whole = file.read_bytes()
        byte = int(rng.integers(len(whole)))
        while whole[byte : byte + 1].isspace():
            byte -= 1
        file.write_bytes(whole[:byte] + bytes([whole[byte] ^ 2]) + whole[byte + 1 :])
        assert str(file) in fails("verify", place / "acts")
        file.write_bytes(whole)
    assert len(files) == 5
    w2s("verify", place / "acts")
