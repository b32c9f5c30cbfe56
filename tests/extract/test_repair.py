"""`w2s repair`: whatever was done to a store's files, its shards are again what they were, or it is refused."""

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from transformers import AutoModel

from extract import extractor
from extract.adding import add
from extract.extractor import Extraction
from extract.models.loading import Placement
from extract.repair import repair
from tests.extract.test_kill import files_of
from w2s_probes import ActivationStore, InputError
from w2s_probes.io.tables import write_table
from w2s_probes.share import Share
from w2s_probes.store.manifest import Manifest, is_as_written
from w2s_probes.store.shards import read_header

Checkpoint = Callable[..., Path]
Call = Callable[..., None]
Failing = Callable[..., str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint) -> Path:
    """A folder with a model, rows and a store `acts` to which rows, given in another order, and a layer were added."""
    folder = tmp_path_factory.mktemp("place")
    shutil.copytree(checkpoint(), folder / "model")
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{j}" for j in rng.integers(0, 40, size=rng.integers(1, 20))) for _ in range(30)]
    rows = pd.DataFrame({"id": [f"row-{i}" for i in range(30)], "text": texts})
    write_table(rows[10:25], folder / "first.jsonl")
    write_table(rows, folder / "rows.jsonl")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extractor, "SHARD_ROWS", 6)

        def plan(table: pd.DataFrame, layers: Any) -> Extraction:
            return Extraction.plan(str(folder / "model"), table, layers=layers, max_length=15)

        def notes(name: str) -> dict[str, Any]:
            return {"rows_from": [str(folder / name)]}

        small, usual = Placement(batch_tokens=20), Placement(batch_tokens=40)  # which shows in the last bits
        plan(rows[10:25].reset_index(drop=True), [1, 2]).run(
            folder / "acts", placement=small, notes=notes("first.jsonl")
        )
        add(plan(rows, [1, 2]), folder / "acts", placement=usual, notes=notes("rows.jsonl"))
        add(plan(rows, [0]), folder / "acts", notes=notes("rows.jsonl"))
    assert ActivationStore.open(folder / "acts").ids.tolist()[:2] == ["row-10", "row-11"]
    assert len(list((folder / "acts").rglob("*.h5"))) == 3 + 3 + 5
    return folder


@pytest.fixture
def acts(place: Path, tmp_path: Path) -> Path:
    """A copy of the store, to be damaged."""
    return shutil.copytree(place / "acts", tmp_path / "acts")


def flip(file: Path, byte: int, bit: int) -> None:
    content = bytearray(file.read_bytes())
    content[byte] ^= 1 << bit
    file.write_bytes(content)


def test_the_control_a_sound_store_has_nothing_to_repair(
    acts: Path, w2s: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Extraction, "engine", lambda *_: pytest.fail("the model was loaded"))
    before = files_of(acts)
    w2s("verify", acts)
    w2s("repair", acts)
    assert "nothing to repair" in capsys.readouterr().out
    assert files_of(acts) == before


def test_a_flipped_bit_anywhere_in_any_shard_is_found_and_mended(acts: Path) -> None:
    """Numbers, ids, attributes, HDF5's own tables, and what lies unused between them."""
    whole = files_of(acts)
    shards = sorted(name for name in whole if name.endswith(".h5"))
    rng = np.random.default_rng(0)
    for attempt in range(33):
        name = shards[attempt % len(shards)]
        inside = rng.integers(len(whole[name])) if attempt % 2 else rng.integers(2000)  # the tables come first
        flip(acts / name, int(inside), int(rng.integers(8)))
        (problem,) = set(ActivationStore(acts, Manifest.read(acts)).verify().problems[:1])
        assert f"{acts / name}: checksum differs from the manifest" in problem
        assert repair(acts) == [str(acts / name)]
        assert files_of(acts) == whole
    assert attempt >= 2 * len(shards)


def test_a_flipped_bit_anywhere_in_the_manifest_is_found_or_says_nothing(acts: Path, fails: Failing) -> None:
    whole = files_of(acts)
    expected = Manifest.read(acts)
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(150):
        flip(acts / "manifest.json", int(rng.integers(len(whole["manifest.json"]))), int(rng.integers(8)))
        there = files_of(acts)
        if is_as_written(acts):
            assert Manifest.read(acts) == expected  # a space has become another kind of space
            assert repair(acts) == []
        else:
            refused += 1
            assert f"{acts / 'manifest.json'}: " in fails("verify", acts)
            assert f"{acts / 'manifest.json'}: " in fails("repair", acts)
        assert files_of(acts) == there
        (acts / "manifest.json").write_bytes(whole["manifest.json"])
    assert refused > 140
    flip(acts / "manifest.json", whole["manifest.json"].index(b'"depth": 3') + 9, 0)
    assert "changed or damaged since it was written: delete it and give the same" in fails("verify", acts)
    assert "changed or damaged since it was written: delete it and give the same" in fails("repair", acts)


def test_the_manifest_of_an_addition_is_not_needed(place: Path, acts: Path, w2s: Call) -> None:
    shards = {name: bits for name, bits in files_of(acts).items() if name.endswith(".h5")}
    (own, other) = sorted(acts.glob("added-*/manifest.json"))
    own.unlink()
    other.write_text("{")
    w2s("verify", acts)
    victim = next(file for file in own.parent.iterdir())
    victim.unlink()
    w2s("repair", acts)
    w2s("verify", acts)
    found = files_of(acts)
    # How many tokens a batch had is no longer known, so the last bits may be others, and with them the name.
    assert [name for name in shards if found.get(name) != shards[name]] in ([], [str(victim.relative_to(acts))])
    before, after = ActivationStore.open(place / "acts"), ActivationStore.open(acts)
    for layer in (0, 1, 2):
        assert after.layer(layer) == pytest.approx(before.layer(layer), abs=2e-6)


def test_shards_are_made_again_block_by_block_bit_for_bit_and_all_of_a_folder_at_once(
    acts: Path, w2s: Call, fails: Failing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = files_of(acts)
    lost = [file for file in sorted(acts.rglob("*.h5")) if len(read_header(file).layers) == 2]  # of the third, layer 0
    assert len(lost) == 6
    for number, file in enumerate(lost):
        file.unlink() if number % 2 else append(file)
    monkeypatch.setattr(Extraction, "engine", lambda *_: pytest.fail("the model was loaded whole"))
    assert "--max-memory is of --offload" in fails("repair", acts, "--max-memory", "1GB")
    assert "is too little for one block at a time" in fails("repair", acts, "--offload", "--max-memory", "1kB")
    w2s("repair", acts, "--offload", "--scratch", tmp_path)
    assert files_of(acts) == whole


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded_and_only_then(
    place: Path, acts: Path, fails: Failing, w2s: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads((place / "model" / "config.json").read_text())
    size = 4 * sum(one.numel() for one in AutoModel.from_pretrained(place / "model").parameters())
    assert config["dtype"] == "float32"
    flip(sorted(acts.glob("*.h5"))[0], 3000, 1)
    damaged = files_of(acts)
    model, rows = place / "model", place / "rows.jsonl"
    asked = [["doctor", model], ["doctor", acts, "--model", model, "--rows", rows], ["repair", acts]]
    remedies = ["w2s extract --offload", "w2s extract --offload", "give --offload"]
    monkeypatch.setattr("extract.models.fits.free_memory", lambda: size - 1)
    for words, remedy in zip(asked, remedies, strict=True):
        said = fails(*words)
        assert "its weights take" in said
        assert remedy in said
    assert files_of(acts) == damaged
    monkeypatch.setattr("extract.models.fits.free_memory", lambda: 4 * size // 5)
    assert "GB in float32, and" in fails("doctor", model, "--dtype", "bfloat16")  # which is loaded again in float32
    w2s("doctor", model, "--dtype", "bfloat16", "--no-float32")
    monkeypatch.setattr("extract.models.fits.free_memory", lambda: size)
    w2s("repair", acts)


def append(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"garbage")


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "deleted": (Path.unlink, "missing"),
    "truncated": (lambda file: file.write_bytes(file.read_bytes()[:-100]), "checksum differs"),
    "emptied": (lambda file: file.write_bytes(b""), "checksum differs"),
    "appended to": (append, "checksum differs"),
    "replaced": (lambda file: file.write_bytes(b"\0" * 9872), "checksum differs"),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_shard_that_is_gone_or_of_another_length_is_made_again(
    acts: Path, how: str, w2s: Call, fails: Failing, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = files_of(acts)
    names = sorted(name for name in whole if name.endswith(".h5"))
    chosen = [names[1], names[-1]]
    assert [("/" in name) for name in chosen] == [True, False]
    damage, said = DAMAGE[how]
    for name in chosen:
        damage(acts / name)
    message = fails("verify", acts)
    assert said in message
    assert "and 1 more, listed above" in message
    with pytest.raises(InputError, match=r"missing or truncated; `w2s repair` makes it anew"):
        if how != "replaced":
            ActivationStore.open(acts)
        ActivationStore.open(acts).words(0), ActivationStore.open(acts).words(1)
    w2s("repair", acts)
    assert f"{acts}: 2 shards made again" in capsys.readouterr().out
    assert files_of(acts) == whole


def test_a_folder_in_the_place_of_a_shard_is_named_and_not_written_to(acts: Path, w2s: Call, fails: Failing) -> None:
    whole = files_of(acts)
    shard = acts / sorted(name for name in whole if name.endswith(".h5"))[0]
    shard.unlink()
    shard.mkdir()
    assert (
        fails("repair", acts)
        == f"w2s: {shard}: is a folder, and a shard is to be there: move it away, and repair again\n"
    )
    assert not any(shard.iterdir())
    shard.rmdir()
    w2s("repair", acts)
    assert files_of(acts) == whole


def test_with_every_shard_lost_the_rows_are_taken_in_the_order_of_their_file(
    place: Path, tmp_path: Path, w2s: Call, fails: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractor, "SHARD_ROWS", 6)
    w2s("extract", place / "model", "--rows", place / "first.jsonl", "--out", tmp_path / "plain")
    whole = files_of(tmp_path / "plain")
    for file in tmp_path.rglob("*.h5"):
        file.unlink()
    w2s("repair", tmp_path / "plain")
    assert files_of(tmp_path / "plain") == whole
    # Where rows were added before others in their file, only the shards tell the order, and here there are none.
    acts = shutil.copytree(place / "acts", tmp_path / "acts")
    for file in acts.rglob("*.h5"):
        file.unlink()
    assert re_rows(fails("repair", acts))


def re_rows(message: str) -> bool:
    return "was made from something else (rows: '30 rows, " in message


def test_model_and_rows_may_move_and_rows_may_come_in_any_order(
    place: Path, acts: Path, tmp_path: Path, w2s: Call, fails: Failing
) -> None:
    whole = files_of(acts)
    lost = sorted(acts.rglob("*.h5"))[0]
    lost.unlink()
    moved = shutil.copytree(place, tmp_path / "moved", ignore=lambda *_: ["acts"])
    manifest = Manifest.read(acts)
    gone = {"model": str(tmp_path / "gone"), "rows_from": [str(tmp_path / "gone.jsonl")]}
    manifest.model_copy(update={"notes": manifest.notes | gone}).write(acts)
    before = files_of(acts)
    assert "gone: no such folder" in fails("repair", acts)
    assert "gone.jsonl: no such file" in fails("repair", acts, "--model", moved / "model")
    assert files_of(acts) == before
    w2s("repair", acts, "--model", moved / "model", "--rows", moved / "rows.jsonl")
    found = files_of(acts)
    assert {name: found[name] for name in whole if name != "manifest.json"} == {
        name: bits for name, bits in whole.items() if name != "manifest.json"
    }
    assert Manifest.read(acts).shards == Manifest.read(place / "acts").shards
    shuffled = pd.read_json(place / "rows.jsonl", lines=True).sample(frac=1, random_state=0)
    more = pd.DataFrame({"id": ["new"], "text": ["w1 w2"]})
    write_table(pd.concat([more, shuffled]), tmp_path / "shuffled.jsonl")
    lost.unlink()
    ids = set(ActivationStore(acts, Manifest.read(acts)).ids)  # another layer's shards still tell these rows' places
    assert len(ids) == 30
    w2s("repair", acts, "--model", moved / "model", "--rows", tmp_path / "shuffled.jsonl")
    assert files_of(acts)[str(lost.relative_to(acts))] == whole[str(lost.relative_to(acts))]


def test_another_model_or_changed_rows_are_refused_and_nothing_is_removed(
    place: Path, acts: Path, tmp_path: Path, fails: Failing
) -> None:
    flip(sorted(acts.rglob("*.h5"))[0], 2000, 1)
    (acts / "shard-00000-0123456789abcdef.h5").write_bytes(b"left by somebody")
    before = files_of(acts)
    other = shutil.copytree(place / "model", tmp_path / "other")
    model = AutoModel.from_pretrained(other)
    model.norm.weight.data[0] += 1
    model.save_pretrained(other)
    assert "was made from something else (weights: 'sha256:" in fails("repair", acts, "--model", other)
    table = pd.read_json(place / "rows.jsonl", lines=True)
    for change, values in {"text": ["w1", *table["text"][1:]], "id": ["x", *table["id"][1:]]}.items():
        write_table(table.assign(**{change: values}), tmp_path / f"{change}.jsonl")
        assert re_rows(fails("repair", acts, "--rows", tmp_path / f"{change}.jsonl"))
    write_table(table[:20], tmp_path / "fewer.jsonl")
    assert re_rows(fails("repair", acts, "--rows", tmp_path / "fewer.jsonl"))
    assert files_of(acts) == before


def test_stray_files_of_ours_go_and_others_stay(acts: Path, w2s: Call) -> None:
    whole = files_of(acts)
    addition = sorted(acts.glob("added-*"))[0]
    for folder in (acts, addition):
        (folder / "shard-00000-0123456789abcdef.h5").write_bytes(b"the same part, rounded otherwise")
    (acts / "notes.txt").write_text("precious")
    begun = acts / "added-0123456789ab"  # an addition that may be gone on with
    begun.mkdir()
    (begun / "shard-00000-0123456789abcdef.h5").write_bytes(b"half an addition")
    kept = {"notes.txt": b"precious", f"{begun.name}/shard-00000-0123456789abcdef.h5": b"half an addition"}
    w2s("repair", acts)
    assert files_of(acts) == whole | kept


def test_killed_while_repairing_the_store_is_no_worse_than_it_was(acts: Path) -> None:
    whole = files_of(acts)
    victims = sorted(acts.rglob("*.h5"))[::3]
    for file in victims:
        flip(file, 2000, 3)

    class Killed(BaseException):
        pass

    def kill(doing: str, done: int, total: int, /) -> None:
        assert (doing, total) == ("shards", len(victims)) == ("shards", 4)
        if done == 2:
            raise Killed

    with pytest.raises(Killed):
        repair(acts, progress=kill)
    good = [name for name, bits in files_of(acts).items() if whole[name] == bits]
    assert len(good) == len(whole) - 2
    assert len(repair(acts)) == 2
    assert files_of(acts) == whole


def test_an_unfinished_store_is_not_repaired(place: Path, tmp_path: Path, fails: Failing, monkeypatch: Any) -> None:
    monkeypatch.setattr(extractor, "SHARD_ROWS", 6)
    table = pd.read_json(place / "rows.jsonl", lines=True)
    Extraction.plan(str(place / "model"), table).run(tmp_path / "s", share=Share(0, 2))
    before = files_of(tmp_path / "s")
    assert "not finished: give the same `w2s extract` again" in fails("repair", tmp_path / "s")
    assert files_of(tmp_path / "s") == before


def test_a_store_of_every_token_is_repaired_too(place: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(extractor, "SHARD_ROWS", 6)
    table = pd.read_json(place / "rows.jsonl", lines=True)
    plan = Extraction.plan(str(place / "model"), table, layers=[1], position="all")
    plan.run(tmp_path / "s", notes={"rows_from": [str(place / "rows.jsonl")]})
    whole = files_of(tmp_path / "s")
    assert len(whole) == 6
    for name in sorted(whole)[1:3]:
        flip(tmp_path / "s" / name, 5000, 5)
    assert len(repair(tmp_path / "s")) == 2
    assert files_of(tmp_path / "s") == whole


def test_a_store_that_does_not_say_where_it_came_from_needs_to_be_told(place: Path, acts: Path, fails: Failing) -> None:
    manifest = Manifest.read(acts)
    manifest.model_copy(update={"notes": {}}).write(acts)
    sorted(acts.rglob("*.h5"))[0].unlink()
    assert "does not say which model and rows it was made from: give both" in fails("repair", acts)
    assert repair(acts, model=str(place / "model"), rows=pd.read_json(place / "rows.jsonl", lines=True))
    assert json.loads((acts / "manifest.json").read_text())["checksum"]


def test_what_was_pulled_by_layers_is_repaired_and_known_to_extract(
    place: Path, tmp_path: Path, w2s: Call, fails: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of one layer each, several in one folder: a lost one comes out of its own layer, bit for bit."""
    pytest.importorskip("fsspec")
    from w2s_probes.addresses import pull, push

    monkeypatch.setattr(extractor, "SHARD_ROWS", 6)
    words = ("extract", place / "model", "--rows", place / "first.jsonl", "--max-length", "15")
    w2s(*words, "--layers", "0-2", "--out", tmp_path / "acts")
    push(tmp_path / "acts", f"file://{tmp_path}/there")
    pull(f"file://{tmp_path}/there", tmp_path / "here", layers="1,2")
    before = files_of(tmp_path / "here")
    for layer, damage in ((1, Path.unlink), (2, lambda file: flip(file, file.stat().st_size - 9, 1))):
        damage(sorted((tmp_path / "here").glob(f"*layer-{layer:03d}*"))[-1])
    command = f"`w2s pull file://{tmp_path}/there {tmp_path}/here --layers 1,2`"
    said = f"here: was pulled from file://{tmp_path}/there: give --model and --rows, or pull again: {command}"
    assert said in fails("repair", tmp_path / "here")  # its notes keep the last part of the paths alone
    assert "give --model and --rows, or pull again" in fails(
        "repair", tmp_path / "here", "--rows", place / "first.jsonl"
    )
    shutil.copytree(tmp_path / "here", tmp_path / "damaged")
    w2s(*shlex.split(command.strip("`"))[1:])
    assert files_of(tmp_path / "here") == before
    shutil.rmtree(tmp_path / "here")
    (tmp_path / "damaged").rename(tmp_path / "here")
    w2s("repair", tmp_path / "here", "--model", place / "model", "--rows", place / "first.jsonl")
    after = files_of(tmp_path / "here")
    assert sorted(content for name, content in after.items() if name.endswith(".h5")) == sorted(
        content for name, content in before.items() if name.endswith(".h5")
    )
    assert ActivationStore.open(tmp_path / "here").verify().ok
    w2s(*words, "--layers", "1,2", "--out", tmp_path / "here")  # it is there: nothing is computed
    assert files_of(tmp_path / "here") == after
    pull(f"file://{tmp_path}/there", tmp_path / "here")
    whole = ActivationStore.open(tmp_path / "acts")
    assert ActivationStore.open(tmp_path / "here").key == whole.key
    assert np.array_equal(ActivationStore.open(tmp_path / "here").layer(2), whole.layer(2))
