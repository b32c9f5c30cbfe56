"""Tasks from the hub: from a cache made here, in the layout of the hub's client, offline."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import pandas as pd
import pytest

from extract.tasks import TaskRows, load_task, read_task
from tests.conftest import ROOT
from w2s_probes import InputError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Cache:
    """A cache that holds one commit of a dataset, as a download would have left it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, dataset: str, revision: str, path: str, records: list[dict[str, Any]]) -> None:
        repository = self.folder / f"datasets--{dataset.replace('/', '--')}"
        ref = repository / "refs" / revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(COMMIT)
        file = repository / "snapshots" / COMMIT / path
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps(record) + "\n" for record in records)
        if path.endswith(".parquet"):
            pd.DataFrame(records).to_parquet(file)
        else:
            file.write_bytes(gzip.compress(lines.encode()) if path.endswith(".gz") else lines.encode())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return Cache(tmp_path / "hub")


def goals(n: int, name: str) -> list[dict[str, Any]]:
    return [{"goal": f"{name} {i}", "sol1": f"do {i}", "sol2": f"undo {i}", "label": i % 2} for i in range(n)]


def claims(n: int, name: str) -> list[dict[str, Any]]:
    return [{"t": f"{name} {i}", "y": i % 2} for i in range(n)]


def task_file(folder: Path, hub: str, more: str = "") -> str:
    path = folder / "claims.toml"
    path.write_text(f'text = "{{t}}"\nlabel = {{ field = "y", positive = [1] }}\nhub = {{ {hub} }}\n{more}')
    return str(path)


def test_a_task_is_read_from_the_hubs_conversion_and_says_which_commit(cache: Cache) -> None:
    convert = "refs/convert/parquet"
    cache.add("ybisk/piqa", convert, "plain_text/train/0000.parquet", goals(60, "make"))
    cache.add("ybisk/piqa", convert, "plain_text/train/0001.parquet", [*goals(30, "mend"), *goals(5, "seek")])
    cache.add("ybisk/piqa", convert, "plain_text/validation/0000.parquet", goals(40, "seek"))
    cache.add("ybisk/piqa", convert, "plain_text/test/0000.parquet", goals(3, "hidden"))
    loaded = load_task("piqa", None)
    assert loaded.source == f"hub:ybisk/piqa@{COMMIT}"
    assert len(loaded.train) == 90  # both files; the goals that are in test too have gone
    assert len(loaded.test) == 40
    assert loaded.test["text"].str.startswith("Q: seek").all()
    assert not loaded.train["text"].str.contains("hidden").any()
    assert loaded.candidates is not None
    assert len(loaded.candidates) == 80
    assert not set(loaded.candidates["id"]) & set(loaded.train["id"])
    task, parts = read_task("piqa", None)
    assert task == loaded.task
    assert parts["test"].equals(loaded.test)


@pytest.mark.parametrize(
    ("config", "layout"),
    [
        ("", "data/{split}-00000-of-00001.parquet"),
        ("", "{split}.jsonl.gz"),
        ("", "plain_text/{split}-00000-of-00001-0a1b2c.parquet"),
        ("", "default/partial-{split}/0000.parquet"),
        ("big", "big/{split}-00000-of-00001.parquet"),
        ("big", "big/{split}/0000.parquet"),
        ("big", "big/{split}.jsonl"),
    ],
)
def test_files_are_found_where_datasets_keep_them(cache: Cache, tmp_path: Path, config: str, layout: str) -> None:
    for split in ("train", "test"):
        cache.add("a/b", "main", layout.format(split=split), claims(20, split))
        cache.add("a/b", "main", f"other/{split}-00000-of-00001.parquet", claims(9, "other"))
        cache.add("a/b", "main", layout.format(split=f"{split}_r2"), claims(9, "other"))
    name = task_file(tmp_path, f'id = "a/b", revision = "main", config = "{config}"')
    loaded = load_task(name, None)
    assert loaded.name == "claims"
    assert set(loaded.train["text"]) == {f"train {i}" for i in range(20)}
    assert set(loaded.test["text"]) == {f"test {i}" for i in range(20)}


def test_splits_can_be_swapped_joined_and_named_by_their_files(cache: Cache, tmp_path: Path) -> None:
    cache.add("a/b", "main", "odd/one.jsonl", claims(10, "one"))
    cache.add("a/b", "main", "data/dev-00000-of-00001.parquet", claims(20, "dev"))
    cache.add("a/b", "main", "data/train-00000-of-00001.parquet", claims(30, "train"))
    splits = 'splits = { train = ["dev", "odd/*.jsonl"], test = "train" }'
    loaded = load_task(task_file(tmp_path, f'id = "a/b", revision = "main", {splits}'), None)
    assert len(loaded.train) == 30
    assert loaded.train["text"].str.startswith(("dev", "one")).all()
    assert loaded.test["text"].str.startswith("train").all()


def pooled(cache: Cache, tmp_path: Path, n_test: int) -> TaskRows:
    splits = 'splits = { train = ["train", "dev"], test = [] }'
    name = task_file(tmp_path, f'id = "a/b", revision = "main", {splits}, n_test = {n_test}', 'group = ["g"]\n')
    return load_task(name, None)


def test_a_test_pool_of_the_size_asked_for_is_held_out_of_all_splits_in_whole_groups(
    cache: Cache, tmp_path: Path
) -> None:
    rows = [{**claim, "g": i // 3} for i, claim in enumerate(claims(300, "x"))]
    cache.add("a/b", "main", "data/train-00000-of-00001.parquet", rows[:200])
    cache.add("a/b", "main", "data/dev-00000-of-00001.parquet", rows[200:])
    loaded = pooled(cache, tmp_path, 100)
    assert len(loaded.test) == 100
    assert len(loaded.train) == 198  # 33 groups and a third of one are test; the rest of that one is unused
    assert not set(loaded.train["group"]) & set(loaded.test["group"])
    numbers = loaded.test["text"].str.removeprefix("x ").astype(int)
    assert (numbers < 200).mean() == pytest.approx(2 / 3, abs=0.15)  # of both splits
    larger = pooled(cache, tmp_path, 110)
    assert set(loaded.test["id"]) <= set(larger.test["id"])
    with pytest.raises(InputError, match=r"n_test = 300, but there are 300 rows: lower hub.n_test"):
        pooled(cache, tmp_path, 300)


@pytest.mark.parametrize("path", ["data/{}-00000-of-00001.parquet", "data/{}.jsonl"])
def test_of_a_large_split_the_same_sample_is_read_every_time(cache: Cache, tmp_path: Path, path: str) -> None:
    for split in ("train", "test"):
        cache.add("a/b", "main", path.format(split), claims(500, split))
    name = task_file(tmp_path, 'id = "a/b", revision = "main", max_rows = 50')
    loaded, again = load_task(name, None), load_task(name, None)
    assert len(loaded.train) == len(loaded.test) == 50
    assert loaded.train.equals(again.train)
    numbers = loaded.train["text"].str.removeprefix("train ").astype(int)
    assert numbers.is_monotonic_increasing
    assert numbers.max() > 400  # not the first ones


def test_the_cache_is_the_one_that_the_environment_names(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "elsewhere")
    for split in ("train", "validation"):
        records = [{"sentence": f"{split} {i}", "label": i % 2, "idx": i} for i in range(10)]
        cache.add("nyu-mll/glue", "main", f"cola/{split}-00000-of-00001.parquet", records)
    code = (
        "from extract.tasks import load_task; t = load_task('cola', None); print(t.source, len(t.train), len(t.test))"
    )
    env = {**os.environ, "HF_HUB_CACHE": str(cache.folder), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=env)
    assert done.stdout.strip() == f"hub:nyu-mll/glue@{COMMIT} 10 10"


def test_datasets_that_cannot_be_had_are_named_with_the_remedy(cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"task boolq: dataset google/boolq: revision 'main' is neither in the hub's"
    ) as e:
        read_task("boolq", None)
    assert "give a data.folder that holds boolq/" in str(e.value)
    assert "\n" not in str(e.value)
    cache.add("a/b", "main", "data/train-00000-of-00002.parquet", claims(10, "train"))
    cache.add("a/b", "main", "README.md", [])
    name = task_file(tmp_path, 'id = "a/b", revision = "main"')
    with pytest.raises(InputError, match=r"a/b: the cache has 1 of 2 files of split 'train': run again with a network"):
        read_task(name, None)
    name = task_file(tmp_path, 'id = "a/b", revision = "main", config = "small"')
    with pytest.raises(
        InputError, match=r"no Parquet, .* files of split 'train' of configuration 'small' at 0123456789ab"
    ):
        read_task(name, None)
    cache.add("a/b", "main", "data/train-00001-of-00002.parquet", claims(10, "more"))
    cache.add("a/b", "main", "data/test-00000-of-00001.parquet", claims(10, "test"))
    name = task_file(tmp_path, 'id = "a/b", revision = "main"')
    assert len(load_task(name, None).train) == 20
    (file,) = cache.folder.rglob("test-00000-of-00001.parquet")
    file.write_bytes(b"not parquet")
    with pytest.raises(InputError, match=r"not readable Parquet files"):
        read_task(name, None)
