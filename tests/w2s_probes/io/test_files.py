"""Files that are written again keep their mode, and what killed processes left is gone when others write there."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from w2s_probes.io import files
from w2s_probes.io.arrays import write_arrays
from w2s_probes.io.files import HOST, PARTIAL, remove_abandoned, replacing
from w2s_probes.io.tables import FORMATS, write_table
from w2s_probes.store.shards import Content, write_shard
from w2s_probes.students.finetuning.training_folder import SavedState, TrainingFolder
from w2s_probes.sweep.measures import COLUMNS
from w2s_probes.sweep.unit import write_part

TABLE = pd.DataFrame({"id": ["a", "b"], "label": [0.0, 1.0]})
WRITERS: dict[str, Callable[[Path], Any]] = {
    **{f"table{ending}": lambda path: write_table(TABLE, path) for ending in FORMATS},
    "arrays.safetensors": lambda path: write_arrays(path, {"x": np.arange(3)}, {}),
    "part.jsonl.gz": lambda path: write_part(path, pd.DataFrame(columns=COLUMNS), "key"),
    "state.safetensors": lambda path: TrainingFolder(path.parent, "key").keep(
        lambda: SavedState({}, {"now": {"x": torch.zeros(2)}})
    ),
    "result.json": lambda path: TrainingFolder(path.parent, "key").finish({"scores": {}}),
}


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o027)
    files._cleared.clear()
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def dead_pid() -> int:
    """The number of a process that has ended."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


@pytest.mark.parametrize("name", WRITERS)
def test_a_new_file_has_the_mode_of_the_umask_and_one_written_again_keeps_its_own(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    assert mode(path) == 0o640
    for own in (0o600, 0o664, 0o444, 0o000):
        path.chmod(own)
        WRITERS[name](path)
        assert mode(path) == own


def test_a_shard_has_the_mode_of_the_umask(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, 0, Content(["a"], {0: np.zeros((1, 2), np.float32)}), "float32", "key")
    assert mode(shard) == 0o640


def test_nobody_may_read_the_new_content_of_a_private_file_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "private"
    path.write_text("old")
    path.chmod(0o600)
    with replacing(path) as temporary:
        assert mode(temporary) == 0o600
        temporary.write_text("new")
    assert (path.read_text(), mode(path)) == ("new", 0o600)


@pytest.mark.parametrize("name", WRITERS)
def test_what_killed_processes_left_is_gone_once_a_file_is_written_there(name: str, tmp_path: Path) -> None:
    pid = dead_pid()
    old = [tmp_path / f".0123abcd.{HOST}-{pid}.partial.{of}" for of in ("kept.jsonl", "other.h5", "folder")]
    old[0].write_bytes(b"half")
    old[1].symlink_to(tmp_path / "precious")
    old[2].mkdir()
    (old[2] / "file").write_bytes(b"half")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_bytes(b"whole")
    left = {f".0123abcd.{HOST}-{os.getpid()}.partial.mine", f".0123abcd.ffffff-{pid}.partial.of-another-machine"}
    left |= {f".0123abcd.{HOST}-{pid}.partial", "precious", f"x.0123abcd.{HOST}-{pid}.partial.x"}
    for alike in left - {"precious"}:
        (tmp_path / alike).write_bytes(b"")
    WRITERS[name](tmp_path / name)
    assert {file.name for file in tmp_path.iterdir()} == left | {name}
    assert (tmp_path / "precious" / "file").read_bytes() == b"whole"


def test_a_folder_is_looked_through_once_by_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Path] = []

    def counted(folder: Path) -> None:
        looked.append(folder)
        remove_abandoned(folder)

    monkeypatch.setattr(files, "remove_abandoned", counted)
    for number in range(5):
        for folder in ("a", "b"):
            write_table(TABLE, tmp_path / folder / f"{number}.csv")
    assert looked == [tmp_path / "a", tmp_path / "b"]
    assert not [file for file in tmp_path.rglob("*") if PARTIAL.fullmatch(file.name)]
