"""A share of the fuzzer on every change; `make harden` is the whole."""

import sys
from pathlib import Path

import pytest

from tests.hardening import fuzz


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fuzz.prepare(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("name", sorted({kind.name for kind in fuzz.KINDS}))
def test_changed_files_end_in_one_line_and_touch_nothing_else(name: str, world: Path) -> None:
    kinds = [kind for kind in fuzz.KINDS if kind.name == name]
    assert [said for number in range(8) for said in fuzz.one(world, number, 1, kinds)] == []


def test_the_fuzzer_sees_a_traceback_a_second_line_and_a_touched_file(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(arguments: list[str]) -> None:
        if arguments[0] == "verify":
            raise KeyError("lost")
        if arguments[0] == "cache":
            (world / "weak.csv").touch()
            sys.exit(0)
        sys.stderr.write("w2s: one\nand another\n")
        sys.exit(2)

    monkeypatch.setattr(fuzz, "main", broken)
    kinds = [kind for kind in fuzz.KINDS if kind.name == "manifest.json"]
    said = "\n".join(line for number in range(12) for line in fuzz.one(world, number, 0, kinds))
    assert "KeyError" in said
    assert "2 lines of" in said
    assert f"changed {world / 'weak.csv'}" in said
