"""Two commands with one --out, of which one brings a store there: the second is refused, and neither loses its own."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.worlds.pushed import assert_same, small_store
from w2s_probes import InputError
from w2s_probes.addresses import file_pulling, pull, push, store_pulling
from w2s_probes.importing import import_activations
from w2s_probes.io.tables import write_table
from w2s_probes.places.sole_writer import sole_writer
from w2s_probes.store.manifest import Manifest

pytest.importorskip("fsspec")


def test_a_place_that_another_process_writes_to_takes_neither_a_pull_nor_an_import(tmp_path: Path) -> None:
    acts, address, here = small_store(tmp_path / "acts"), f"file://{tmp_path}/there", tmp_path / "here"
    push(acts.path, address)
    np.save(tmp_path / "own.npy", np.ones((3, 4), np.float32))
    write_table(pd.DataFrame({"id": ["a", "b", "c"]}), tmp_path / "rows.jsonl")
    own = [tmp_path / "own.npy"], [tmp_path / "rows.jsonl"], here
    with sole_writer(here, here):
        for call, other in (
            (lambda: pull(address, here), "another folder"),  # it has no --out
            (lambda: import_activations(*own, layers=1, depth=2), "another --out"),
        ):
            said = rf"here: process \d+ on .* is writing there: wait until it has ended, or give {other}$"
            with pytest.raises(InputError, match=said):
                call()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["acts", "own.npy", "rows.jsonl", "there"]
    pull(address, here)
    assert_same(here, acts, acts.layers)


def test_a_store_that_is_begun_while_another_is_pulled_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an extraction may, which asks nobody: its processes write together."""
    acts, address, here = small_store(tmp_path / "acts"), f"file://{tmp_path}/there", tmp_path / "here"
    push(acts.path, address)
    other = acts.manifest.model_copy(update={"key": "f" * 64, "identity": {"weights": "others"}, "shards": []})
    bring = file_pulling.fetch

    def fetch(*arguments: Any) -> None:
        bring(*arguments)
        other.write(here)

    monkeypatch.setattr(store_pulling, "fetch", fetch)
    with pytest.raises(InputError, match=rf"{here}: holds another store than {address}: give another folder"):
        pull(address, here)
    assert Manifest.read(here) == other
