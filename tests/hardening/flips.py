"""A changed bit in any file that a command reads: refused in one line, harmless, or found and said."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.hardening.world import Done, World, files_of, world
from w2s_probes import InputError, load_probe
from w2s_probes.io.arrays import read_arrays
from w2s_probes.sweep import SweepResult

REFUSED, HARMLESS, FOUND = "refused", "harmless", "found"


@dataclass(frozen=True)
class Target:
    """Files that something reads."""

    files: str  # a pattern within the world's folder
    read: Callable[[World, Path], str]  # how it ended: one of the three, or what went wrong


def command(name: str, *, says: bool = False) -> Callable[[World, Path], str]:
    """A command reads it; with `says` it may go on, and tell which file is not as it was written."""

    def read(made: World, file: Path) -> str:
        done = made.run(name)
        if wrong := _exit(done):
            return wrong
        if done.code == 2:
            return REFUSED
        before, after = files_of(made.finished), files_of(made.place)
        differing = [one for one in before if before[one] != after.get(one) and made.place / one != file]
        if not differing and before.keys() == after.keys():
            return HARMLESS
        if says and file.name in done.said and "Not as the run wrote it" in done.said:
            return FOUND
        return f"exit 0, and {differing} differ"

    return read


def checked_store(made: World, file: Path) -> str:
    """Nothing crashes on it, and `w2s verify` finds it."""
    for reader in ("filter", "relabel"):
        if wrong := _exit(made.run(reader)):
            return f"{reader}: {wrong}"
    done = made.run("verify")
    if wrong := _exit(done):
        return f"verify: {wrong}"
    if done.code == 2:
        return REFUSED
    whole = made.finished / file.relative_to(made.place)
    same = file.suffix == ".json" and json.loads(file.read_bytes()) == json.loads(whole.read_bytes())
    return HARMLESS if same else "verify calls it sound"


def function(read: Callable[[Path], Any]) -> Callable[[World, Path], str]:
    """A function reads it: what it gives is shown to be the same by its pickle-free repr."""

    def outcome(made: World, file: Path) -> str:
        whole = read(made.finished / file.relative_to(made.place))
        try:
            found = read(file)
        except InputError as error:
            return REFUSED if "\n" not in str(error) else f"several lines: {error}"
        return HARMLESS if found == whole else "other numbers are read"

    return outcome


def _arrays(path: Path) -> Any:
    arrays, record = read_arrays(path)
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in arrays.items()}, record


def _probe(path: Path) -> Any:
    return {name: np.asarray(value).tobytes() for name, value in vars(load_probe(path)).items()}


def _swept(path: Path) -> Any:
    result = SweepResult.read(path.with_suffix(".csv"))
    return result.table.to_csv(), dict(result.record)


TARGETS = {
    "shards": Target("acts/**/*.h5", checked_store),
    "manifests": Target("acts/manifest.json", checked_store),
    "neighbour graphs": Target("acts/neighbors-*.safetensors", command("filter")),
    "sweep parts": Target("swept/sweep.parts/*", command("sweep")),
    "run cache": Target("ran/kept/*/*", command("run")),
    "results": Target("ran/[!kar]*/*", command("report", says=True)),
    "result tables": Target("ran/*.csv", command("report", says=True)),
    "records": Target("ran/run.json", command("report", says=True)),
    "recipes": Target("ran/recipe.toml", command("report", says=True)),
    "heads": Target("student/head.safetensors", function(_arrays)),
    "probes": Target("probe.safetensors", function(_probe)),
    "sweep tables": Target("swept/sweep.*[nv]", function(_swept)),
}


def run(count: int, seed: int) -> list[str]:
    """So many changed bits, spread over the targets; what was neither refused, harmless nor found, a line each."""
    rng = np.random.default_rng(seed)
    made = world()
    violations: list[str] = []
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in TARGETS}
    for number in range(count):
        name = list(TARGETS)[number % len(TARGETS)]
        target = TARGETS[name]
        made.reset(made.finished)
        files = sorted(file for file in made.place.glob(target.files) if file.is_file())
        assert files, name
        file = files[int(rng.integers(len(files)))]
        content = bytearray(file.read_bytes())
        place, bit = int(rng.integers(len(content))), int(rng.integers(8))
        content[place] ^= 1 << bit
        file.write_bytes(content)
        outcome = target.read(made, file)
        outcomes[name][outcome if outcome in (REFUSED, HARMLESS, FOUND) else "wrong"] += 1
        print(f"flips: {number + 1} of {count}: {name} {outcome}", flush=True)
        if outcome not in (REFUSED, HARMLESS, FOUND):
            violations.append(f"{file.relative_to(made.place)}, bit {bit} of byte {place}: {outcome}")
    for name, counted in outcomes.items():
        print(f"flips: {name}: {', '.join(f'{number} {what}' for what, number in counted.items())}", flush=True)
    return violations


def _exit(done: Done) -> str:
    """What is wrong with how a command ended."""
    if done.code not in (0, 2) or "Traceback" in done.said:
        return f"exit {done.code}: {done.said[-300:]}"
    if done.code == 2 and not done.said.strip().splitlines()[-1].startswith("w2s: "):
        return f"exit 2 without a reason: {done.said[-300:]}"
    return ""
