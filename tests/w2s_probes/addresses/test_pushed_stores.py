"""A store at an address: pushed and pulled it is the same bit for bit, whole or by layers, and never half of one."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.worlds.pushed import assert_same, files_of, round_trip, small_store
from w2s_probes import ActivationStore, InputError
from w2s_probes.addresses import pull, push
from w2s_probes.addresses.store_card import CARD
from w2s_probes.store.cache import collect_garbage
from w2s_probes.store.manifest import MANIFEST, Manifest
from w2s_probes.store.origin import ORIGIN
from w2s_probes.store.shards import read_header

pytest.importorskip("fsspec")


@pytest.fixture(scope="module")
def acts(tmp_path_factory: pytest.TempPathFactory) -> ActivationStore:
    return small_store(tmp_path_factory.mktemp("pushed") / "acts")


def test_a_store_goes_to_a_folder_and_comes_back_by_layers_and_whole(acts: ActivationStore, tmp_path: Path) -> None:
    there = tmp_path / "there"
    round_trip(acts, f"file://{there}", tmp_path / "here", {})
    here = files_of(tmp_path / "here")
    assert json.loads(here.pop(ORIGIN)) == {"pulled_from": f"file://{there}"}
    assert files_of(there).keys() - here.keys() == {CARD}
    assert files_of(there).items() >= here.items()
    # A plain copy of the address is the store, too.
    assert_same(there, acts, [0, 8, 16])


def test_stores_and_plain_files_do_not_mix_at_an_address(acts: ActivationStore, tmp_path: Path) -> None:
    files, there = tmp_path / "files", tmp_path / "there"
    files.mkdir()
    (files / "rows.jsonl").write_text("{}\n")
    push(files, f"file://{there}")
    push(acts.path, f"file://{tmp_path}/store")
    for force in (False, True):
        with pytest.raises(InputError, match="holds files pushed as such"):
            push(acts.path, f"file://{there}", force=force)
        with pytest.raises(InputError, match="holds a store or a part of one"):
            push(files, f"file://{tmp_path}/store", force=force)
    (tmp_path / "store" / MANIFEST).unlink()
    with pytest.raises(InputError, match="holds a store or a part of one"):
        push(files, f"file://{tmp_path}/store")
    push(acts.path, f"file://{tmp_path}/store")
    shard = next((tmp_path / "store").glob("*.h5"))
    content = bytearray(shard.read_bytes())
    content[-9] ^= 1
    shard.write_bytes(content)  # as long: only `force` sends it again
    assert push(acts.path, f"file://{tmp_path}/store").sent == 0
    with pytest.raises(InputError, match="push it again with --force"):
        pull(f"file://{tmp_path}/store", tmp_path / "here")
    push(acts.path, f"file://{tmp_path}/store", force=True)
    pull(f"file://{tmp_path}/store", tmp_path / "here")
    assert_same(tmp_path / "here", acts, [0, 8, 16])


def test_so_it_does_in_memory(acts: ActivationStore, tmp_path: Path) -> None:
    round_trip(acts, "memory://store/acts", tmp_path / "here", {})
    assert_same(tmp_path / "here", acts, [0, 8, 16])


def test_stores_of_every_token_and_of_float32_come_back_the_same(tmp_path: Path) -> None:
    cases: dict[str, dict[str, Any]] = {"ragged": {"ragged": True}, "wide": {"dtype": "float32"}}
    for name, more in cases.items():
        whole = small_store(tmp_path / name / "acts", **more)
        push(whole.path, f"file://{tmp_path}/{name}/there")
        pull(f"file://{tmp_path}/{name}/there", tmp_path / name / "here", layers="8,16")
        assert_same(tmp_path / name / "here", whole, [8, 16])
        shards = ActivationStore.open(tmp_path / name / "here").manifest.shards_of(8)
        assert [shard.cut for shard in shards] == [0, 1, 2]
    ours = ActivationStore.open(tmp_path / "ragged" / "here").tokens(8)
    theirs = ActivationStore.open(tmp_path / "ragged" / "acts").tokens(8)
    assert np.array_equal(ours.values, theirs.values)
    assert np.array_equal(ours.offsets, theirs.offsets)
    assert np.array_equal(ours.token_ids, theirs.token_ids)


def test_a_pulled_layer_is_what_an_extraction_of_it_alone_would_be(acts: ActivationStore, tmp_path: Path) -> None:
    """The same key, so that `w2s extract` and `w2s repair` know it, and the same bytes of its files."""
    alone = small_store(tmp_path / "alone", (16,))
    push(acts.path, f"file://{tmp_path}/there")
    pull(f"file://{tmp_path}/there", tmp_path / "here", layers="-1")
    pulled = ActivationStore.open(tmp_path / "here")
    assert pulled.key == alone.key
    assert [shard.checksum for shard in pulled.manifest.shards] == [s.checksum for s in alone.manifest.shards]
    assert {read_header(pulled.path / shard.file).key for shard in pulled.manifest.shards} == {alone.key}
    more = small_store(tmp_path / "more", (0, 4, 8, 16))  # its layers of old are there already
    assert push(more.path, f"file://{tmp_path}/there").sent == 3
    assert_same(tmp_path / "there", more, [0, 4, 8, 16])


def test_without_the_layer_after_the_norm_no_other_is_taken_for_it(tmp_path: Path) -> None:
    more = {"last_entry": "post-norm", "sites": ["a", "b", "c"], "imported": ["0"]}
    whole = small_store(tmp_path / "acts", more=more)
    assert whole.manifest.after_norm == 16
    push(whole.path, f"file://{tmp_path}/there")
    assert "layer 16 alone was saved after it" in (tmp_path / "there" / CARD).read_text()
    pull(f"file://{tmp_path}/there", tmp_path / "here", layers="0,8")
    low = ActivationStore.open(tmp_path / "here").manifest
    assert low.after_norm is None
    assert low.identity["sites"] == ["input of blocks.0", "blocks.7"]
    pull(f"file://{tmp_path}/there", tmp_path / "here", layers="16")
    assert ActivationStore.open(tmp_path / "here").manifest.after_norm == 16


def test_a_push_cut_short_is_no_store_and_is_gone_on_with(acts: ActivationStore, tmp_path: Path) -> None:
    there = tmp_path / "there"
    push(acts.path, f"file://{there}")
    whole = files_of(there)
    for file in [there / MANIFEST, *sorted(there.glob("*layer-008*"))[:2]]:
        file.unlink()
    torn = next(there.glob("*layer-016*"))
    torn.write_bytes(torn.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"holds 7 files of a store but no manifest.json: a push that has not come"):
        pull(f"file://{there}", tmp_path / "here")
    assert not (tmp_path / "here").exists()
    assert push(acts.path, f"file://{there}").sent == 3
    assert files_of(there) == whole
    torn.write_bytes(torn.read_bytes()[:-1])
    with pytest.raises(InputError, match=f"{torn.name}: has .* are listed: cut short or changed there.*with --force"):
        pull(f"file://{there}", tmp_path / "here", layers=16)
    push(acts.path, f"file://{there}", force=True)
    assert files_of(there) == whole


def test_a_pull_cut_short_is_no_store_and_is_gone_on_with(
    acts: ActivationStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third file of a pull fails, as on a line that breaks; then the pull is given again."""
    there, here = tmp_path / "there", tmp_path / "here"
    push(acts.path, f"file://{there}")
    pull(f"file://{there}", tmp_path / "undisturbed")
    from w2s_probes.addresses.remote_folder import RemoteFolder

    usual, calls = RemoteFolder.get, []

    def failing(self: RemoteFolder, name: str, to: Path) -> None:
        calls.append(name)
        if len(calls) == 3:
            to.write_bytes(b"half")
            raise InputError("the line broke")
        usual(self, name, to)

    monkeypatch.setattr(RemoteFolder, "get", failing)
    with pytest.raises(InputError, match=r"the line broke \(2 of 9 files are here\)"):
        pull(f"file://{there}", here)
    assert len(list(here.iterdir())) == 2
    with pytest.raises(InputError, match="not an activation store"):
        ActivationStore.open(here)
    inodes = {file.name: file.stat().st_ino for file in here.iterdir()}
    assert pull(f"file://{there}", here).sent == 7
    assert files_of(here) == files_of(tmp_path / "undisturbed")
    assert {name: (here / name).stat().st_ino for name in inodes} == inodes


def test_other_bytes_than_the_manifests_are_refused_by_name_and_leave_nothing(
    acts: ActivationStore, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    push(acts.path, f"file://{there}")
    victim = sorted(there.glob("*layer-008*"))[1]
    content = bytearray(victim.read_bytes())
    content[-3] ^= 4
    victim.write_bytes(content)
    with pytest.raises(InputError, match=f"{victim.name}: its checksum is not the one listed.*1 of 3 files are here"):
        pull(f"file://{there}", tmp_path / "here", layers=8)
    assert len(list((tmp_path / "here").iterdir())) == 1
    assert pull(f"file://{there}", tmp_path / "here", layers=16).sent == 3  # which are as they should be
    # A store that is damaged here is not passed on.
    copy = shutil.copytree(acts.path, tmp_path / "copy")
    shard = copy / acts.manifest.shards[1].file
    content = bytearray(shard.read_bytes())
    content[-3] ^= 4
    shard.write_bytes(content)
    with pytest.raises(InputError, match=f"{shard.name}: checksum differs"):
        push(copy, f"file://{tmp_path}/elsewhere")
    assert not (tmp_path / "elsewhere" / MANIFEST).exists()


def test_another_store_is_in_the_way_unless_it_is_to_be_replaced(acts: ActivationStore, tmp_path: Path) -> None:
    there = tmp_path / "there"
    push(acts.path, f"file://{there}")
    (there / "notes.txt").write_text("mine")
    before = files_of(there)
    cases = {
        "weights differs": small_store(tmp_path / "model", seed=1),
        "layers 8, which this one lacks": small_store(tmp_path / "fewer", (0, 16)),
        "its shape differs": small_store(tmp_path / "rows", rows=30),
        "layer 0 with other bytes": small_store(tmp_path / "bytes", (0, 4, 8, 16), dtype="bfloat16"),
    }
    other = cases["layer 0 with other bytes"].path  # as if computed elsewhere: the same identity, other bits
    shutil.rmtree(other)
    twin = small_store(other, (0, 4, 8, 16), seed=1)
    identity = acts.manifest.identity | {"layers": [0, 4, 8, 16]}
    manifest = twin.manifest.model_copy(update={"identity": identity})
    manifest.write(other)
    for said, store in cases.items():
        with pytest.raises(InputError, match=f"holds another store \\({said}.*--force"):
            push(store.path, f"file://{there}")
        assert files_of(there) == before
    forced = push(cases["weights differs"].path, f"file://{there}", force=True)
    assert forced.sent == 9
    assert_same(there, cases["weights differs"], [0, 8, 16])
    assert len(files_of(there)) == 12  # the old files are gone, and what was not ours is not
    assert (there / "notes.txt").read_text() == "mine"


def test_of_two_stores_pushed_there_at_once_one_is_whole_and_the_other_is_told(
    acts: ActivationStore, tmp_path: Path
) -> None:
    other, address = small_store(tmp_path / "other", seed=1), f"file://{tmp_path}/there"

    def interrupting(doing: str, done: int, total: int) -> None:
        if done == total:
            push(other.path, address)

    with pytest.raises(InputError, match=r"holds another store \(pushed there meanwhile\)"):
        push(acts.path, address, report=interrupting)
    pull(address, tmp_path / "here")
    assert_same(tmp_path / "here", other, [0, 8, 16])
    # The same store from two sides, and its replacement while it is pulled, end with a whole one.

    def doubling(doing: str, done: int, total: int) -> None:
        push(acts.path, f"{address}-same")

    push(acts.path, f"{address}-same", report=doubling)
    pull(f"{address}-same", tmp_path / "same")
    assert_same(tmp_path / "same", acts, [0, 8, 16])

    def replacing(doing: str, done: int, total: int) -> None:
        if done == 2:
            push(other.path, f"{address}-same", force=True)

    with pytest.raises(InputError, match=r"it is listed there: push it again \(2 of 9 files are here\)"):
        pull(f"{address}-same", tmp_path / "replaced", report=replacing)
    assert not (tmp_path / "replaced" / MANIFEST).exists()
    pull(f"{address}-same", tmp_path / "replaced")
    assert_same(tmp_path / "replaced", other, [0, 8, 16])


def test_what_is_not_there_or_not_to_be_overwritten_is_refused(acts: ActivationStore, tmp_path: Path) -> None:
    there, address = tmp_path / "there", f"file://{tmp_path}/there"
    push(acts.path, address)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    small_store(tmp_path / "other", seed=1)
    shutil.copytree(there, tmp_path / "broken")
    (tmp_path / "broken" / MANIFEST).write_text('{"schema_version": 2')
    cases: list[tuple[str, str, Any, str]] = [
        (address, "x", "3", r"layer 3 not there; it holds 0, 8, 16"),
        (address, "x", "3,4", r"layers 3, 4 not there"),
        (address, "x", "99", r"layer 99 is outside 0..16"),
        (address, "mine", None, r"mine: exists and is not an activation store"),
        (address, "other", None, r"other: holds another store"),
        (address, str(acts.path), None, r"acts: holds this store in files that were not pulled from .*: use it"),
        (address, str(acts.path), "8", r"acts: holds this store in files that were not pulled from"),
        (address, "mine/notes.txt", None, r"notes.txt: is a file; give a folder"),
        (address, "s3://bucket/x", None, r"give a place on this machine"),
        (f"file://{tmp_path}/none", "x", None, r"nothing there, neither a store nor a file"),
        (f"file://{tmp_path}/mine", "x", "8", r"no store there \(no manifest.json\)"),
        (f"file://{tmp_path}/broken", "x", None, r"manifest.json: not valid JSON .*push it again, by --force"),
        ("s3://", "x", None, r"s3://: names no place"),
        ("file:///", "x", None, r"file:///: names no place"),
        ("memory://", "x", None, r"memory://: names no place"),
        ("nosuch://x/acts", "x", None, r"Protocol not known"),
        ("acts", "x", None, r"acts: not an address: give one such as .*file:///"),
        ("gs://bucket/acts", "x", None, r"a package is missing .*: pip install gcsfs"),
    ]
    for address_, out, layers, said in cases:
        with pytest.raises(InputError, match=said):
            pull(address_, out if "://" in out else tmp_path / out, layers=layers)
        assert not (tmp_path / "x").exists()
    with pytest.raises(InputError, match="no such file, folder or store"):
        push(tmp_path / "none", address)
    with pytest.raises(InputError, match=r"s3://…: is an address: bring it here first"):
        push("s3://key:secret@bucket/acts", address)
    with pytest.raises(InputError, match=r"not valid JSON"):
        push(acts.path, f"file://{tmp_path}/broken")
    push(acts.path, f"file://{tmp_path}/broken", force=True)
    assert_same(tmp_path / "broken", acts, [0, 8, 16])


def test_an_unfinished_extraction_is_not_taken_for_what_a_pull_has_left(acts: ActivationStore, tmp_path: Path) -> None:
    push(acts.path, f"file://{tmp_path}/there")
    begun = acts.manifest.model_copy(update={"shards": []})
    (tmp_path / "begun").mkdir()
    begun.write(tmp_path / "begun")
    with pytest.raises(InputError, match="begun: holds another store"):
        pull(f"file://{tmp_path}/there", tmp_path / "begun")
    assert Manifest.read(tmp_path / "begun") == begun


def test_the_card_says_what_it_is_and_names_no_place_of_this_machine(acts: ActivationStore, tmp_path: Path) -> None:
    there = tmp_path / "there"
    push(acts.path, f"file://{there}")
    card, manifest = (there / CARD).read_text(), (there / MANIFEST).read_text()
    for fact in ("Activations of `qwen`", "| weights | `sha256:0` |", "| layers | `0, 8, 16 of 16 blocks` |"):
        assert fact in card
    for fact in ("| position | `last` |", "| rows | 50 |", "| dtype | `bfloat16` |", f"w2s pull file://{there} acts"):
        assert fact in card
    assert "alice" not in card + manifest
    assert json.loads(manifest)["notes"] | {"cut_rows": 3} == {
        "model": "qwen", "rows_from": ["rows.jsonl"], "device": "cpu", "cut_rows": 3
    }  # fmt: skip
    (there / CARD).write_text("# My own words")
    told = push(acts.path, f"file://{there}")
    assert told.remarks == (f"file://{there}: its README.md is not ours, and is left as it is",)
    assert (there / CARD).read_text() == "# My own words"


def test_a_changed_manifest_of_what_was_pulled_names_the_pull_that_mends_it(
    acts: ActivationStore, tmp_path: Path
) -> None:
    address, here = f"file://{tmp_path}/there", tmp_path / "here"
    push(acts.path, address)
    pull(address, here, layers=8)
    whole = (here / MANIFEST).read_text()
    (here / MANIFEST).write_text(whole.replace('"depth": 16', '"depth": 17'))
    problem = ActivationStore(here, Manifest.read(here)).verify().problems[0]
    assert f"delete it and give `w2s pull {address} {here} --layers 8`, which keeps the shards" in problem
    (here / MANIFEST).unlink()
    assert pull(address, here, layers=8).sent == 0
    assert (here / MANIFEST).read_text() == whole
    collect_garbage(here, days=0)  # what a pull has left beside it goes with the store
    assert not here.exists()
