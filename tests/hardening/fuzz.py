"""Thousands of changed files given to the commands: each ends in 0, or in 2 with one line, and touches nothing else.

`run(2500, seed=0)` returns what went wrong; an input's number, beside the seed, makes it again: `one(...)`.
"""

import contextlib
import io
import os
import shutil
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.hardening.fuzz_world import adopt_shard, copied, make_world
from tests.hardening.hostile_arrays import (
    hostile_npy,
    hostile_npz,
    hostile_safetensors,
    hostile_torch,
    make_shard_hostile,
)
from tests.hardening.mutations import (
    Random,
    gzipped,
    mutated_bytes,
    mutated_csv,
    mutated_json,
    mutated_lines,
    mutated_parquet,
    mutated_template,
    mutated_toml,
)
from w2s_probes.cli import main

SECONDS = 60  # for one command, which takes one or two: what takes longer hangs
LINE = 2000  # characters of a message: some four lines of a terminal's width are room for two long paths
Mutate = Callable[[Random, bytes], bytes]
Commands = Callable[[Path, Path, Path], list[list[Any]]]  # of the sound world, the changed file, and where to write


@dataclass(frozen=True)
class Kind:
    """A file, or a folder with a file in it, how it is changed, and the commands that read it."""

    name: str
    source: str  # what is copied, in the world
    file: str  # what is changed, in the copy; "" where that is a file itself
    mutate: Mutate
    commands: Commands
    tables: bool = False  # whether it tries what reads tables and their fields


def _labels(w: Path, f: Path, o: Path) -> list[list[Any]]:
    at = ["--layer", 1]
    return [
        ["filter", w / "acts", f, *at, "--by", "knn", "--k", 3, "--out", o / "kept.jsonl"],
        ["relabel", w / "acts", f, *at, "--by", "logistic", "--out", o / "new.parquet"],
        ["sweep", w / "acts", f, "--knn-k", "1,3", "--layers", 1, "--out", o / "s.csv"],
        ["student", w / "acts", f, *at, "--epochs", 2, "--out", o / "student"],
        *[["export", f, "--format", name, "--out", o / name] for name in ("trl", "eai", "cleanlab")],
        ["export", f, "--format", "csv", "--truth", "--out", o / "e.csv"],
        ["report", f, "--out", o / "r.html"],
    ]


def _rows(w: Path, f: Path, o: Path) -> list[list[Any]]:
    return [
        ["import", w / "x.npy", "--rows", f, "--layers", 1, "--out", o / "acts"],
        ["export", w / "weak.jsonl", "--format", "jsonl", "--texts", f, "--out", o / "e.jsonl"],
    ]


def _report(w: Path, f: Path, o: Path) -> list[list[Any]]:
    return [["report", f, "--out", o / "r.html"]]


def _run(w: Path, f: Path, o: Path) -> list[list[Any]]:
    return [
        *_report(w, f, o),
        ["plan", w / "model", "--rows", w / "rows.jsonl", "--test-rows", 50, "--pilot", f],
    ]


def _store(w: Path, f: Path, o: Path) -> list[list[Any]]:
    return [
        ["verify", f],
        ["relabel", f, w / "weak.jsonl", "--layer", 1, "--by", "logistic", "--out", o / "new.jsonl"],
        ["cache", "ls", f.parent],
    ]


def _arrays(w: Path, f: Path, o: Path) -> list[list[Any]]:
    usual = ["import", f, "--rows", w / "rows.jsonl", "--out", o / "acts"]
    return [usual, [*usual, "--layers", 1], [*usual, "--layers", 1, "--dtype", "float32"]]


def _recipe(w: Path, f: Path, o: Path) -> list[list[Any]]:
    return [["plan", f / "recipe.toml"], ["run", f / "recipe.toml", "--out", o / "run", "--dry-run"]]


def _model(w: Path, f: Path, o: Path) -> list[list[Any]]:
    return [
        ["plan", f, "--rows", w / "rows.jsonl"],
        ["extract", f, "--rows", w / "rows.jsonl", "--position", "mean", "--out", o / "acts"],
    ]


def _template(w: Path, f: Path, o: Path) -> list[list[Any]]:
    rows = w / "rows.jsonl"
    return [["extract", w / "model", "--rows", rows, "--chat-template", f, "--out", o / "acts"]]


FORMATS: dict[str, list[Mutate]] = {
    "jsonl": [mutated_lines, mutated_lines, mutated_bytes],
    "csv": [mutated_csv, mutated_csv, mutated_bytes],
    "parquet": [mutated_parquet, mutated_parquet, mutated_bytes],
    "jsonl.gz": [gzipped(mutated_lines), mutated_bytes],
    "csv.gz": [gzipped(mutated_csv), mutated_bytes],
}
ARRAYS: dict[str, Mutate] = {
    "npy": hostile_npy,
    "npz": hostile_npz,
    "safetensors": hostile_safetensors,
    "pt": hostile_torch,
}
# Recipes and tasks lie in the folder of the whole world, which they name.
KINDS = [
    *(Kind(f"recipe, {m.__name__}", "recipes", "recipe.toml", m, _recipe) for m in (mutated_toml, mutated_bytes)),
    *(Kind(f"task, {m.__name__}", "recipes", "task.toml", m, _recipe) for m in (mutated_toml, mutated_bytes)),
    *(Kind("manifest.json", "acts", "manifest.json", m, _store) for m in (mutated_json, mutated_json, mutated_bytes)),
    *(Kind("run.json", "run", "run.json", m, _run) for m in (mutated_json, mutated_json, mutated_bytes)),
    *(Kind("sweep.json", "swept", "sweep.json", m, _report) for m in (mutated_json, mutated_json, mutated_bytes)),
    *(Kind(f"x.{ending}", f"x.{ending}", "", m, _arrays) for ending, m in ARRAYS.items()),
    *(Kind(f"x.{ending}", f"x.{ending}", "", m, _arrays) for ending, m in ARRAYS.items()),
    Kind("shard", "acts", "shard", mutated_bytes, _store),
    Kind("shard", "acts", "shard", mutated_bytes, _store),
    Kind("template.jinja", "template.jinja", "", mutated_template, _template),
    *(Kind(name, "model", name, mutated_json, _model) for name in ("config.json", "tokenizer_config.json")),
    Kind("tokenizer.json", "model", "tokenizer.json", mutated_bytes, _model),
    *(Kind(f"weak.{e}", f"weak.{e}", "", m, _labels, tables=True) for e, many in FORMATS.items() for m in many),
    *(Kind(f"rows.{e}", f"rows.{e}", "", m, _rows, tables=True) for e, many in FORMATS.items() for m in many),
    *(Kind("kept.jsonl", "kept.jsonl", "", m, _labels, tables=True) for m in (mutated_lines, mutated_bytes)),
    Kind("results.csv", "run", "results.csv", mutated_csv, _report, tables=True),
    Kind("comparisons.csv", "run", "comparisons.csv", mutated_csv, _report, tables=True),
    Kind("sweep.csv", "swept", "sweep.csv", mutated_csv, _report, tables=True),
]


def run(count: int, seed: int = 0, kinds: list[Kind] | None = None) -> list[str]:
    """Give `count` changed files to commands; every violation of the contract, in a line or two."""
    with tempfile.TemporaryDirectory(prefix="w2s-fuzz-") as name, _bounded():
        world = prepare(Path(name))
        return [said for number in range(count) for said in one(world, number, seed, kinds)]


def prepare(folder: Path) -> Path:
    """The sound world, with what the kinds copy."""
    world = make_world(folder / "world")
    for ending in ARRAYS:
        (world / f"x.{ending}").write_bytes(b"")
    np.save(world / "x.npy", np.ones((60, 4), np.float32))
    (world / "recipes").mkdir()
    for name in ("recipe.toml", "task.toml"):
        (world / name).rename(world / "recipes" / name)
    for name in ("model", "data"):
        (world / "recipes" / name).symlink_to(world / name)
    return world


def one(world: Path, number: int, seed: int, kinds: list[Kind] | None = None) -> list[str]:
    """What goes wrong with one changed file."""
    kind = (kinds or KINDS)[number % len(kinds or KINDS)]
    rng = np.random.default_rng([seed, number])
    place = world.parent / "tried"
    try:
        changed = copied_with_links(world / kind.source, place / "in")
        _change(kind, rng, changed)
        (place / "out").mkdir()
        commands = kind.commands(world, changed, place / "out")
        command = [str(part) for part in commands[int(rng.integers(len(commands)))]]
        before = _state(world) | _state(place / "in")
        said = _violation(command)
        after = _state(world) | _state(place / "in")
        if said is None and before != after:
            touched = sorted({str(file) for file, _ in before.items() ^ after.items()})
            said = f"changed {', '.join(touched[:3])}"
        return [] if said is None else [f"input {number} of seed {seed}, {kind.name}: w2s {' '.join(command)}: {said}"]
    finally:
        shutil.rmtree(place, ignore_errors=True)


def copied_with_links(source: Path, place: Path) -> Path:
    """The copy; a model beside a recipe stays where it is."""
    if source.name != "recipes":
        return copied(source, place)
    target = place / source.name
    shutil.copytree(source, target, symlinks=True)
    return target


def _change(kind: Kind, rng: Random, changed: Path) -> None:
    if kind.file == "shard":
        (shard,) = changed.glob("shard-*.h5")
        make_shard_hostile(rng, shard)
        if rng.random() < 0.8:
            adopt_shard(changed)
        return
    file = changed / kind.file if kind.file else changed
    file.write_bytes(kind.mutate(rng, file.read_bytes()))


def _violation(command: list[str]) -> str | None:
    """What is wrong with how a command ended; None where nothing is."""
    out, err = io.StringIO(), io.StringIO()
    code: Any = None
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("default")
            signal.signal(signal.SIGALRM, _late)
            signal.alarm(SECONDS)
            try:
                main(command)
            finally:
                signal.alarm(0)
    except SystemExit as end:
        code = end.code
    except BaseException as error:  # noqa: BLE001  # whatever comes out of a command is what is looked for
        place = traceback.extract_tb(error.__traceback__)
        ours = [f for f in place if "w2s_probes" in f.filename or "analyses" in f.filename or "extract/" in f.filename]
        where = f"{ours[-1].filename}:{ours[-1].lineno}" if ours else ""
        return f"{type(error).__name__}: {str(error)[:160]!r} at {where}"
    message = err.getvalue()
    if code not in (0, 2):
        return f"exit code {code}: {message[-200:]!r}"
    if code == 2 and (message.count("\n") != 1 or not message.removeprefix("w2s: ").strip() or len(message) > LINE):
        return f"{message.count(chr(10))} lines of {len(message)} characters: {message[:300]!r}"
    if any(unseen in message for unseen in ("\x1b", "\u202e", "\0")):
        return f"a control character reaches the terminal: {message[:200]!r}"
    return None


def _late(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def _state(folder: Path) -> dict[Path, tuple[int, int]]:
    """Every file with its size and time; a store's own graphs of neighbours come and go."""
    files = [Path(at) / name for at, _, names in os.walk(folder) for name in names]
    kept = [file for file in files if not file.name.startswith("neighbors-") and file.exists()]
    return {file: (file.stat().st_size, file.stat().st_mtime_ns) for file in kept}


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Memory for a few gigabytes beyond what is mapped: a file that wants more shows as MemoryError, not as a dead
    machine."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + (8 << 30), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
