"""Reading tasks: the file in data/tasks, then the rows from a local folder or from the hub."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from w2s_probes.errors import InputError, did_you_mean
from w2s_probes.io.files import sha256
from w2s_probes.io.readers import readable
from w2s_probes.io.tables import read_table
from w2s_probes.io.validated import read_toml, validated
from w2s_probes.rows.groups import GROUP

from .definition import KINDS, Task
from .rules import AnswerRule, FieldPart, LabelRule, Rule
from .sources import Hub, Local, SourceSplits
from .stress import Distractor, EasyOnly, Stress

TASKS = Path(__file__).parent.parent.parent / "data" / "tasks"
TABLES: dict[str, type[Rule]] = {
    "label": LabelRule,
    "answer": AnswerRule,
    "hub": Hub,
    "local": Local,
    "splits": SourceSplits,
    GROUP: FieldPart,
    "stress": Stress,
    "distractor": Distractor,
    "easy_only": EasyOnly,
}


@dataclass(frozen=True)
class TaskRows:
    """A task and its rows; no group, and no candidate's text, is in both train and test."""

    name: str
    task: Task  # as it holds for where the rows come from
    train: pd.DataFrame  # id, text, label 0/1, group
    test: pd.DataFrame  # the same
    candidates: pd.DataFrame | None  # of the test questions, see Task.with_candidates; None for single texts
    source: str  # `hub:ID@COMMIT`, or `sha256:` of the local files: what runs can be keyed by
    fields: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # values of the fields asked for, by row id

    @property
    def drawn_as(self) -> str:
        """The name by which rows are drawn at random: a stressed task has the rows of the plain one."""
        return self.task.like or self.name

    def candidates_of(self, ids: Any) -> pd.DataFrame:
        """The candidates of the questions that these test rows (n,) were drawn from, by the rows' ids."""
        if self.candidates is None:
            raise InputError(f"task {self.name}: single texts have no candidates: only choices and pairs do")
        return self.candidates[self.candidates["row"].isin(list(ids))].reset_index(drop=True)


def find_task(name: str) -> tuple[str, Task]:
    """A task and its short name, from a name in data/tasks or the path of a task file."""
    path = Path(name) if name.endswith(".toml") else TASKS / f"{name}.toml"
    if not path.is_file():
        raise InputError(f"task {name!r}: no file {path}; {did_you_mean(name, (p.stem for p in TASKS.glob('*.toml')))}")
    settings = read_toml(path)
    _refuse_unknown(Task, settings, str(path))
    return path.stem, validated(Task, _like(settings, path), str(path))


def _like(settings: dict[str, Any], path: Path) -> dict[str, Any]:
    """The keys of a task file on top of those of the task that it is like."""
    if not isinstance(name := settings.get("like"), str):
        return settings
    given = path.parent / name if name.endswith(".toml") else Path(name)
    short, base = find_task(str(given))
    if base.like is not None:
        raise InputError(f"{path}: like = {name!r}, which is like {base.like!r} itself: name that one")
    kept = base.model_dump(exclude_unset=True)
    if any(kind in settings for kind in KINDS):
        kept = {key: value for key, value in kept.items() if key not in (*KINDS, "answer", "shared")}
    return kept | settings | {"like": short}


def _refuse_unknown(kind: type[Rule], settings: dict[str, Any], where: str, prefix: str = "") -> None:
    """Refuse a key that a table of the task file does not know, before a key that is missing for its sake."""
    for key, value in settings.items():
        if key not in kind.model_fields:
            raise InputError(f"{where}: unknown key {prefix + key!r}; {did_you_mean(key, kind.model_fields)}")
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, dict) and key in TABLES:
                _refuse_unknown(TABLES[key], entry, where, f"{prefix}{key}.")


def read_task(name: str, folder: Path | None) -> tuple[Task, dict[str, pd.DataFrame]]:
    """A task with its `train` and `test` rows (see `load_task`)."""
    loaded = load_task(name, folder)
    return loaded.task, {"train": loaded.train, "test": loaded.test}


def load_task(name: str, folder: Path | None, fields: Sequence[str] = ()) -> TaskRows:
    """A task's rows from `folder`/NAME/train.jsonl.gz and test.jsonl.gz, or without a folder from the hub.

    `fields` are those of the source whose values in test rows are wanted, too; InputError where one has none.

    A test row whose text or group is also in train stays in test; the train row goes, and so does a train row whose
    text is a candidate of a test question. InputError where there is neither a file nor a dataset, or they do not fit.
    """
    short, task = find_task(name)
    if folder is None:
        task, tables, source = _from_hub(short, task)
    else:
        task = task.here()
        tables, source = _from_folder(task.like or short, task, folder)
    if "test" in tables:
        train = task.rows(*tables["train"])
        test, candidates = task.with_candidates(*tables["test"])
    else:
        assert task.hub is not None
        assert task.hub.n_test is not None
        pool, candidates = task.with_candidates(*tables["train"])
        train, test = held_out(pool, task.hub.n_test, tables["train"][1])
        if candidates is not None:
            candidates = candidates[candidates["row"].isin(test["id"])].reset_index(drop=True)
    seen = set(test["id"]) | set(candidates["id"] if candidates is not None else ())
    leaks = train["id"].isin(seen) | train[GROUP].isin(test[GROUP])
    of_test = {"test": tables["test"]} if "test" in tables else tables
    values = {name: _values(task, of_test, name) for name in fields}
    if task.stress is not None and task.stress.easy_only is not None and (told_by := task.stress.easy_only.field):
        values[told_by] = _values(task, tables, told_by)
    return TaskRows(short, task, train[~leaks].reset_index(drop=True), test, candidates, source, values)


@dataclass(frozen=True)
class TaskTest:
    """The test rows of a task, without any to train on."""

    name: str
    task: Task
    test: pd.DataFrame  # id, text, label 0/1, group


def load_test(name: str, folder: Path | None) -> TaskTest:
    """The test part of a task, as `load_task` has it; a folder need not hold rows to train on."""
    short, task = find_task(name)
    if folder is None:
        loaded = load_task(name, None)
        return TaskTest(short, loaded.task, loaded.test)
    task = task.here()
    tables, _ = _from_folder(task.like or short, task, folder, ("test",))
    return TaskTest(short, task, task.rows(*tables["test"]))


def load_test_file(task: Task, path: Path) -> pd.DataFrame:
    """Rows (id, text, label 0/1, group) of a file in a task's own fields. InputError where there are none."""
    if not path.is_file():
        raise InputError(f"{path}: no such file of test rows")
    return task.rows(read_table(path), str(path))


def _values(task: Task, tables: Mapping[str, tuple[pd.DataFrame, str]], name: str) -> dict[str, str]:
    """The value of a field by row id, in these tables."""
    return {row: value for table, where in tables.values() for row, value in task.values(table, where, name).items()}


def held_out(pool: pd.DataFrame, n_test: int, where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train and test rows: `n_test` rows, by the groups' hashes; the rest of the last group is unused."""
    if len(pool) <= n_test:
        raise InputError(
            f"{where}: n_test = {n_test}, but there are {len(pool)} rows: lower hub.n_test in the task file"
        )
    ordered = pool.sort_values(GROUP, kind="stable")  # groups are hashes: as good as any random order, and fixed
    test = ordered.iloc[:n_test]
    return pool[~pool[GROUP].isin(test[GROUP])].reset_index(drop=True), test.reset_index(drop=True)


def _from_folder(
    short: str, task: Task, folder: Path, parts: Sequence[str] = ("train", "test")
) -> tuple[dict[str, tuple[pd.DataFrame, str]], str]:
    """The tables with what to call them in errors, and the source."""
    tables, hashes = {}, []
    for part in parts:
        names = getattr(task.local.splits, part)
        paths = [_file(short, task, folder, name) for name in ([names] if isinstance(names, str) else names)]
        tables[part] = pd.concat([read_table(path) for path in paths], ignore_index=True), " and ".join(map(str, paths))
        hashes += [f"{part} {sha256(path)}" for path in paths]
    return tables, "sha256:" + hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _file(short: str, task: Task, folder: Path, name: str) -> Path:
    files = [folder / short / f"{name}{ending}" for ending in (".jsonl.gz", *readable())]
    for path in files:
        if path.is_file():
            return path
    remedy = f", or leave data.folder out to read {task.hub.id} from the hub" if task.hub is not None else ""
    raise InputError(f"{files[0]}: no such file; put the rows of task {short!r} there{remedy}")


def _from_hub(short: str, task: Task) -> tuple[Task, dict[str, tuple[pd.DataFrame, str]], str]:
    """The task as it holds on the hub, its tables with what to call them in errors, and the source."""
    if task.hub is None:
        raise InputError(f"task {short!r} has no hub dataset: set data.folder to a folder that holds {short}/")
    from .hub import read_hub

    read = read_hub(short, task.hub)
    source = f"hub:{task.hub.id}@{read.commit}"
    tables = {part: (table, f"{source}, {part}") for part, table in read.tables.items()}
    if task.hub.n_test is not None:
        pooled = pd.concat([table for table, _ in tables.values()], ignore_index=True)
        tables = {"train": (pooled, f"{source}, all splits")}
    return task, tables, source
