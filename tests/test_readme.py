"""Every block of the README that needs nothing but the demo runs, and prints what the README says it prints."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
EXTRACTION = (ROOT / "docs" / "extraction.md").read_text()
SWEEPS = (ROOT / "docs" / "sweeps.md").read_text()
PROBES = (ROOT / "docs" / "probes.md").read_text()
BLOCK = r"```(\w*)\n(.*?)```"
BLOCKS = re.findall(BLOCK, README, flags=re.DOTALL)


def shape(text: str) -> list[str]:
    """The lines without their numbers, which another processor may round elsewhere."""
    return [re.sub(r"[\d.,]+", "#", line.rstrip()) for line in text.splitlines() if line.strip()]


def numbers(text: str) -> list[float]:
    """The numbers in the order in which they stand."""
    return [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]


def assert_told(printed: str, page: str) -> None:
    """What was printed is what the page says, but for the last digits: another processor rounds elsewhere."""
    assert shape(printed) == shape(page)
    assert numbers(printed) == pytest.approx(numbers(page), abs=0.031, rel=0.05)


def words(text: str) -> list[list[str]]:
    """The lines as words: tables may be a column wider elsewhere, and another penalty may be the best one."""
    return [[word for word in line.split() if word != "best"] for line in shape(text)]


@pytest.fixture
def after_the_demo(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder to stand in, like a checkout in which `make demo` has run."""
    here = tmp_path / "runs" / "demo"  # a folder of its own: what is written there is not for other tests
    here.mkdir(parents=True)
    for made in demo.iterdir():
        (here / made.name).symlink_to(made)
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("after_the_demo")
def test_the_blocks_after_the_demo_print_what_the_readme_says(
    w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    (at,) = [i for i, (_, text) in enumerate(BLOCKS) if text.startswith("w2s extract")]
    for line in BLOCKS[at][1].splitlines():
        w2s(*line.split()[1:])
    assert_told(capsys.readouterr().out, BLOCKS[at + 1][1])
    (at,) = [i for i, (kind, _) in enumerate(BLOCKS) if kind == "python"]
    exec(compile(BLOCKS[at][1], "README.md", "exec"), {})
    assert_told(capsys.readouterr().out, BLOCKS[at + 1][1])
    blocks = re.findall(BLOCK, PROBES, flags=re.DOTALL)
    for (kind, code), (_, printed) in zip(blocks[::2], blocks[1::2], strict=True):
        assert kind == "python"
        exec(compile(code, "probes.md", "exec"), {})
        assert words(capsys.readouterr().out) == words(printed)


@pytest.mark.usefixtures("after_the_demo")
def test_the_demo_prints_the_table_of_the_readme(w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    w2s("demo")
    printed = capsys.readouterr().out.splitlines()
    (table,) = [text for _, text in BLOCKS if text.startswith("AUROC on")]
    heading, _, task, *methods = table.splitlines()[1:]
    assert any(line.split() == heading.split() for line in printed)
    assert any(shape(line) == shape(table.splitlines()[0]) for line in printed)
    (at,) = [at for at, line in enumerate(printed) if line.strip() == task.strip()]
    lines = {line.split()[0]: " ".join(line.split()) for line in reversed(printed[at + 1 :]) if line.split()}
    for told in methods:  # some of those that the demo runs
        assert_told(lines[told.split()[0]], " ".join(told.split()))


@pytest.mark.usefixtures("after_the_demo")
def test_the_blocks_about_extraction_print_what_the_page_says(
    w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    ran = 0
    for block in re.finditer(BLOCK + r"(\n\n```\n(.*?)```)?", EXTRACTION, flags=re.DOTALL):
        if block[1] != "sh":
            continue
        for line in block[2].splitlines():
            w2s(*line.split()[1:])
        printed, expected = shape(capsys.readouterr().out), shape(block[4] or "")
        if "(and seven more)" in expected:  # the rows that the doctor read
            assert len(printed) == len(expected) + 6
            printed, expected = printed[8:], expected[2:]
        if expected:
            assert printed == expected
        ran += 1
    assert ran == 4


@pytest.mark.usefixtures("after_the_demo")
def test_the_blocks_about_audits_print_what_the_page_says(
    w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, object] = {}
    printed, compared = "", 0
    for kind, text in re.findall(BLOCK, (ROOT / "docs" / "auditing.md").read_text(), flags=re.DOTALL):
        if kind == "sh":
            for line in text.splitlines():
                w2s(*shlex.split(line)[1:])
        elif kind == "python":
            exec(compile(text, "auditing.md", "exec"), names)
        else:
            assert_told(printed, text)
            compared += 1
        printed = capsys.readouterr().out
    assert compared == 3


def test_the_page_about_clusters_sweeps_what_the_readme_has_made() -> None:
    page = (ROOT / "docs" / "cluster.md").read_text()
    calls = [line.split() for line in page.splitlines() if line.startswith("w2s sweep runs/")]
    assert [next(part for part in call if part in ("--jobs", "--shard")) for call in calls] == [
        "--jobs",
        *["--shard"] * 2,
    ]
    for call in calls:
        for path in call[2:4]:
            assert path in README


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    assert len(README.splitlines()) <= 150
    for page, folder in ((README, ROOT), (EXTRACTION, ROOT / "docs"), (PROBES, ROOT / "docs")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page):
            assert (folder / target).exists(), target
    for folder in re.findall(r"^\| `(\w+)/`", README, flags=re.MULTILINE):
        assert (ROOT / folder).is_dir()


@pytest.mark.usefixtures("after_the_demo")
def test_the_blocks_about_sweeps_and_the_readmes_last_ones_run(
    w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    extraction = next(text for _, text in BLOCKS if text.startswith("w2s extract"))
    w2s(*extraction.splitlines()[0].split()[1:])
    for kind, text in re.findall(BLOCK, SWEEPS, flags=re.DOTALL):
        if kind == "sh":
            w2s(*text.split()[1:])
        else:
            exec(compile(text, "sweeps.md", "exec"), {})
    said = capsys.readouterr().out
    assert "on held-out rows, best of 16" in said
    assert "AUROC, of 24 students" in said  # four layers, six students
    assert "best student layer" in said
    (last,) = [text for _, text in BLOCKS if text.startswith("w2s sweep runs/acts")]
    for line in last.splitlines():
        w2s(*line.split()[1:])
    said = capsys.readouterr().out
    assert "best of 155 by weak_brier" in said
    assert "runs/demo/report.html" in said
    assert "Did anything beat the plain student?" in Path("runs/demo/report.html").read_text()


@pytest.mark.usefixtures("after_the_demo")
def test_the_blocks_about_comparing_print_what_the_page_says(
    w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    page = re.findall(BLOCK, (ROOT / "docs" / "comparing.md").read_text(), flags=re.DOTALL)
    (compare, printed, code, frame, results) = [text for _, text in page]
    w2s(*compare.split()[1:])
    said, expected = (
        # Of differences near 0 the sign, and of small p the exponent, may be another on another processor.
        [re.sub(r"[-+]?#(e-#)?", "#", line) for line in shape(text)]
        for text in (capsys.readouterr().out, printed)
    )
    assert said == expected
    exec(compile(code, "comparing.md", "exec"), {})
    assert shape(capsys.readouterr().out) == shape(frame)
    w2s(*results.split()[1:])
    assert Path("runs/table.md").read_text().startswith("| run | task | method |")


@pytest.mark.usefixtures("after_the_demo")
def test_the_blocks_about_students_run(w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    page = re.findall(BLOCK, (ROOT / "docs" / "students.md").read_text(), flags=re.DOTALL)
    for kind, text in page:
        if kind == "sh":
            for line in text.splitlines():
                w2s(*line.split()[1:])
    assert "given_label - scored: AUROC" in capsys.readouterr().out
    ((_, code),) = [block for block in page if block[0] == "python"]
    exec(compile(code, "students.md", "exec"), {})
    assert capsys.readouterr().out == page[-1][1]
