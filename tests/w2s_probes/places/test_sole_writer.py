"""One process writes to a place, or several that do the same; a second one is told who is there, the dead are not."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from signal import SIGKILL

import pytest

from tests.conftest import ROOT
from w2s_probes import InputError
from w2s_probes.places.claims import CLAIMS
from w2s_probes.places.sole_writer import sole_writer

WRITER = """
import sys
from pathlib import Path
from w2s_probes.places.sole_writer import sole_writer

out = Path(sys.argv[1])
with sole_writer(out, out / "record.json", work=sys.argv[2]):
    print("writing", flush=True)
    sys.stdin.readline()
"""


def writer(out: Path, work: str = "-") -> "subprocess.Popen[str]":
    """A process that writes to a folder until it is sent a line."""
    command = [sys.executable, "-c", WRITER, str(out), work]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def refused(out: Path, work: str = "-") -> str:
    with pytest.raises(InputError) as caught, sole_writer(out, out / "record.json", work=work):
        raise AssertionError
    return str(caught.value)


def test_a_second_writer_is_told_which_process_is_there_and_a_third_finds_nothing_left(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    first = writer(out)
    said = f"{out}: process {first.pid} on {socket.gethostname()} is writing there: wait until it has ended, or give "
    assert refused(out) == f"{said}another --out"
    assert refused(out, "some-work") == f"{said}another --out"
    first.communicate("\n")
    assert first.returncode == 0
    assert not (tmp_path / "new").exists()  # it wrote nothing
    with sole_writer(out, out / "record.json"):
        (out / "record.json").touch()
    assert [path.name for path in out.iterdir()] == ["record.json"]


def test_a_killed_writer_keeps_nobody_away(tmp_path: Path) -> None:
    first = writer(tmp_path)
    first.send_signal(SIGKILL)
    first.communicate()
    assert (tmp_path / CLAIMS / "record.json.1").exists()
    with sole_writer(tmp_path, tmp_path / "record.json"):
        assert (tmp_path / CLAIMS / "record.json.2").exists()
    assert list(tmp_path.iterdir()) == []


def test_one_that_fails_keeps_nobody_away(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), sole_writer(tmp_path, tmp_path / "record.json"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_those_that_do_the_same_work_write_together_and_keep_others_away_until_the_last_has_ended(
    tmp_path: Path,
) -> None:
    first, second = writer(tmp_path, "same"), writer(tmp_path, "same")
    assert f"process {first.pid} " in refused(tmp_path, "other")
    first.communicate("\n")
    assert "is writing there" in refused(tmp_path, "other")
    third = writer(tmp_path, "same")
    second.communicate("\n")
    assert "is writing there" in refused(tmp_path, "other")
    third.communicate("\n")
    assert (first.returncode, second.returncode, third.returncode) == (0, 0, 0)
    with sole_writer(tmp_path, tmp_path / "record.json", work="other"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_work_that_has_no_name_is_nobody_elses(tmp_path: Path) -> None:
    with sole_writer(tmp_path, tmp_path / "record.json"):
        assert f"process {os.getpid()} " in refused(tmp_path)


def test_a_writer_on_another_machine_is_named_and_lost_after_its_lease(tmp_path: Path) -> None:
    (tmp_path / CLAIMS).mkdir()
    file = tmp_path / CLAIMS / "record.json.1"
    file.write_text("0123 - node-7 abcdef 41\n")
    assert "process 41 on node-7 is writing there" in refused(tmp_path)
    os.utime(file, (time.time() - 61,) * 2)
    with sole_writer(tmp_path, tmp_path / "record.json"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused_and_an_address_too(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refused(tmp_path / "file" / "out") == f"cannot write {tmp_path}/file/out: Not a directory"
    assert "is an address" in refused(Path("s3://bucket/out"))
