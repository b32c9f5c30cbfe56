"""What was pulled and is damaged, or was repaired: the pull that mends it is named, and leaves no file twice."""

import re
import shutil
from pathlib import Path

import pytest

from tests.worlds.pushed import assert_same, small_store
from w2s_probes import ActivationStore, InputError
from w2s_probes.addresses import pull, push
from w2s_probes.store.manifest import MANIFEST, Manifest
from w2s_probes.store.shards import NAME

pytest.importorskip("fsspec")


def _repaired(here: Path, at: int) -> Path:
    """One shard under the name that `w2s repair` gives what it makes, and the manifest as it says so."""
    manifest = Manifest.read(here)
    old = manifest.shards[at]
    name = NAME.fullmatch(old.file)
    assert name is not None
    new = old.model_copy(update={"file": f"shard-{name['part']}-{name['checksum']}.h5"})
    shutil.move(here / old.file, here / new.file)
    shards = [new if shard == old else shard for shard in manifest.shards]
    manifest.model_copy(update={"shards": shards}).write(here)
    return here / new.file


def test_a_damaged_or_missing_shard_of_what_was_pulled_names_the_pull(tmp_path: Path) -> None:
    acts, address, here = small_store(tmp_path / "acts"), f"file://{tmp_path}/there", tmp_path / "here"
    push(acts.path, address)
    pull(address, here, layers="8,16")
    opened = ActivationStore.open(here)
    shards = opened.manifest.shards
    lost, damaged = here / shards[0].file, here / shards[-1].file
    content = bytearray(damaged.read_bytes())
    content[-9] ^= 1
    damaged.write_bytes(content)
    lost.unlink()
    problems = opened.verify().problems
    said = [f"w2s pull {address} {here} --layers {layer}` brings it anew" for layer in (8, 16)]
    assert problems == (
        f"{lost}: missing; `{said[0]}",
        f"{damaged}: checksum differs from the manifest: changed or damaged; `{said[1]}",
    )
    with pytest.raises(InputError, match=re.escape(f"{lost}: 0 bytes, the manifest says")) as refused:
        ActivationStore.open(here)
    assert str(refused.value).endswith(f"missing or truncated; `{said[0]}")
    assert pull(address, here, layers=16).sent == 2
    assert_same(here, acts, [8, 16])
    (acts.path / acts.manifest.shards[0].file).unlink()  # which was made here
    assert acts.verify().problems[0].endswith("missing; `w2s repair` makes it anew")


def test_a_pull_after_a_repair_brings_nothing_twice(tmp_path: Path) -> None:
    acts, address, here = small_store(tmp_path / "acts"), f"file://{tmp_path}/there", tmp_path / "here"
    push(acts.path, address)
    pull(address, here, layers=8)
    new = _repaired(here, 0)
    assert pull(address, here, layers=8).sent == 0
    assert pull(address, here, layers=16).sent == 3
    assert new.is_file()
    assert len(list(here.glob("*.h5"))) == 6
    assert_same(here, acts, [8, 16])
    (here / MANIFEST).unlink()
    assert pull(address, here, layers="8,16").sent == 0
    new.write_bytes(b"damaged")
    assert pull(address, here).sent == 4
    assert not new.exists()
    assert len(list(here.glob("*.h5"))) == 9
    assert_same(here, acts, [0, 8, 16])
    assert push(here, address).sent == 0
    shard = ActivationStore.open(here).manifest.shards[0]
    shutil.copy(here / shard.file, _twin(here / shard.file))  # as pulls have left them
    assert pull(address, here).sent == 0
    assert len(list(here.glob("*.h5"))) == 9


def _twin(path: Path) -> Path:
    name = NAME.fullmatch(path.name)
    assert name is not None
    return path.with_name(f"shard-{name['part']}-{name['checksum']}.h5")
