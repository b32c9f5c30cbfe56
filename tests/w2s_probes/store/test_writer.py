"""Writing a store: killed, repeated, shared among processes, or interfered with, it ends whole or is refused."""

import os
import resource
import signal
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import shard_file
from tests.w2s_probes.store.test_activation_store import IDENTITY, write, writer_of
from w2s_probes import ActivationStore, InputError
from w2s_probes.io.files import HOST
from w2s_probes.store.shards import Content


@pytest.fixture
def arrays() -> dict[int, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    return {layer: rng.normal(size=(10, 3)).astype(np.float32) for layer in (0, 1, 4)}


def content(arrays: dict[int, NDArray[np.float32]], rows: slice) -> Content:
    return Content([f"row-{i}" for i in range(10)][rows], {layer: words[rows] for layer, words in arrays.items()})


def test_an_unfinished_store_is_refused_and_gone_on_with(
    tmp_path: Path, arrays: dict[int, NDArray[np.float32]]
) -> None:
    write(tmp_path / "s", arrays, stop=2)
    with pytest.raises(InputError, match=r"not finished \(8 of 10 rows\): give the same `w2s extract` again"):
        ActivationStore.open(tmp_path / "s")
    write(tmp_path / "s", arrays)
    assert np.array_equal(ActivationStore.open(tmp_path / "s").layer(1), arrays[1])


def test_parts_come_in_any_order_from_any_number_of_processes(
    tmp_path: Path, arrays: dict[int, NDArray[np.float32]]
) -> None:
    names = [f"row-{i}" for i in range(10)]
    one, two = (writer_of(tmp_path / "s", names, arrays) for _ in range(2))
    assert one.missing() == two.missing() == [0, 1, 2]
    two.write(2, content(arrays, two.rows_of(2)))
    assert two.finish({}) is None
    one.write(0, content(arrays, one.rows_of(0)))
    two.write(0, content(arrays, two.rows_of(0)))  # the same work twice: the same file
    assert one.missing() == [1]
    two.write(1, content(arrays, two.rows_of(1)))
    unlisted = ActivationStore.open(tmp_path / "s")  # whole, though nobody has listed the shards yet
    assert not one.manifest.shards
    listed, again = one.finish({"by": "one"}), two.finish({"by": "two"})
    assert listed is not None
    assert again is not None
    for store in (unlisted, listed, again):
        assert [np.array_equal(store.layer(layer), arrays[layer]) for layer in arrays] == [True] * 3
    assert len(list((tmp_path / "s").iterdir())) == 4


def test_the_same_part_with_other_bits_does_no_harm(tmp_path: Path, arrays: dict[int, NDArray[np.float32]]) -> None:
    """Two devices round differently: both files stay, and everybody reads the same one."""
    write(tmp_path / "s", arrays, stop=2)
    other = {layer: words + np.float32(1e-6) for layer, words in arrays.items()}
    late = writer_of(tmp_path / "s", [f"row-{i}" for i in range(10)], arrays)
    late.write(0, content(other, slice(0, 4)))
    assert len(list((tmp_path / "s").glob("shard-00000-*.h5"))) == 2
    write(tmp_path / "s", arrays)
    store = ActivationStore.open(tmp_path / "s")
    assert store.verify().ok
    assert store.ids.tolist() == [f"row-{i}" for i in range(10)]


def test_a_store_of_another_identity_is_never_mixed_with(
    tmp_path: Path, arrays: dict[int, NDArray[np.float32]]
) -> None:
    names = [f"row-{i}" for i in range(10)]
    late = writer_of(tmp_path / "s", names, arrays, identity=IDENTITY | {"position": "mean"})
    write(tmp_path / "s", arrays, stop=1)
    with pytest.raises(InputError, match=r"position: 'last' in the store, 'mean' asked for"):
        writer_of(tmp_path / "s", names, arrays, identity=IDENTITY | {"position": "mean"})
    with pytest.raises(InputError, match="position: 'last' in the store"):  # it had seen an empty place
        late.write(1, content(arrays, slice(4, 8)))
    write(tmp_path / "s", arrays)
    assert ActivationStore.open(tmp_path / "s").verify().ok


def test_nothing_is_written_before_the_first_shard(tmp_path: Path) -> None:
    writer_of(tmp_path / "s", ["a"], [0])
    assert not (tmp_path / "s").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match="exists and is not an activation store"):
        writer_of(tmp_path / "other", ["a"], [0])


def test_a_manifest_that_appears_between_two_looks_is_not_a_strangers(
    tmp_path: Path, arrays: dict[int, NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process puts its first one there, at the very moment."""
    names = write(tmp_path / "s", arrays, stop=1)
    real = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path.name != "manifest.json" and real(path))
    assert writer_of(tmp_path / "s", names, arrays).missing() == [1, 2]


def test_a_writer_killed_before_its_first_manifest_can_begin_again(
    tmp_path: Path, arrays: dict[int, NDArray[np.float32]]
) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "shard-00000-0123456789abcdef.h5").write_bytes(b"half")
    gone = tmp_path / "s" / f".0123abcd.{HOST}-{2**22 + 1}.partial.manifest.json"  # beyond Linux's largest process id
    busy = tmp_path / "s" / f".0123abcd.{HOST}-{os.getppid()}.partial.shard-00001.h5"
    elsewhere = tmp_path / "s" / ".0123abcd.ffffff-7.partial.shard-00001.h5"
    for partial in (gone, busy, elsewhere):
        partial.write_text("{")
    write(tmp_path / "s", arrays)
    assert ActivationStore.open(tmp_path / "s").verify().ok
    assert [partial.exists() for partial in (gone, busy, elsewhere)] == [False, True, True]


def test_a_writer_killed_before_its_first_shard_has_its_name_leaves_the_notes(
    tmp_path: Path, arrays: dict[int, NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"row-{i}" for i in range(10)]
    writer = writer_of(tmp_path / "s", names, arrays)
    writer.note({"device": "abacus"})

    def killed(source: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", killed)
        writer.write(0, content(arrays, writer.rows_of(0)))
    assert [file.name for file in (tmp_path / "s").iterdir()] == ["manifest.json"]
    write(tmp_path / "s", arrays)
    assert ActivationStore.open(tmp_path / "s").manifest.notes["device"] == "abacus"


def test_a_shard_that_is_lost_or_of_another_length_is_written_again(
    tmp_path: Path, arrays: dict[int, NDArray[np.float32]]
) -> None:
    names = write(tmp_path / "s", arrays)
    shard_file(tmp_path / "s", 0).unlink()
    file = shard_file(tmp_path / "s", 1)
    file.write_bytes(file.read_bytes()[:-50])
    last = shard_file(tmp_path / "s", 2)
    last.write_bytes(last.read_bytes() + b"garbage")  # which HDF5 itself does not mind
    assert writer_of(tmp_path / "s", names, arrays).missing() == [0, 1, 2]
    write(tmp_path / "s", arrays)
    store = ActivationStore.open(tmp_path / "s")
    assert store.verify().ok
    assert np.array_equal(store.layer(4), arrays[4])


def test_a_shard_of_another_store_is_not_taken_for_ours(tmp_path: Path, arrays: dict[int, NDArray[np.float32]]) -> None:
    names = write(tmp_path / "s", arrays, stop=2)
    foreign = writer_of(tmp_path / "t", names, arrays, identity={"weights": "others"})
    foreign.write(2, content(arrays, slice(8, 10)))
    stranger = shard_file(tmp_path / "t", 2)
    stranger.rename(tmp_path / "s" / stranger.name)
    assert writer_of(tmp_path / "s", names, arrays).missing() == [2]


def test_other_layers_or_rows_than_the_stores_are_refused(
    tmp_path: Path, arrays: dict[int, NDArray[np.float32]]
) -> None:
    writer = writer_of(tmp_path / "s", ["a"], [0])
    with pytest.raises(InputError, match=r"layers \[1\] were given, the store has \[0\]"):
        writer.write(0, Content(["a"], {1: np.zeros((1, 3), np.float32)}))
    with pytest.raises(InputError, match="the ids given are not those of part 0"):
        writer.write(0, Content(["b"], {0: np.zeros((1, 3), np.float32)}))


@pytest.mark.parametrize("parts", [0, 1])
def test_a_full_disk_is_one_line_and_leaves_what_was_there(
    tmp_path: Path, arrays: dict[int, NDArray[np.float32]], parts: int
) -> None:
    names = write(tmp_path / "s", arrays, stop=parts)
    writer = writer_of(tmp_path / "s", names, arrays)
    before = sorted(tmp_path.rglob("*"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit then fails like a full disk
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with pytest.raises(InputError, match=rf"cannot write .*shard-0000{parts}"):
            writer.write(parts, content(arrays, writer.rows_of(parts)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert sorted(tmp_path.rglob("*")) == before
    write(tmp_path / "s", arrays)
    assert ActivationStore.open(tmp_path / "s").verify().ok
