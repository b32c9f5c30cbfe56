"""Datasets on the Hugging Face hub: the files of one commit, through the hub's cache; no loading script is run."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RevisionNotFoundError,
)

from w2s_probes.errors import InputError, preview
from w2s_probes.io.parquet_files import frame_of
from w2s_probes.io.tables import FORMATS, read_table
from w2s_probes.randomness import stream

from .sources import Hub

# Where files of a split lie when its dataset has one configuration: the root, `datasets` uploads, converted scripts.
FOLDERS = ("", "data", "default", "plain_text")
SHARD = re.compile(r"-(\d+)-of-(\d+)\.\w+")


@dataclass(frozen=True)
class HubTables:
    """The tables of a dataset, and its commit."""

    tables: dict[str, pd.DataFrame]  # by part, train and test, in the dataset's own fields
    commit: str  # of the dataset's repository: with it, the rows can be had again


def read_hub(task: str, hub: Hub) -> HubTables:
    """The tables of a task's splits on the hub; `test` is missing where the task names no split for it.

    What the cache (HF_HUB_CACHE) holds is not fetched again; offline it is all that there is. InputError where the
    dataset, its revision or a split cannot be had.
    """
    parts = {name: _names(getattr(hub.splits, name)) for name in ("train", "test")}
    wanted = {split: patterns(split, hub.config) for splits in parts.values() for split in splits}
    folder = _snapshot(task, hub, [pattern for each in wanted.values() for pattern in each])
    files = {split: _files(task, hub, folder, split, each) for split, each in wanted.items()}
    tables = {
        name: pd.concat([_read(files[split], hub.max_rows, split) for split in splits], ignore_index=True)
        for name, splits in parts.items()
        if splits
    }
    return HubTables(tables, folder.name)


def patterns(split: str, config: str) -> list[str]:
    """Patterns for the files of a split, likeliest first; of a path, the path itself."""
    if "/" in split or split.endswith(FORMATS):
        return [split]
    likely = []
    for folder in [config] if config else FOLDERS:
        start = f"{folder}/{split}" if folder else split
        likely += [f"{start}-[0-9]*-of-*.parquet", f"{start}/*.parquet", *(start + ending for ending in FORMATS)]
        # The hub's conversion of a large dataset is cut off, and says so in the folder's name.
        likely.append(f"{folder}/partial-{split}/*.parquet" if folder else f"partial-{split}/*.parquet")
    return likely


def _names(split: str | list[str]) -> list[str]:
    return [split] if isinstance(split, str) else split


def _snapshot(task: str, hub: Hub, allowed: list[str]) -> Path:
    named = f"task {task}: dataset {hub.id}"
    try:
        return Path(snapshot_download(hub.id, repo_type="dataset", revision=hub.revision, allow_patterns=allowed))
    except GatedRepoError as error:
        raise InputError(
            f"{named}: gated: accept its conditions on its hub page, then `hf auth login` with that account"
        ) from error
    except RevisionNotFoundError as error:
        raise InputError(f"{named}: has no revision {hub.revision!r}: correct hub.revision in the task file") from error
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise InputError(
            f"{named}: revision {hub.revision!r} is neither in the hub's cache nor to be had from the hub "
            f"({type(error).__name__}): check the network once, or give a data.folder that holds {task}/"
        ) from error


def _files(task: str, hub: Hub, folder: Path, split: str, each: Sequence[str]) -> list[Path]:
    """The files of a split, from the first pattern that has any; all of them or InputError."""
    there = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    for pattern in each:
        names = [name for name in there if fnmatchcase(name, pattern)]  # as the hub's client matches
        if names:
            last = SHARD.search(names[-1])
            if last is not None and int(last[2]) != len(names):  # a download that was broken off
                raise InputError(
                    f"task {task}: dataset {hub.id}: the cache has {len(names)} of {int(last[2])} files of split "
                    f"{split!r}: run again with a network to fetch the others"
                )
            return [folder / name for name in names]
    raise InputError(
        f"task {task}: dataset {hub.id}: no Parquet, JSON lines or CSV files of split {split!r}"
        f"{f' of configuration {hub.config!r}' if hub.config else ''} at {folder.name[:12]}, which has "
        f"{preview(there) or 'no files'}: correct hub.splits, hub.config or hub.revision in the task file"
    )


def _read(files: list[Path], most: int | None, split: str) -> pd.DataFrame:
    if files[0].suffix != ".parquet":
        return _sample(pd.concat([read_table(file) for file in files], ignore_index=True), most, split)
    from pyarrow import ArrowInvalid
    from pyarrow.dataset import dataset

    try:
        data = dataset(files, format="parquet")
        chosen = _chosen(data.count_rows(), most, split)
        table = frame_of(data.to_table() if chosen is None else data.take(chosen))
    except (ArrowInvalid, OSError) as error:
        raise InputError(f"{files[0].parent}: not readable Parquet files ({str(error).splitlines()[0]})") from error
    return table


def _sample(table: pd.DataFrame, most: int | None, split: str) -> pd.DataFrame:
    chosen = _chosen(len(table), most, split)
    return table if chosen is None else table.iloc[chosen].reset_index(drop=True)


def _chosen(n: int, most: int | None, split: str) -> np.ndarray[tuple[int], np.dtype[np.int64]] | None:
    """Which rows of a split are read, the same ones for every run; None for all of them."""
    if most is None or n <= most:
        return None
    return np.sort(stream(0, "hub", split).choice(n, most, replace=False))
