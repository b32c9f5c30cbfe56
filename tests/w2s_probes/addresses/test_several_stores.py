"""Folders of stores, as of named positions: each store goes as one, and the last that lacks is missed."""

import json
import shutil
from pathlib import Path

import pytest

from tests.worlds.pushed import assert_same, files_of, small_store
from w2s_probes import ActivationStore, InputError
from w2s_probes.addresses import pull, push
from w2s_probes.addresses.checksum_lists import STORES, SUMS
from w2s_probes.addresses.store_card import CARD
from w2s_probes.store.manifest import MANIFEST

pytest.importorskip("fsspec")
NAMES = ("claim", "the end, é")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ActivationStore]:
    folder = tmp_path_factory.mktemp("several") / "acts"
    return {name: small_store(folder / name, (8, 16), rows=30, seed=seed) for seed, name in enumerate(NAMES)}


def test_named_positions_go_to_a_folder_as_stores_and_come_back(
    stores: dict[str, ActivationStore], tmp_path: Path
) -> None:
    there, address = tmp_path / "th ere", f"file://{tmp_path}/th ere"
    folder, here = stores["claim"].path.parent, tmp_path / "here"
    assert push(folder, address).sent == 8
    assert (push(folder, address).files, push(folder, address).sent) == (8, 0)
    steps: list[str] = []
    assert pull(address, here, layers=16, report=lambda *step: steps.append(step[0])).sent == 4
    assert steps == ["claim, layer 16"] * 2 + ["the end, é, layer 16"] * 2
    for name, store in stores.items():
        assert_same(here / name, store, [16])
    assert (pull(address, here).sent, pull(address, here).sent) == (4, 0)
    for name, store in stores.items():
        assert_same(here / name, store, [8, 16])
    pull(f"{address}/claim", tmp_path / "alone", layers=8)
    assert_same(tmp_path / "alone", stores["claim"], [8])
    assert json.loads((there / STORES).read_text()) == {"stores": list(NAMES)}
    card = (there / CARD).read_text()
    assert "Activations of `qwen`, 2 stores" in card
    assert "| `the end, é` | `last` | 30 | 8, 16 of 16 | `qwen` |" in card
    assert "alice" not in card
    # Another joins them; those that were there stay, and are listed.
    more = small_store(tmp_path / "more" / "first", (8, 16), rows=30, seed=2)
    push(more.path.parent, address)
    assert json.loads((there / STORES).read_text()) == {"stores": ["claim", "first", "the end, é"]}
    assert "3 stores" in (there / CARD).read_text()
    assert pull(address, tmp_path / "here").sent == 4
    assert_same(tmp_path / "here" / "first", more, [8, 16])
    # A plain copy of such a folder is one, too.
    shutil.copytree(stores["claim"].path.parent, tmp_path / "copied")
    assert pull(f"file://{tmp_path}/copied", tmp_path / "again", layers=8).files == 4


def test_a_push_that_ended_between_two_stores_is_not_taken_for_a_whole_one(
    stores: dict[str, ActivationStore], tmp_path: Path
) -> None:
    there, address = tmp_path / "there", f"file://{tmp_path}/there"
    push(stores["claim"].path.parent, address)
    shutil.rmtree(there / NAMES[1])
    with pytest.raises(InputError, match=f"{NAMES[1]}: no store there, though stores.json names it: a push that has"):
        pull(address, tmp_path / "here")
    assert not (tmp_path / "here").exists()
    (there / STORES).unlink()
    (there / "claim" / MANIFEST).unlink()
    with pytest.raises(InputError, match=r"there/claim: holds a part of a store but no manifest.json"):
        pull(address, tmp_path / "here")
    assert push(stores["claim"].path.parent, address).sent == 4
    assert pull(address, tmp_path / "here").sent == 8


def test_what_is_no_folder_of_stores_or_in_its_way_is_refused(
    stores: dict[str, ActivationStore], tmp_path: Path
) -> None:
    folder, address = stores["claim"].path.parent, f"file://{tmp_path}/there"
    push(folder, address)
    before = files_of(tmp_path / "there" / "claim")
    with pytest.raises(InputError, match="there: holds several stores: give an address in it"):
        push(stores["claim"].path, address)
    with pytest.raises(InputError, match="there/claim: layer 4 not there; it holds 8, 16"):
        pull(address, tmp_path / "here", layers=4)
    for place in (tmp_path / "there" / "claim", tmp_path / "there" / STORES):
        with pytest.raises(InputError, match="give a folder for several stores"):
            pull(address, place)
    (tmp_path / "other").mkdir()
    shutil.copytree(stores["claim"].path, tmp_path / "other" / "a")
    shutil.copytree(stores["claim"].path, tmp_path / "other" / NAMES[1])  # another store has this name there
    with pytest.raises(InputError, match=f"there/{NAMES[1]}: holds another store"):
        push(tmp_path / "other", address)
    assert not (tmp_path / "there" / "a").exists()
    assert files_of(tmp_path / "there" / "claim") == before
    (tmp_path / "there" / STORES).write_text('{"stores": ["../out", ".ssh"]}')
    with pytest.raises(InputError, match=r"no store there \(no manifest.json\)"):
        pull(address, tmp_path / "here", layers=8)
    # With other files beside them it is a plain folder, and comes back byte for byte.
    (tmp_path / "other" / "notes.txt").write_text("mine")
    push(tmp_path / "other", f"file://{tmp_path}/plain")
    assert (tmp_path / "plain" / SUMS).is_file()
    pull(f"file://{tmp_path}/plain", tmp_path / "here")
    assert files_of(tmp_path / "here" / "a") == files_of(tmp_path / "other" / "a")
    with pytest.raises(InputError, match="holds a store or files pushed as such"):
        push(folder, f"file://{tmp_path}/plain")


def test_neither_plain_files_nor_a_store_hide_several_stores(
    stores: dict[str, ActivationStore], tmp_path: Path
) -> None:
    """With their list, without it as another tool copies them, and while their push has not come to its end."""
    folder, (files, there) = stores["claim"].path.parent, (tmp_path / "files", tmp_path / "there")
    files.mkdir()
    (files / "rows.jsonl").write_text("{}\n")
    address = f"file://{there}"
    push(folder, address)
    for gone in (None, there / STORES, there / "claim" / MANIFEST):
        if gone is not None:
            gone.unlink()
        for source in (files, stores["claim"].path):
            for force in (False, True):
                with pytest.raises(InputError, match="there: holds several stores: give "):
                    push(source, address, force=force)
        assert not any((there / name).exists() for name in ("rows.jsonl", SUMS, MANIFEST))
    assert push(folder, address).sent == 0
    assert pull(address, tmp_path / "here").files == 8
    # A plain folder that another tool has copied is the same folder, stores in it or not.
    shutil.copytree(folder, tmp_path / "mixed")
    (tmp_path / "mixed" / "notes.txt").write_text("mine")
    shutil.copytree(tmp_path / "mixed", tmp_path / "copied")
    assert push(tmp_path / "mixed", f"file://{tmp_path}/copied").sent == 0
