"""Commands that are killed at random instants, up to twice, and given again: the same files, and no others."""

import os
import time
from collections import Counter
from signal import SIGKILL

import numpy as np

from tests.hardening.world import World, files_of, world
from w2s_probes.io.files import PARTIAL

READS_ONLY = ("verify",)


def run(count: int, seed: int) -> list[str]:
    """So many kills, spread over the commands; what was not as after an undisturbed run, a line each."""
    rng = np.random.default_rng(seed)
    made = world()
    names = [name for name in made.commands if name not in READS_ONLY]
    violations: list[str] = []
    landed: Counter[str] = Counter()
    tried = 0
    while sum(landed.values()) < count:
        name = names[tried % len(names)]
        tried += 1
        made.reset(made.before[name])
        instants = [round(float(rng.random() * made.seconds[name]), 3) for _ in range(int(rng.integers(1, 3)))]
        for instant in instants:
            pid = made.start(name)
            time.sleep(instant)
            os.kill(pid, SIGKILL)
            done = made.end(pid)
            landed[name] += done.code == -SIGKILL
            if done.code not in (0, -SIGKILL):
                violations.append(f"{name} killed after {instant} s: exit {done.code}: {done.said[-300:]}")
        again = made.run(name)
        wrong = f"exit {again.code}: {again.said[-300:]}" if again.code else _differs(made, made.after[name])
        print(f"kills: {sum(landed.values())} of {count}: {name} {'WRONG' if wrong else 'ok'}", flush=True)
        if wrong:
            violations.append(f"{name} killed after {instants} s and given again: {wrong}")
        if tried > 20 * count:  # a machine on which commands end before any kill
            break
    print(f"kills: {', '.join(f'{name} {number}' for name, number in landed.items())}", flush=True)
    return violations


def _differs(made: World, expected: dict[str, bytes]) -> str:
    found = files_of(made.place)
    if left := [name for name in found if PARTIAL.fullmatch(name.rpartition("/")[2])]:
        return f"partial files are left: {left}"
    if found.keys() != expected.keys():
        return f"other files: {sorted(found.keys() ^ expected.keys())}"
    return "".join(f"{name} differs " for name in found if found[name] != expected[name])
