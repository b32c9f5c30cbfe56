"""Attention probes of tokens that stay on disk: the numbers of those in memory, in memory that does not grow."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.worlds.token_stores import write_token_store
from w2s_probes import ActivationStore, InputError, memory_limit
from w2s_probes.io.json_lines import read_json_lines
from w2s_probes.io.parquet_files import read_parquet
from w2s_probes.io.tables import read_csv_file, write_table_parts
from w2s_probes.probes import AttentionProbe, token_rows
from w2s_probes.probes import attention_training as training
from w2s_probes.store import StoredTokens, TokenActivations
from w2s_probes.token_scores import score_tokens

ROWS, WIDTH, TOKENS = 200, 16, (2, 9)
WAYS: list[tuple[int, dict[str, Any]]] = [  # parts, settings
    (1, {}),
    (5, {"gated": True, "heads": 2, "skip_first": True}),
    (3, {"pool": "max"}),
    (1, {"pool": "mean"}),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[ActivationStore, np.ndarray]:
    """A store of five shards, and labels that hang on the mean of a row's first column."""
    folder = tmp_path_factory.mktemp("streamed")
    means = write_token_store(folder / "acts", ROWS, WIDTH, TOKENS, shard_rows=47)
    write_labels(folder / "weak.jsonl", means)
    return ActivationStore.open(folder / "acts"), np.where(means > 0, 0.9, 0.1)


def write_labels(path: Path, means: np.ndarray) -> None:
    """A label file of the rows of `write_token_store`, every seventh one outside train."""
    lines = [
        {"id": f"row-{row:06d}", "label": 0.9 if mean > 0 else 0.1, "split": "train" if row % 7 else "test"}
        for row, mean in enumerate(means)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def numbers(tokens: Any, y: np.ndarray, settings: dict[str, Any]) -> dict[str, np.ndarray]:
    """What a probe of these rows learns, and says of them."""
    probe = AttentionProbe(**{"hidden": 4, "epochs": 2, **settings}).fit(tokens, y)
    frame = probe.cross_fitted_.token_scores
    return {
        "weights": np.concatenate([probe.coef_.ravel(), probe.hidden_coef_.ravel(), probe.intercept_]),
        "log-odds": probe.decision_function(tokens),
        "out of sample": probe.out_of_sample_,
        "vectors": probe.pool(tokens),
        "vectors out of sample": probe.cross_fitted_.pooled,
        "tokens": frame.drop(columns="id").to_numpy(float),
    }


def test_on_disk_in_memory_and_under_a_limit_the_numbers_are_the_same_bit_for_bit(
    world: tuple[ActivationStore, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, y = world
    order = np.random.default_rng(0).permutation(ROWS)  # labels in another order than the store's rows
    whole, stored = store.tokens(1).take(order), store.stored_tokens(1, ids=store.ids[order])
    size = whole.values.nbytes
    monkeypatch.setattr(training, "BATCH", 16)
    monkeypatch.setattr(token_rows, "PASS_TOKENS", 150)
    largest: list[int] = []
    taken = StoredTokens.take

    def counted(tokens: StoredTokens, rows: np.ndarray) -> TokenActivations:
        found = taken(tokens, rows)
        largest.append(found.values.nbytes)
        return found

    monkeypatch.setattr(StoredTokens, "take", counted)
    for parts, settings in WAYS:
        monkeypatch.setattr(training, "KEPT_BYTES", size // parts + 1)
        expected = numbers(whole, y[order], settings)
        on_disk = numbers(stored, y[order], settings)
        kept = max(largest)
        largest.clear()
        with memory_limit.memory_limit(memory_limit.LEAST), monkeypatch.context() as patched:
            patched.setattr(memory_limit, "SHARE", memory_limit.LEAST // (size // 8))
            limited = numbers(stored, y[order], settings)
        for name, values in expected.items():
            assert np.array_equal(on_disk[name], values), (settings, name)
            assert np.array_equal(limited[name], values), (settings, name)
        assert max(largest) < size / 6  # no part was read whole ...
        if settings.get("pool") != "mean":
            assert kept > 0.9 * size / parts  # ... as without a limit
        largest.clear()


def test_memory_does_not_grow_with_the_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_rows, "PASS_TOKENS", 512)
    monkeypatch.setattr(training, "BATCH", 16)

    def peak(rows: int, whole: bool = False) -> tuple[int, int]:
        """The most that Python and NumPy held, and the bytes of the activations, as float32."""
        means = write_token_store(tmp_path / f"acts-{rows}", rows, 128, (20, 41))
        store = ActivationStore.open(tmp_path / f"acts-{rows}")
        tracemalloc.start()
        tokens = store.tokens(1) if whole else store.stored_tokens(1)
        probe = AttentionProbe(hidden=4, epochs=1).fit(tokens, np.where(means > 0, 0.9, 0.1))
        assert probe.out_of_sample_.shape == (rows,)
        write_table_parts(probe.cross_fitted_.token_score_parts(), tmp_path / "tokens.parquet")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most, int(store.stored_tokens(1).offsets[-1]) * 128 * 4

    whole, size = peak(100, whole=True)
    assert whole > size
    monkeypatch.setattr(memory_limit, "SHARE", 1024)  # 256 kB an array
    with memory_limit.memory_limit(memory_limit.LEAST):
        (few, small), (many, large) = peak(100), peak(400)
    assert (many - few) / (large - small) < 0.08


def test_a_shard_damaged_half_way_through_an_epoch_is_named_and_nothing_is_written(
    world: tuple[ActivationStore, np.ndarray], tmp_path: Path, fails: Callable[..., str], monkeypatch: Any
) -> None:
    means = write_token_store(tmp_path / "acts", ROWS, WIDTH, TOKENS, shard_rows=47)
    write_labels(tmp_path / "weak.jsonl", means)
    shard = tmp_path / "acts" / ActivationStore.open(tmp_path / "acts").manifest.shards[3].file
    steps: list[int] = []
    step = training._Adam.step

    def damaging(adam: Any, slopes: Any) -> None:
        steps.append(1)
        if len(steps) == 1:  # of two in an epoch
            with shard.open("rb+") as stream:
                stream.truncate(100)
        step(adam, slopes)

    monkeypatch.setattr(training._Adam, "step", damaging)
    monkeypatch.setattr(memory_limit, "SHARE", memory_limit.LEAST // 40_000)
    words = ["--layer", 1, "--hidden", 4, "--epochs", 5, "--out", tmp_path / "t.jsonl", "--max-memory", "269MB"]
    said = fails("tokens", tmp_path / "acts", tmp_path / "weak.jsonl", *words)
    assert f"{shard}: ends too early: truncated; `w2s repair` makes it anew" in said
    assert len(steps) == 1
    assert not (tmp_path / "t.jsonl").exists()
    assert not list(tmp_path.glob("*partial*"))


def test_a_row_that_a_limit_has_no_room_for_is_named_with_the_limit_that_has(
    world: tuple[ActivationStore, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, y = world
    tokens, probe = store.stored_tokens(1), AttentionProbe(hidden=4, epochs=1)
    longest = int(np.diff(tokens.offsets).max())
    assert longest == 8
    needed = longest * (WIDTH + 5 * (4 + 1)) * 4  # numbers of the row, and of five probes of four units and a head
    with memory_limit.memory_limit(memory_limit.LEAST):
        monkeypatch.setattr(memory_limit, "SHARE", memory_limit.LEAST // (needed - 1))
        monkeypatch.setattr(token_rows, "SHARE", 4 * 10**6)
        said = r"row 'row-\d+' has 8 tokens, .* MB that are read at once: give at least --max-memory 5248MB, or extract"
        with pytest.raises(InputError, match=said) as caught:
            probe.fit(tokens, y)
        assert "\n" not in str(caught.value)
        monkeypatch.setattr(memory_limit, "SHARE", memory_limit.LEAST // needed)
        assert probe.fit(tokens, y).out_of_sample_.shape == (ROWS,)


def test_labels_that_lack_rows_are_refused(world: tuple[ActivationStore, np.ndarray]) -> None:
    store, y = world
    tokens, probe = store.stored_tokens(1), AttentionProbe(hidden=4, epochs=1)
    for wrong in ({"y": y[:-1]}, {"y": y, "learned": np.ones(ROWS - 1, bool)}, {"y": y, "groups": y[1:]}):
        with pytest.raises(InputError, match=rf": 199 of them, and {ROWS} rows of tokens: give one a row"):
            score_tokens(probe, tokens, **wrong)
    with pytest.raises(InputError, match="shape"):
        probe.fit(tokens, y[:-1])


def test_tokens_are_the_same_in_every_format_and_under_a_limit(
    world: tuple[ActivationStore, np.ndarray], tmp_path: Path, w2s: Callable[..., None], monkeypatch: Any
) -> None:
    store, y = world
    monkeypatch.setattr(token_rows, "PASS_TOKENS", 300)
    learned = np.arange(ROWS) > 70  # of the first part no row has a fold
    scored = score_tokens(AttentionProbe(hidden=4, epochs=1), store.stored_tokens(1), y, learned=learned)
    assert len(list(scored.parts())) > 3
    readers = {"jsonl": read_json_lines, "csv": read_csv_file, "parquet": read_parquet}
    for ending, reader in readers.items():
        write_table_parts(scored.parts(), tmp_path / f"t.{ending}", types={"fold": "Int64"})
        frame = reader(tmp_path / f"t.{ending}")
        assert frame.columns.tolist() == scored.frame.columns.tolist() or ending == "jsonl"
        assert frame["id"].tolist() == scored.frame["id"].tolist()
        for name in scored.frame.columns[1:]:
            ours, theirs = (pd.to_numeric(table[name]).to_numpy(float) for table in (frame, scored.frame))
            assert np.array_equal(ours, theirs, equal_nan=True), (ending, name)
    assert {type(fold) for fold in read_parquet(tmp_path / "t.parquet")["fold"]} == {int, type(None)}
    words = ["tokens", store.path, store.path.with_name("weak.jsonl"), "--layer", 1, "--hidden", 4, "--epochs", 1]
    w2s(*words, "--out", tmp_path / "plain.jsonl", "--progress", "none")
    monkeypatch.setattr(memory_limit, "SHARE", memory_limit.LEAST // 40_000)
    w2s(*words, "--out", tmp_path / "limited.jsonl", "--progress", "none", "--max-memory", "269MB")
    assert (tmp_path / "limited.jsonl").read_bytes() == (tmp_path / "plain.jsonl").read_bytes()
