"""What a pushed manifest and its card say: neither paths of this machine nor secrets, and all ids and numbers."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.worlds.pushed import NOTES, small_store
from w2s_probes import ActivationStore
from w2s_probes.addresses import pull, push
from w2s_probes.addresses.store_card import CARD
from w2s_probes.importing import import_activations
from w2s_probes.io.tables import write_table
from w2s_probes.store.manifest import MANIFEST

pytest.importorskip("fsspec")
IDS = ["/m/00abc", "https://q.org/a?id=4", "s3://key:hush@bucket/a", "of hushed1"]
BROKEN = 'pa"ss\\wo|rd`1'  # JSON and Markdown write it otherwise


def test_ids_and_numbers_in_notes_go_as_they_are_and_secrets_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids that look like paths, queries or secrets, a number of a variable's digits, a secret that JSON escapes."""
    monkeypatch.setenv("MAX_OUTPUT_TOKENS", "2048123")
    monkeypatch.setenv("MY_SECRET", BROKEN)
    monkeypatch.setenv("MY_PASSWORD", "hushed1")
    told = {
        "left_out": IDS,
        "imported_from": "/home/alice/states",
        "imported": [{"file": 'q?a=b"c.npy', "sha256": "0"}],
        "batch_tokens": 2048123,
        "remarks": [f"opened by {BROKEN}", "2048123 tokens"],
        BROKEN: {"device": 2048123},
        "torch": BROKEN,
    }
    made = small_store(tmp_path / "several" / "made", (8,), rows=10, more={"template": BROKEN, "position": BROKEN})
    made.manifest.model_copy(update={"notes": NOTES | told}).write(made.path)
    push(made.path, f"file://{tmp_path}/there")
    push(tmp_path / "several", f"file://{tmp_path}/both")
    pull(f"file://{tmp_path}/there", tmp_path / "here")
    notes = ActivationStore.open(tmp_path / "here").manifest.notes
    assert notes == {
        **{"model": "qwen", "rows_from": ["rows.jsonl"], "device": "cpu"},
        **{"left_out": IDS, "imported_from": "states", "imported": [{"file": 'q?a=***"c.npy', "sha256": "0"}]},
        **{"batch_tokens": 2048123, "remarks": ["opened by ***", "*** tokens"], "***": {"device": 2048123}},
        "torch": "***",
    }
    manifest = json.loads((tmp_path / "there" / MANIFEST).read_text())
    assert BROKEN not in str(manifest["notes"]).replace("\\\\", "\\")
    for place in ("there", "both", "both/made"):
        card = (tmp_path / place / CARD).read_text()
        assert "***" in card
        for spelled in (BROKEN, BROKEN.replace("|", "\\|").replace("`", "'"), "wo\\|rd", json.dumps(BROKEN)[1:-1]):
            assert spelled not in card


def test_a_model_folder_of_this_machine_is_in_no_key_of_an_import(tmp_path: Path) -> None:
    """The notes here keep it whole, for the tools here; a store that has it in its key is said to have."""
    np.save(tmp_path / "states.npy", np.ones((3, 4), np.float32))
    write_table(pd.DataFrame({"id": ["a", "b", "c"]}), tmp_path / "rows.jsonl")
    where = tmp_path / "alice" / "llama"

    def imported(name: str, model: str) -> ActivationStore:
        files = (tmp_path / "states.npy", tmp_path / "rows.jsonl")
        return import_activations(*files, tmp_path / name, layers=8, depth=32, model=model)

    store = imported("acts", f"{where}/")
    assert store.manifest.notes["model"] == f"{where}/"
    others = ("llama", "~/alice/llama", "../alice/llama", "./alice/llama")
    assert {store.key} == {imported(str(at), model).key for at, model in enumerate(others)}
    assert store.key != imported("hub", "alice/llama").key
    assert push(store.path, f"file://{tmp_path}/there").remarks == ()
    pushed = "".join((tmp_path / "there" / name).read_text() for name in (MANIFEST, CARD))
    assert "llama" in pushed
    assert "alice" not in pushed
    assert push(tmp_path / "1", f"file://{tmp_path}/home").remarks == ()
    assert "alice" not in (tmp_path / "home" / MANIFEST).read_text()
    old = small_store(tmp_path / "old", (8,), rows=5, more={"model": str(where)})
    assert push(old.path, f"file://{tmp_path}/old-there").remarks == (
        f"file://{tmp_path}/old-there: its manifest.json names {where}, which is in the key: import it again to keep "
        "the name llama alone",
    )
