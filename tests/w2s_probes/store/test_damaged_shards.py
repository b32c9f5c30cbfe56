"""Shards with flipped bits and lost blocks: each is read or refused, and HDF5 neither crashes nor hangs on them."""

import resource
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.w2s_probes.store.test_activation_store import write
from w2s_probes import ActivationStore, InputError
from w2s_probes.store.shards import Content, locate_layers, read_header, read_offsets, write_shard

READERS: dict[str, Callable[[Path], Any]] = {
    "header": read_header,
    "layers": lambda file: locate_layers(file, [0, 1], "float32", 3, 2),
    "offsets": lambda file: read_offsets(file, 2),
}


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """A shard of two rows, three tokens and two layers: nearly all of it is HDF5's own tables."""
    words = {layer: np.full((3, 2), layer + 0.5, np.float32) for layer in (0, 1)}
    content = Content(["row-1", "row-2"], words, 1, np.array([0, 2, 3]), np.array([7, 8, 9], np.int32))
    return write_shard(tmp_path, 0, content, "float32", "k" * 64)


@pytest.mark.parametrize("reader", READERS)
def test_a_flipped_bit_in_hdf5s_tables_is_refused_or_harmless(shard: Path, reader: str) -> None:
    """All of the 22 512 were tried once; here are some."""
    whole = shard.read_bytes()
    sound = READERS[reader](shard)
    rng = np.random.default_rng(0)
    refused = 0
    for byte, bit in zip(rng.permutation(len(whole))[:500], rng.integers(8, size=500), strict=True):
        damaged = bytearray(whole)
        damaged[byte] ^= 1 << bit
        shard.write_bytes(damaged)
        try:
            READERS[reader](shard)
        except InputError:
            refused += 1
    assert 50 < refused < 450
    shard.write_bytes(whole)
    assert repr(READERS[reader](shard)) == repr(sound)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("fill", [0, 255])
def test_a_lost_block_is_refused_or_harmless(shard: Path, reader: str, fill: int) -> None:
    whole = shard.read_bytes()
    refused = 0
    for start in range(0, len(whole), 32):
        shard.write_bytes(whole[:start] + bytes([fill]) * 32 + whole[start + 32 :])
        try:
            READERS[reader](shard)
        except InputError:
            refused += 1
    assert refused > 10


def test_a_shard_is_little_more_than_its_numbers(tmp_path: Path) -> None:
    words = {layer: np.zeros((1, 4), np.float32) for layer in range(2)}
    assert write_shard(tmp_path, 0, Content(["row"], words), "float32", "k" * 64).stat().st_size < 2500


def test_a_store_may_have_more_shards_than_a_process_may_open_files(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(120, 3)).astype(np.float32)
    write(tmp_path / "s", {1: X}, per_shard=1)
    store = ActivationStore.open(tmp_path / "s")
    assert len(store.manifest.shards) == 120
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 60
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 20, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"), ExitStack() as stack:  # the control
            _ = [stack.enter_context((tmp_path / "s" / shard.file).open("rb")) for shard in store.manifest.shards]
        found = store.layer(1), store.words(1), store.layer(1, ids=store.ids[::-1])
        assert store.verify().ok
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert [np.array_equal(a, b) for a, b in zip(found, (X, X, X[::-1]), strict=True)] == [True] * 3
