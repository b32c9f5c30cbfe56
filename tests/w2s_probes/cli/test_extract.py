"""What `w2s extract` says while it works, and where it puts stores that were given no place."""

import io
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from extract.extractor import Extraction, extract_cached
from tests.worlds.extracting import extracting
from w2s_probes import ActivationStore
from w2s_probes.cli import progress, terminal
from w2s_probes.cli.terminal import cache_folder
from w2s_probes.io.tables import read_table

Call = Callable[..., None]


def test_progress_as_json_is_a_line_each_and_ends_complete(
    place: Path, w2s: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "ROWS", 0.0)
    w2s(*extracting(place, "--progress", "json", "--batch-tokens", 6))
    out, err = capsys.readouterr()
    assert "40 rows" in out
    lines = [json.loads(line) for line in err.splitlines()]
    assert len(lines) == 16  # four parts of ten rows, three rows a batch
    fields = {"rows", "of_rows", "tokens", "of_tokens", "rows_per_s", "tokens_per_s", "eta_s"}
    assert all(set(line) == fields for line in lines)
    assert [line["rows"] for line in lines] == sorted(line["rows"] for line in lines)
    assert (lines[-1]["rows"], lines[-1]["of_rows"]) == (40, 40)
    assert (lines[-1]["tokens"], lines[-1]["of_tokens"], lines[-1]["eta_s"]) == (80, 80, 0.0)
    assert all(line["tokens_per_s"] > 0 for line in lines[1:])
    w2s(*extracting(place, "--progress", "json"))  # nothing is left to do, and nothing said of it
    assert capsys.readouterr().err == ""


def test_json_lines_come_every_few_seconds_and_at_the_end(
    place: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    w2s(*extracting(place, "--progress", "json", "--batch-tokens", 6))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["rows"] for line in lines] == [3, 40]


def test_what_is_left_of_a_begun_store_is_what_progress_counts(
    place: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    w2s(*extracting(place, "--progress", "json", "--out", place / "begun"))
    last = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (last["rows"], last["of_rows"], last["of_tokens"]) == (20, 20, 40)
    assert ActivationStore.open(place / "begun").verify().ok


@pytest.mark.parametrize("options", [(), ("--progress", "none")])
def test_where_no_terminal_is_nothing_is_shown(
    place: Path, w2s: Call, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    w2s(*extracting(place, *options))
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 2  # the store, and what to type next
    assert "40 rows, layers [0, 1, 2, 3], width 32, float32" in out


@pytest.mark.parametrize(("kind", "shown"), [("auto", True), ("none", False), ("json", False)])
def test_a_terminal_shows_a_bar_with_speed_and_time_left(
    place: Path, w2s: Call, monkeypatch: pytest.MonkeyPatch, kind: str, shown: bool
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(terminal, "err", Console(file=screen, force_terminal=True, width=100))
    monkeypatch.setattr(progress, "wanted", lambda: True)
    w2s(*extracting(place, "--progress", kind, "--batch-tokens", 6))
    assert ("40/40" in screen.getvalue() and "tokens/s" in screen.getvalue()) is shown


def test_a_store_without_a_place_is_made_once_in_the_cache(
    place: Path, w2s: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("W2S_CACHE", str(tmp_path / "cache"))
    command = ["extract", place / "model", "--rows", place / "rows.jsonl"]
    w2s(*command)
    plan = Extraction.plan(str(place / "model"), read_table(place / "rows.jsonl"))
    (store,) = (tmp_path / "cache").iterdir()
    assert store.name == plan.key[:16]
    assert f"ActivationStore('{store}': 40 rows" in capsys.readouterr().out
    with monkeypatch.context() as patch:
        patch.setattr(Extraction, "engine", lambda *_: pytest.fail("it was computed again"))
        w2s(*command)
        assert extract_cached(plan, tmp_path / "cache").path == store
    w2s(*command, "--position", "mean")
    assert len(list((tmp_path / "cache").iterdir())) == 2
    capsys.readouterr()
    w2s("cache", "ls")
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split("  ")[0] for line in lines[:2]) == sorted(map(str, (tmp_path / "cache").iterdir()))
    assert lines[-1].startswith(f"{tmp_path / 'cache'}: 2 stores, ")
    w2s("cache", "gc", "--days", "0", "--dry-run")
    assert capsys.readouterr().out.count("would delete") == 2
    w2s("cache", "gc", "--days", "0")
    said = capsys.readouterr().out
    assert said.count("deleted ") == 2
    assert said.splitlines()[-1].endswith(" bytes gained")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_cache_is_where_the_environment_says_or_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("W2S_CACHE", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "w2s-probes"
    monkeypatch.setenv("W2S_CACHE", "")
    assert cache_folder() == tmp_path / ".cache" / "w2s-probes"
    monkeypatch.setenv("W2S_CACHE", "/elsewhere")
    assert cache_folder() == Path("/elsewhere")


def test_without_any_cache_there_are_no_stores_yet_but_a_folder_by_name_must_be_there(
    w2s: Call,
    fails: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("W2S_CACHE", str(tmp_path / "none"))
    for verb in ("ls", "gc"):
        w2s("cache", verb)
        assert capsys.readouterr().out == f"{tmp_path / 'none'}: no stores yet\n"
        assert "no such folder" in fails("cache", verb, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_module_is_the_command(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["extract", *map(str, extracting(place)[1:])])
    with pytest.raises(SystemExit) as done:
        runpy.run_module("extract", run_name="__main__")
    assert done.value.code == 0
    assert ActivationStore.open(place / "new").key == ActivationStore.open(place / "acts").key


def test_slurm_and_torchrun_share_the_work(
    place: Path, w2s: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers: list[dict[str, Any]] = [
        {"SLURM_ARRAY_TASK_ID": 3, "SLURM_ARRAY_TASK_COUNT": 2, "SLURM_ARRAY_TASK_MIN": 3, "SLURM_ARRAY_TASK_MAX": 4},
        {"RANK": 1, "WORLD_SIZE": 2, "TORCHELASTIC_RUN_ID": "x"},
    ]
    for environment, option in zip(numbers, [("--shard", "auto"), ()], strict=True):
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, str(value))
            w2s(*extracting(place, *option))
    out = capsys.readouterr().out
    assert "new: share 0/2 is done; it is whole when the other shares are" in out
    assert "40 rows, layers" in out
    shared, alone = ActivationStore.open(place / "new"), ActivationStore.open(place / "acts")
    assert shared.ids.tolist() == alone.ids.tolist()
    assert shared.words(1).tobytes() == alone.words(1).tobytes()


def test_an_offloaded_store_is_the_ordinary_one(
    place: Path, w2s: Call, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    w2s(*extracting(place, "--offload", "--max-memory", "100MB", "--scratch", tmp_path / "scratch"))
    assert "40 rows, layers" in capsys.readouterr().out
    offloaded, whole = ActivationStore.open(place / "new"), ActivationStore.open(place / "acts")
    assert (offloaded.key, offloaded.manifest.notes["offload"]) == (whole.key, True)
    for layer in whole.layers:
        assert offloaded.words(layer).tobytes() == whole.words(layer).tobytes()
    assert list((tmp_path / "scratch").iterdir()) == []
