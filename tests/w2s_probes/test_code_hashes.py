"""A hash of a function tells every edit of what it runs, and nothing else."""

import os
import subprocess
import sys
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT
from w2s_probes.code_hashes import code_hash

TEXT = """
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial, wraps

SHARES = {"a": 0.21, "b": [0.22]}
NAMES = {"x", "y", "z"}
TASKS = ["one"]
_seen = {}

def twice(g):
    @wraps(g)
    def both(*values):
        return g(*values) * 31
    return both

@dataclass(frozen=True)
class A:
    x: int = 32
    rows: list = field(default_factory=list)
    @property
    def y(self): return 33
    @cached_property
    def z(self): return 34
    @classmethod
    def of(cls): return 35
    @staticmethod
    def at(): return 36
    class Inner:
        def w(self): return 37

@twice
def helper(e): return 38

@lru_cache
def kept(e): return 39

def g(e, k): return k
half = partial(g, k=40)

def make(k, then):
    def run(e):
        return run if e else then(e) + k
    return run

class C:
    def __init__(self, k): self.k = k; self.me = self
    @cached_property
    def late(self): return self.k
    def __call__(self, e): return self.k + 41
    def m(self, e): return self.k

def f(e): return A().y + SHARES["a"] + helper(e)
"""


def loaded(text: str = TEXT) -> Any:
    module = ModuleType("hashed")
    sys.modules["hashed"] = module
    exec(compile(text, "hashed.py", "exec"), vars(module))
    return module


@pytest.mark.parametrize(
    "edit",
    [*((str(number), "99") for number in (0.21, 0.22, *range(31, 42))), ('"y"', '"w"'), ('"one"', '"two"')],
    ids=lambda edit: edit[0],
)
def test_an_edit_of_a_functions_module_changes_its_hash(edit: tuple[str, str]) -> None:
    assert TEXT.count(edit[0]) == 1
    before = code_hash(loaded().f)
    assert code_hash(loaded("\n\n" + TEXT).f) == before
    assert code_hash(loaded(TEXT.replace(*edit)).f) != before


def test_what_is_bound_to_a_function_changes_its_hash() -> None:
    m = loaded()
    large = np.zeros(5000)
    other = large.copy()
    other[2500] = 1

    def named(k: int) -> Any:
        return lambda e: k

    pairs = [
        (m.make(1, m.f), m.make(2, m.f)),
        (m.make(1, m.f), m.make(1, m.helper)),
        (m.C(1), m.C(2)),
        (m.C(1).m, m.C(2).m),
        (m.A(1).__repr__, m.A(2).__repr__),
        (partial(m.f, large), partial(m.f, other)),
        (partial(m.f, pd.Series(large)), partial(m.f, pd.Series(other))),
        (partial(m.f, pd.DataFrame({"a": large})), partial(m.f, pd.DataFrame({"a": other}))),
        (partial(m.f, {"k": [large]}), partial(m.f, {"k": [other]})),
        (partial(m.f, m.A(1)), partial(m.f, m.A(2))),
        (partial(m.f, k=named(1)), partial(m.f, k=named(2))),
        (partial(m.C(1), 0), partial(m.C(2), 0)),
        (m.f, m.helper),
    ]
    for number, (one, two) in enumerate(pairs):
        assert code_hash(one) != code_hash(two), number
    assert code_hash(m.make(1, m.f)) == code_hash(m.make(1, m.f))
    assert code_hash(m.C(1)) == code_hash(m.C(1))
    assert code_hash(partial(m.f, large)) == code_hash(partial(m.f, large.copy()))


def test_a_run_leaves_a_hash_as_it_was() -> None:
    """Neither what a cached property keeps, nor a container that the module's code fills."""
    m = loaded()
    made = m.C(3)
    before = code_hash(made), code_hash(m.f)
    assert made.late == 3
    m.kept(1)
    assert (code_hash(made), code_hash(m.f)) == before


def hashes() -> list[str]:
    m = loaded()
    bound = [m.f, m.kept, m.make(1, m.f), m.C(1), m.C(1).m, m.A.of, partial(m.f, {"a", "b", "c"}), partial(m.f, m.A(1))]
    return [code_hash(one) for one in [*bound, np.mean, partial(m.f, pd.DataFrame({"a": ["x", "y"]}))]]


def hashes_of_methods() -> list[str]:
    """Those under which a run keeps its methods' results; they need torch."""
    from analyses.methods import METHODS

    return [code_hash(method.run) for method in METHODS.values()]


def test_hashes_are_the_same_in_another_process() -> None:
    code = "from tests.w2s_probes.test_code_hashes import hashes, hashes_of_methods; "
    done = subprocess.run(
        [sys.executable, "-c", code + "print(hashes(), hashes_of_methods())"],
        capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": "7"},
    )  # fmt: skip
    assert done.stdout.strip() == f"{hashes()} {hashes_of_methods()}"
    assert len(set(hashes())) == len(hashes())
