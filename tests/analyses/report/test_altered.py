"""Files that are not as a run or a sweep wrote them: a report says so at the place, and follows no path outside."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from analyses.report import write_report
from tests.worlds.report_folders import write_run, write_sweep
from tests.worlds.sweeping import planted_store
from w2s_probes import InputError
from w2s_probes.io import sealed
from w2s_probes.io.files import is_inside, is_plain, sha256
from w2s_probes.io.sealed import CHANGED, CHECKSUM, FILES, GONE, not_as_written, write_sealed
from w2s_probes.io.tables import write_table
from w2s_probes.sweep import SweepResult, sweep

NOT_AS_WRITTEN = "Not as the {} wrote it, so not to be relied on: {}."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run and a sweep."""
    made = tmp_path_factory.mktemp("altered")
    write_run(made / "run", ["a", "b"], n=20)
    world = planted_store(made / "acts")
    result = sweep(world.path, world.table, layers="0-1", knn_k=[3, 5])
    (made / "sweep").mkdir()
    result.write(made / "sweep" / "sweep.csv")
    return made


@pytest.fixture
def change(folder: Path) -> Iterator[Callable[[str, bytes | None], None]]:
    """Puts another content in a file's place, or none; all is as it was afterwards."""
    old: dict[Path, bytes] = {}

    def put(name: str, content: bytes | None) -> None:
        file = folder / name
        old.setdefault(file, file.read_bytes())
        file.unlink()
        if content is not None:
            file.write_bytes(content)

    yield put
    for file, content in old.items():
        file.write_bytes(content)


def told(folder: Path) -> tuple[str, list[str]]:
    """The page, and what is said beside it."""
    said: list[str] = []
    page = write_report(folder, folder.parent / "page.html", warn=said.append).read_text()
    return page, said


def refused_or_told(folder: Path) -> tuple[str, list[str]]:
    """As `told`; no page, and the error, where the folder is refused."""
    try:
        return told(folder)
    except InputError as error:
        return "", [str(error)]


def names(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def test_a_record_lists_every_file_beside_it(folder: Path) -> None:
    for kind, record in (("run", "run.json"), ("sweep", "sweep.json")):
        listed = json.loads((folder / kind / record).read_text())[FILES]
        assert sorted([*listed, record]) == names(folder / kind)
        assert all(sha256(folder / kind / name) == checksum for name, checksum in listed.items())
        page, said = told(folder / kind)
        assert "so not to be relied on" not in page
        assert said == []


PLACES = {  # where a page says that a file is not as it was written, beside the answer
    "results.csv": "results",
    "comparisons.csv": "results",
    "predictions/a-0.csv": "results",
    "recipe.toml": "again",
    "filters/a-0-filter-knn.jsonl.gz": "filters",
}


@pytest.mark.parametrize("name", PLACES)
def test_a_changed_file_is_named_at_its_place(
    name: str, folder: Path, change: Callable[[str, bytes | None], None]
) -> None:
    file = folder / "run" / name
    if name.endswith(".gz"):
        change(f"run/{name}", (folder / "run" / name.replace("a-0", "b-0")).read_bytes())
    else:
        content = file.read_bytes()
        at = max(content.rfind(digit) for digit in (b"1", b"2", b"3", b"4"))
        change(f"run/{name}", content[:at] + b"7" + content[at + 1 :])  # a digit that means another number
    page, said = told(folder / "run")
    line = NOT_AS_WRITTEN.format("run", name)
    assert said == [f"{folder / 'run'}: {line} To have it anew: run the recipe again, which reuses what is kept."]
    assert page.count(line) == 2
    assert page.index(line) < page.index('id="r0"')  # in the answer
    assert page.index(f'id="r0-{PLACES[name]}"') < page.rindex(line)


def test_a_file_that_has_gone_is_named(folder: Path, change: Callable[[str, bytes | None], None]) -> None:
    change("run/predictions/b-0.csv", None)
    page, said = told(folder / "run")
    assert said == [f"{folder / 'run'}: Written by the run and not there any more: predictions/b-0.csv."]
    assert page.count("not there any more: predictions/b-0.csv") == 2


@pytest.mark.parametrize("name", ["run/run.json", "sweep/sweep.json"])
def test_a_record_knows_itself(name: str, folder: Path, change: Callable[[str, bytes | None], None]) -> None:
    record = json.loads((folder / name).read_text())
    kind, file = name.split("/")
    versions = record["versions"] | {"numpy": "9.9.9"}
    changed = {**record, "versions": versions}
    unsealed = {key: value for key, value in changed.items() if key != CHECKSUM}
    for content in (changed, unsealed, {**record, CHECKSUM: record[CHECKSUM][::-1]}):
        change(name, json.dumps(content).encode())
        assert NOT_AS_WRITTEN.format(kind, file) in told(folder / kind)[0]
    of_before = {key: value for key, value in unsealed.items() if key != FILES}
    change(name, json.dumps(of_before).encode())  # nothing could be checked
    assert told(folder / kind)[1] == []
    change(name, json.dumps(record, indent=4, sort_keys=True).encode())  # the same in other words
    assert told(folder / kind)[1] == []


def test_no_changed_bit_is_shown_as_a_result(folder: Path, change: Callable[[str, bytes | None], None]) -> None:
    """Of every file that a page is made of: it is refused, or named, or the page is the same."""
    rng = np.random.default_rng(0)
    outcomes = {"refused": 0, "named": 0, "same": 0}
    for kind in ("run", "sweep"):
        whole = told(folder / kind)[0]
        for name in names(folder / kind):
            content = (folder / kind / name).read_bytes()
            for place in rng.integers(len(content), size=3).tolist():
                flipped = bytearray(content)
                flipped[place] ^= 1 << int(rng.integers(8))
                change(f"{kind}/{name}", bytes(flipped))
                page, said = refused_or_told(folder / kind)
                assert page in ("", whole) or said, (name, place)
                assert not said or name in said[0]
                outcomes["refused" if not page else "named" if said else "same"] += 1
            change(f"{kind}/{name}", content)
    assert outcomes["refused"] > 5
    assert outcomes["named"] > 5


def test_a_sweep_that_is_not_as_written_is_not_read_as_one(tmp_path: Path) -> None:
    write_sweep(tmp_path)  # a record of before there were checksums
    table, record = tmp_path / "sweep.csv", tmp_path / "sweep.json"
    result = SweepResult.read(table)
    result.write(tmp_path / "again.csv")
    SweepResult.read(tmp_path / "again.csv")
    write_table(result.table.assign(value=0.5), tmp_path / "again.csv")
    with pytest.raises(InputError, match=r"again\.csv: not as the sweep wrote it: sweep again"):
        SweepResult.read(tmp_path / "again.csv")
    for text in ("[" * 200_000, "[]", "3"):
        record.write_text(text)
        with pytest.raises(InputError, match=r"sweep\.json"):
            SweepResult.read(table)


def test_names_that_lead_elsewhere_are_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def hashed(path: Path) -> str:
        opened.append(path)
        return ""

    inside = tmp_path / "inside"
    (inside / "labels").mkdir(parents=True)
    for file in (tmp_path / "private", inside / "a.csv", inside / "labels" / "b.csv"):
        file.write_text("x")
    leading = ["../private", str(tmp_path / "private"), "labels/../../private", "./a.csv", "labels//b.csv", "", "a\0b"]
    write_sealed(inside / "run.json", {}, ["a.csv", "labels/b.csv"])
    record = json.loads((inside / "run.json").read_text())
    monkeypatch.setattr(sealed, "sha256", hashed)
    outside = not_as_written(inside / "run.json", {**record, FILES: dict.fromkeys(leading, "0")})
    assert outside == {"run.json": CHANGED}
    assert opened == []
    assert not_as_written(inside / "run.json", record) == {"a.csv": CHANGED, "labels/b.csv": CHANGED}
    (inside / "a.csv").unlink()
    assert not_as_written(inside / "run.json", record, ["a.csv"]) == {"a.csv": GONE}
    assert not any(map(is_inside, leading))
    assert not any(map(is_plain, [*leading, "a/b", ".."]))
    assert is_plain("a task, seed 3")
