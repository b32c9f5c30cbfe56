"""Files of arrays that lie about themselves: refused in one line, quickly and in little memory, or read rightly."""

import io
import json
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from tests.hardening.hostile_arrays import (
    hostile_npy,
    hostile_npz,
    hostile_safetensors,
    hostile_torch,
    make_shard_hostile,
)
from w2s_probes.errors import InputError
from w2s_probes.importing.read_saved import read_saved
from w2s_probes.store.shards import Content, locate_layers, read_header, write_shard

NUMBERS = torch.arange(60 * 4, dtype=torch.float32).reshape(60, 4)
FORMATS: dict[str, Callable[[np.random.Generator], bytes]] = {
    ".npy": hostile_npy,
    ".npz": hostile_npz,
    ".safetensors": hostile_safetensors,
    ".pt": hostile_torch,
}


@pytest.mark.parametrize("ending", FORMATS)
def test_hostile_files_are_refused_in_one_line_or_hold_what_they_say(ending: str, tmp_path: Path) -> None:
    refused, read = [], 0
    for number in range(150):
        file = tmp_path / f"x{number}{ending}"
        file.write_bytes(FORMATS[ending](np.random.default_rng([7, number])))
        try:
            saved = read_saved(file)
        except InputError as error:
            refused.append(str(error))
            continue
        read += 1
        for array in saved.arrays.values():
            assert array.dtype == np.uint8 or array.nbytes < 10**8
            assert np.asarray(array[:1]).shape == (min(1, len(array)), *array.shape[1:]) if array.ndim else True
    assert read > 1, refused
    assert len(refused) > 20
    assert not [message for message in refused if "\n" in message or len(message) > 600]


def npy(header: str, version: int = 1) -> bytes:
    length = struct.pack("<H" if version == 1 else "<I", len(header) + 1)
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + b"\n" + NUMBERS.numpy().tobytes()


def header_of(shape: str, descr: str = "<f4") -> str:
    return f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}"


def safetensors(entries: dict[str, Any]) -> bytes:
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + NUMBERS.numpy().tobytes()


def torch_file(value: Any) -> bytes:
    sink = io.BytesIO()
    torch.save(value, sink)
    return sink.getvalue()


def bomb() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("layer_0.npy", npy(header_of("(70000000,)"))[:-960] + bytes(280_000_000))
    return sink.getvalue()


LIARS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "a width that comes round to 0 in 64 bits": (".npy", lambda: npy(header_of("(60, 4611686018427387904)")), "960 by"),
    "a shape of more than 64 bits": (".npy", lambda: npy(header_of("(60, 99999999999999999999999)")), "960 bytes"),
    "fewer than no rows": (".npy", lambda: npy(header_of("(-60, -4)")), "960 bytes of numbers"),
    "numbers of no bytes": (".npy", lambda: npy(header_of("(60, 4)", "|S0")), "960 bytes of numbers"),
    "version 9": (".npy", lambda: npy(header_of("(60, 4)"), 9), r"version 9\.0 of the .npy format"),
    "a wide header": (".npy", lambda: npy(header_of("(60, 4)") + " " * 20_000), "not a readable NumPy array"),
    "a header of brackets": (".npy", lambda: npy("[" * 9000), "not a readable NumPy array"),
    "a bomb": (".npz", bomb, "would unpack to 280,000,"),
    "no row of endless width": (
        ".safetensors",
        lambda: safetensors({"0": {"dtype": "F32", "shape": [2**40, 0], "data_offsets": [0, 0]}}),
        "not a readable safetensors|is empty",
    ),
    "a tensor beyond the file": (
        ".safetensors",
        lambda: safetensors({"0": {"dtype": "F32", "shape": [60, 2**40], "data_offsets": [0, 240 * 2**40]}}),
        "not a readable safetensors file",
    ),
    "a header in lists": (
        ".safetensors",
        lambda: struct.pack("<Q", 60_000) + b"[" * 60_000,
        "not a readable safetensors file",
    ),
    "expanded": (".pt", lambda: torch_file(torch.zeros(1, 1).expand(60, 2**40)), "an expanded tensor of shape"),
    "expanded, of no kept kind": (".pt", lambda: torch_file(torch.zeros(1, 1).bool().expand(2**40, 2**22)), "expanded"),
    "nested": (".pt", lambda: torch_file(torch.nested.nested_tensor([NUMBERS[0], NUMBERS[1, :2]])), "save it dense"),
    "of no bytes": (".pt", lambda: torch_file(NUMBERS.to("meta")), "save it dense"),
}


@pytest.mark.parametrize("case", LIARS)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_what_a_file_cannot_hold_is_refused_before_memory_is_taken(case: str, tmp_path: Path) -> None:
    ending, make, message = LIARS[case]
    (tmp_path / f"x{ending}").write_bytes(make())
    tracemalloc.start()
    with pytest.raises(InputError, match=message) as refused:
        read_saved(tmp_path / f"x{ending}")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(refused.value)
    assert peak < 50 << 20


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_numbers_kept_with_the_other_sign_arrive_with_their_own(dtype: torch.dtype, tmp_path: Path) -> None:
    negated = torch._neg_view(NUMBERS.to(dtype))
    torch.save({"1": negated}, tmp_path / "x.pt")
    saved = read_saved(tmp_path / "x.pt").arrays["1"]
    expected = (-NUMBERS).to(dtype)
    kept = torch.from_numpy(np.array(saved)).view(dtype) if dtype is torch.bfloat16 else torch.from_numpy(saved)
    assert torch.equal(kept, expected)
    pair = torch.complex(NUMBERS, NUMBERS)
    torch.save({"1": pair.conj().imag}, tmp_path / "y.pt")
    assert np.array_equal(read_saved(tmp_path / "y.pt").arrays["1"], -NUMBERS.numpy())


def test_a_packed_archive_that_packs_as_numbers_do_is_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", layer_0=NUMBERS.numpy(), layer_1=np.zeros((60, 4), np.float32))
    saved = read_saved(tmp_path / "x.npz")
    assert np.array_equal(saved.arrays["layer_0"], NUMBERS.numpy())


def test_hostile_shards_are_refused_in_one_line_or_read(tmp_path: Path) -> None:
    content = Content([f"row-{i}" for i in range(60)], {0: NUMBERS.numpy(), 1: NUMBERS.numpy()})
    whole = write_shard(tmp_path, 0, content, "float32", "k" * 64).read_bytes()
    refused: list[str] = []
    for number in range(120):
        shard = tmp_path / "shard.h5"
        shard.write_bytes(whole)
        make_shard_hostile(np.random.default_rng([3, number]), shard)
        for read in (read_header, lambda file: locate_layers(file, [0, 1], "float32", 60, 4)):
            try:
                read(shard)
            except InputError as error:
                refused.append(str(error))
    assert len(refused) > 60
    assert not [message for message in refused if "\n" in message or len(message) > 500]


@pytest.mark.parametrize(
    "make",
    [
        lambda f: f.create_dataset("ids", (2**40,), "S8"),
        lambda f: f.create_dataset("ids", (60,), "S2000000000"),
        lambda f: f.create_dataset("ids", (2**62, 2**62), "S8", chunks=(1, 1)),
    ],
)
def test_ids_larger_than_their_file_are_never_made_up(make: Callable[[Any], Any], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "shard.h5", "w") as file:
        make(file)
    with pytest.raises(InputError, match="larger than the file"):
        read_header(tmp_path / "shard.h5")


@pytest.mark.parametrize("cut", [-5, 2.0**70, float("nan"), float("inf"), "many"])
def test_a_count_of_rows_that_is_none_is_damage(cut: Any, tmp_path: Path) -> None:
    content = Content(["a"], {0: np.ones((1, 2), np.float32)})
    shard = write_shard(tmp_path, 0, content, "float32", "k" * 64)
    with h5py.File(shard, "a") as file:
        file.attrs["cut"] = cut
    if cut == 2.0**70:
        assert read_header(shard).cut == 2**70
        return
    with pytest.raises(InputError, match="damaged"):
        read_header(shard)
