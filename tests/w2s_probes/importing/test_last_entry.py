"""The last of N + 1 entries is never silently layer N: it is said to be before the norm, after it, or left out."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.conftest import run_failing
from w2s_probes import ActivationStore
from w2s_probes.importing import import_activations
from w2s_probes.importing.last_entry import LastEntry
from w2s_probes.io.tables import write_table
from w2s_probes.probes.fitted_to import reads_of
from w2s_probes.students.artefacts import SavedStudent

NUMBERS = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    np.save(tmp_path / "acts.npy", NUMBERS)
    named: dict[str, Any] = {f"layer_{layer}": NUMBERS[:, layer] for layer in range(3)}
    np.savez(tmp_path / "acts.npz", **named)
    np.save(tmp_path / "one.npy", NUMBERS[:, 2])
    write_table(pd.DataFrame({"id": ["a", "b"], "label": [0.0, 1.0]}), tmp_path / "rows.jsonl")
    return tmp_path


def imported(here: Path, **given: Any) -> ActivationStore:
    return import_activations(here / "acts.npy", here / "rows.jsonl", here / "acts", order="rows", **given)


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("acts.npy", ()),  # 0 to N, as `output_hidden_states` gives them
        ("acts.npy", ("--depth", "2")),
        ("acts.npy", ("--layers", "0,4,-1", "--depth", "8")),
        ("acts.npz", ()),
        ("one.npy", ("--layers", "2", "--depth", "2")),
    ],
)
def test_a_last_layer_of_unknown_origin_is_refused_and_the_line_says_what_to_type(
    here: Path, file: str, options: tuple[str, ...]
) -> None:
    message = run_failing("import", here / file, "--rows", here / "rows.jsonl", *options, "--out", here / "acts")
    assert "is the last:" in message
    assert "--last-entry pre-norm, post-norm or drop" in message
    assert ("--depth if layer 2 is not" in message) is ("--depth" not in options)
    assert not (here / "acts").exists()


def test_what_cannot_be_the_last_layer_needs_no_statement(here: Path) -> None:
    assert imported(here, depth=3).layers == [0, 1, 2]
    one = import_activations(here / "one.npy", here / "rows.jsonl", here / "one", layers=16)
    assert (one.layers, one.manifest.after_norm) == ([16], None)


@pytest.mark.parametrize("depth", [None, 2])
def test_a_statement_is_kept_and_a_normed_layer_is_marked_wherever_the_store_is_named(
    here: Path, depth: int | None
) -> None:
    cases: list[tuple[LastEntry, list[int], int | None]] = [
        ("pre-norm", [0, 1, 2], None),
        ("post-norm", [0, 1, 2], 2),
        ("drop", [0, 1], None),
    ]
    for said, layers, mark in cases:
        store = import_activations(
            here / "acts.npy", here / "rows.jsonl", here / said, order="rows", depth=depth, last_entry=said
        )
        store = ActivationStore.open(here / said)
        assert (store.layers, store.manifest.after_norm, store.manifest.depth) == (layers, mark, 2)
        assert store.manifest.identity["last_entry"] == said
        assert ("after the final norm" in store.manifest.sites[layers[-1]]) is (mark is not None)
        for text in (repr(store), store._repr_html_()):
            assert ("(2 after the final norm)" in text) is (mark is not None)
        for layer in layers:
            assert store.layer(layer).tolist() == NUMBERS[:, layer].tolist()


def test_a_statement_that_does_not_fit_is_refused(here: Path) -> None:
    call = ["import", here / "acts.npy", "--rows", here / "rows.jsonl", "--order", "rows", "--out", here / "acts"]
    assert "layer 2 is not the last of 3 blocks" in run_failing(*call, "--depth", "3", "--last-entry", "drop")
    assert "'normed' is not one of" in run_failing(*call, "--last-entry", "normed")
    alone = ["import", here / "one.npy", "--rows", here / "rows.jsonl", "--layers", "2", "--out", here / "acts"]
    assert "drop would leave nothing" in run_failing(*alone, "--last-entry", "drop")
    assert not (here / "acts").exists()


def test_a_head_of_a_normed_layer_does_not_read_the_stream_before_the_norm(here: Path) -> None:
    normed = imported(here, last_entry="post-norm")
    stream = import_activations(
        here / "acts.npy", here / "rows.jsonl", here / "other", order="rows", last_entry="pre-norm"
    )
    head = SavedStudent(here / "head", "head", reads=reads_of(normed, 2))
    assert head.layer_in(normed) == 2
    with pytest.raises(ValueError, match="last_entry"):
        head.layer_in(stream)


def test_the_commands_that_read_a_layer_say_that_it_is_normed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from w2s_probes.cli import main

    ids = [f"r{row}" for row in range(40)]
    rng = np.random.default_rng(0)
    np.save(here / "more.npy", rng.normal(size=(40, 2, 4)).astype(np.float32))
    write_table(pd.DataFrame({"id": ids, "label": rng.random(40)}), here / "weak.jsonl")
    import_activations(here / "more.npy", here / "weak.jsonl", here / "acts", last_entry="post-norm")
    labels, knn = str(here / "weak.jsonl"), ["--by", "knn", "--k", "3"]
    for layer, told in ((1, True), (0, False)):
        commands = [
            ["sweep", str(here / "acts"), labels, "--layers", str(layer), "--knn-k", "3", "--logistic-l2", "1"],
            ["filter", str(here / "acts"), labels, "--layer", str(layer), *knn],
        ]
        for command in commands:
            with pytest.raises(SystemExit) as ended:
                main([*command, "--out", str(here / f"{command[0]}-{layer}.csv")])
            assert not ended.value.code
            assert ("layer 1 is after the model's final norm" in capsys.readouterr().out) is told
