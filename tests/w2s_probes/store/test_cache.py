"""Stores in a folder: which there are, and that no more is deleted than was asked for."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import shard_file
from tests.w2s_probes.store.test_activation_store import write
from w2s_probes import ActivationStore, InputError
from w2s_probes.store import cache
from w2s_probes.store.cache import DAY, cached_stores, collect_garbage
from w2s_probes.store.manifest import Manifest

X = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)


def aged(path: Path, days: float) -> None:
    """As if nobody had touched a folder for so long."""
    then = time.time() - days * DAY
    for file in path.rglob("*"):
        os.utime(file, (then, then))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A large store, a small one, one that is not finished, and what is no store."""
    place = tmp_path / "cache"
    write(place / "small", {0: X})
    write(place / "deep" / "large", {0: X, 1: X})
    write(place / "unfinished", {0: X}, stop=2)
    (place / "other").mkdir()
    (place / "other" / "manifest.json").write_text('{"name": "another program"}')
    (place / "notes.txt").write_text("precious")
    return place


def names(folder: Path) -> list[str]:
    return [store.path.name for store in cached_stores(folder)]


def test_stores_are_listed_the_largest_first_and_with_what_they_hold(folder: Path) -> None:
    assert names(folder) == ["large", "small", "unfinished"]
    large, small, unfinished = cached_stores(folder)
    assert (large.finished, small.finished, unfinished.finished) == (True, True, False)
    assert large.bytes == sum(file.stat().st_size for file in large.path.iterdir()) > small.bytes
    assert f"{large.path}  {large.bytes:,} bytes  10 rows, 2 layers, last, float32" in str(large)
    assert f"key {large.manifest.key[:12]}, 0.0 days old" in str(large)
    assert "unfinished, 8 of 10 rows" in str(unfinished)
    with pytest.raises(InputError, match="no such folder; name the one that holds stores, or set W2S_CACHE"):
        cached_stores(folder / "none")


def test_nothing_is_deleted_that_was_not_asked_for(folder: Path) -> None:
    aged(folder, 1000)
    before = sorted(folder.rglob("*"))
    assert collect_garbage(folder) == []
    assert sorted(folder.rglob("*")) == before


def test_old_stores_go_and_what_is_used_stays(folder: Path) -> None:
    aged(folder, 10)
    large = ActivationStore.open(folder / "deep" / "large")
    os.utime(shard_file(large.path), (time.time(), shard_file(large.path).stat().st_mtime))  # it was read just now
    assert {path.name for path, _ in collect_garbage(folder, days=9, dry_run=True)} == {"small", "unfinished"}
    assert names(folder) == ["large", "small", "unfinished"]
    assert collect_garbage(folder, days=11) == []
    collect_garbage(folder, days=9)
    assert names(folder) == ["large"]
    assert sorted(path.name for path in folder.iterdir()) == ["deep", "notes.txt", "other"]
    assert large.verify().ok


def test_unfinished_stores_go_once_they_are_left_alone(folder: Path) -> None:
    assert collect_garbage(folder, unfinished=True) == []  # somebody may be at work there
    aged(folder, 1.1)
    ((gone, size),) = collect_garbage(folder, unfinished=True)
    assert gone == folder / "unfinished"
    assert size > 0
    assert names(folder) == ["large", "small"]
    assert not gone.exists()


def test_additions_that_were_begun_and_left_go_and_listed_ones_stay(folder: Path) -> None:
    store = folder / "small"
    manifest = Manifest.read(store)
    shards = manifest.shards
    (store / "added-0123456789ab").mkdir()
    moved = shard_file(store, 2).rename(store / "added-0123456789ab" / shard_file(store, 2).name)
    listed = shards[-1].model_copy(update={"file": str(moved.relative_to(store))})
    manifest.model_copy(update={"shards": [*shards[:-1], listed]}).write(store)
    begun = store / "added-ba9876543210"
    shutil.copytree(moved.parent, begun)
    assert ActivationStore.open(store).verify().ok
    assert collect_garbage(folder, unfinished=True) == []  # somebody may be at work there
    aged(folder, 1.1)
    found = collect_garbage(folder, unfinished=True)
    assert sorted(path.name for path, _ in found) == ["added-ba9876543210", "unfinished"]
    assert not begun.exists()
    assert ActivationStore.open(store).verify().ok


def test_temporary_files_go_when_they_are_a_day_old(folder: Path) -> None:
    old, new = (folder / "small" / f".0123abcd.ffffff-{pid}.partial.shard-00001.h5" for pid in (7, 8))
    alike = folder / ".mine.partial.txt"
    for file in (old, new, alike):
        file.write_bytes(b"12345")
    aged(folder, 2)
    os.utime(new)
    assert collect_garbage(folder, dry_run=True) == [(old, 5)]
    assert old.exists()
    assert collect_garbage(folder) == [(old, 5)]
    assert [file.exists() for file in (old, new, alike)] == [False, True, True]


def test_what_others_keep_in_a_stores_folder_is_left(folder: Path) -> None:
    (folder / "small" / "thesis.tex").write_text("precious")
    (folder / "small" / "added-0123456789ab").mkdir()
    (folder / "small" / "added-0123456789ab" / "shard-00000-0123456789abcdef.h5").write_bytes(b"an addition")
    aged(folder, 10)
    write(folder / "small" / "inside", {0: X})
    collect_garbage(folder, days=9)
    left = sorted(str(file.relative_to(folder)) for file in (folder / "small").rglob("*") if file.is_file())
    assert [name for name in left if "inside" not in name] == ["small/thesis.tex"]
    assert names(folder) == ["inside"]
    assert ActivationStore.open(folder / "small" / "inside").verify().ok


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    precious = tmp_path / "elsewhere" / "shard-00000-0123456789abcdef.h5"
    precious.write_bytes(b"precious")
    (folder / "small" / "added-0123456789ab").symlink_to(tmp_path / "elsewhere")
    write(tmp_path / "elsewhere" / "store", {0: X})
    (folder / "linked").symlink_to(tmp_path / "elsewhere" / "store")
    aged(folder, 10)
    assert {path.name for path, _ in collect_garbage(folder, days=0)} == {"small", "large", "unfinished"}
    assert precious.read_bytes() == b"precious"
    assert ActivationStore.open(tmp_path / "elsewhere" / "store").verify().ok


@pytest.mark.parametrize("name", ["shard-00001-0123456789abcdef.h5", ".0123abcd.ffffff-7.partial.shard-00001.h5"])
def test_of_a_linked_file_the_link_is_deleted_and_never_what_it_points_at(
    name: str, folder: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "precious.h5"
    precious.write_bytes(b"precious")
    (folder / "small" / name).symlink_to(precious)
    aged(folder, 10)
    os.utime(precious, (time.time() - 10 * 86400,) * 2)
    gone = [path.name for path, _ in collect_garbage(folder, days=9)]
    assert "small" in gone
    assert not os.path.lexists(folder / "small" / name)
    assert precious.read_bytes() == b"precious"


def test_the_folder_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    aged(folder, 10)
    assert {path.name for path, _ in collect_garbage(tmp_path / "link", days=9)} == {"small", "large", "unfinished"}
    assert (folder / "notes.txt").read_text() == "precious"


def test_files_that_vanish_while_they_are_counted_do_no_harm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own: Callable[[Path], object] = cache._own_files

    def and_one_more(store: Path) -> list[Path]:
        return [*own(store), store / "gone.h5"]  # type: ignore[misc]

    monkeypatch.setattr(cache, "_own_files", and_one_more)
    monkeypatch.setattr(Path, "is_file", lambda path: path.name.endswith((".h5", ".json")))
    assert names(folder) == ["large", "small", "unfinished"]
