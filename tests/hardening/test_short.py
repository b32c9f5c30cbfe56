"""A few of each trial; `make harden` has hundreds."""

import pytest

from tests.hardening import flips, kills
from tests.hardening.__main__ import TRIALS


@pytest.mark.parametrize(("name", "count"), [("kills", 4), ("flips", 18)])
def test_a_few_of_each_find_nothing(name: str, count: int) -> None:
    trials, usual = TRIALS[name]
    assert usual >= 100
    assert trials(count, 1) == []


def test_what_is_wrong_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a reader that takes anything, and a command that leaves something else."""
    monkeypatch.setattr(flips, "TARGETS", {"heads": flips.Target("student/head.*", lambda made, file: "taken")})
    (line,) = flips.run(1, 0)
    assert line.startswith("student/head.safetensors, bit ")
    assert line.endswith(": taken")
    monkeypatch.setattr(kills, "_differs", lambda made, expected: "other files")
    assert all("given again: other files" in line for line in kills.run(1, 0))
