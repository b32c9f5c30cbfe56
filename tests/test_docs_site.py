"""The documentation's site and what stands beside the code: every page is reached, every link leads somewhere."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import w2s_probes
from analyses.recipe.read import read_recipe
from tests.conftest import ROOT
from tests.test_readme import BLOCK, shape
from tools.site import pages
from tools.site.pages import FENCE, INCLUDE, LINK, MADE, OUTSIDE, api, of_site, readme

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
LINKED = [*PAGES, *(ROOT / source for source in OUTSIDE)]
COMING = sorted(DOCS.glob("coming-from-*.md"))
CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def leaves(nav: Any) -> list[str]:
    """Every page that a navigation names."""
    if isinstance(nav, str):
        return [nav]
    return [page for part in (nav.values() if isinstance(nav, dict) else nav) for page in leaves(part)]


def slugs(text: str) -> set[str]:
    """The places of a page that links name: its headings as GitHub spells them, and its anchors."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), flags=re.MULTILINE)
    spelled = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return spelled | set(re.findall(r'<a id="([^"]+)"', text))


def test_every_page_is_in_the_navigation_once() -> None:
    named = [*leaves(CONFIG["nav"]), *api().values()]
    assert len(named) == len(set(named))
    assert set(named) == {str(path.relative_to(DOCS)) for path in PAGES} | set(MADE)


@pytest.mark.parametrize("path", LINKED, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_place_in_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for _, _, target in LINK.findall(FENCE.sub("", text)):
        if ":" in target.partition("#")[0]:
            assert target.startswith("https://"), target
            continue
        name, _, anchor = target.partition("#")
        there = path.parent / name if name else path
        assert there.exists(), target
        if anchor:
            assert anchor in slugs(there.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_on_the_site_links_lead_to_its_pages_alone(path: Path) -> None:
    page = str(path.relative_to(DOCS))
    known = {str(file.relative_to(DOCS)) for file in DOCS.rglob("*") if file.is_file()} | set(OUTSIDE.values())
    text = of_site(path.read_text(encoding="utf-8"), page)
    for _, _, target in LINK.findall(FENCE.sub("", text)):
        name = target.partition("#")[0]
        if name and ":" not in name:
            assert str((path.parent / name).resolve().relative_to(DOCS)) in known, target
    assert "<!-- README" not in text


def test_what_the_site_rewrites() -> None:
    assert of_site("[a](../../README.md) [p](../probes.md)", "api/x.md") == "[a](../quickstart.md) [p](../probes.md)"
    text = "[a](../README.md) [b](../data/README.md#x) [errors.py](../w2s_probes/errors.py) [it](../pyproject.toml)"
    assert of_site(text, "x.md") == ("[a](quickstart.md) [b](data.md#x) `w2s_probes/errors.py` it (`pyproject.toml`)")
    text = "[files.md](files.md) [x](x.md) [y](x.md#z)"
    assert of_site(text, "x.md") == "[Row and label files](files.md) x [y](x.md#z)"
    text = "[e](../w2s_probes/errors.py)"
    assert of_site(text, "x.md", repository="https://at") == "[e](https://at/w2s_probes/errors.py)"
    assert of_site('<a id="a.b"></a>\n## `b`', "x.md") == "## `b` { #a.b }"
    assert of_site("| `a\\|b` | c\\|d |", "x.md") == "| `a|b` | c\\|d |"
    assert of_site("| `--jobs`, `a - b` |", "x.md") == "| `--jobs`{ .whole }, `a - b` |"
    fenced = '```sh\n[a](../README.md)\n| `a\\|b`\n<a id="x"></a>\n# y\n```'
    assert of_site(fenced, "x.md") == fenced


def test_the_parts_of_the_readme_that_pages_show_are_there() -> None:
    marks = {mark for path in PAGES for mark in INCLUDE.findall(path.read_text(encoding="utf-8"))}
    assert len(marks) > 6
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for mark in marks:
        assert readme(mark) in text
    with pytest.raises(ValueError, match="has no part 'Nonsense': promise, demo, "):
        readme("Nonsense")


@pytest.mark.parametrize("path", COMING, ids=lambda path: path.stem)
def test_what_is_typed_here_is_right(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Blocks of Python that need no file run and print what the page says; recipes are read; names are ours."""
    text = path.read_text(encoding="utf-8")
    ran, blocks = 0, re.findall(BLOCK, text, flags=re.DOTALL)
    for (kind, code), (_, printed) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind == "toml":
            (tmp_path / "recipe.toml").write_text(code)
            read_recipe(tmp_path / "recipe.toml")
            ran += 1
        elif kind == "python" and "w2s_probes" in code:
            exec(compile(code, path.name, "exec"), {})
            assert shape(capsys.readouterr().out) == shape(printed)
            ran += 1
        elif kind == "python":
            ast.parse(code)
    assert ran
    right = re.findall(r"^\|[^|\n]*(?:\\\|[^|\n]*)*\|(.*)\|$", text, flags=re.MULTILINE)
    methods = {name for cell in right for name in re.findall(r"`((?:student|filter|relabel|s2s)-[\w-]+)`", cell)}
    if methods:
        rest = 'data = { tasks = ["a"] }\nweak = { kind = "text" }\nstrong = { model = "m" }\n'
        (tmp_path / "named.toml").write_text(f"methods = {sorted(methods)}\n{rest}")
        read_recipe(tmp_path / "named.toml")


def test_the_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "w2s_probes/__init__.py"
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == w2s_probes.__version__
    assert citation["license"] == project["project"]["license"]
    assert f"\n## {w2s_probes.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_workflows_pages_and_hooks_call_what_is_there() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert len(WORKFLOWS) >= 3
    for path in WORKFLOWS:
        called = [
            step["run"]
            for job in yaml.safe_load(path.read_text())["jobs"].values()
            for step in job["steps"]
            if "run" in step
        ]
        assert called
        for command in called:
            assert re.fullmatch(r"make ([\w-]+)", command), f"{path.name}: {command}: a step is one target"
            assert command.removeprefix("make ") in targets, f"{path.name}: {command}"
    for path in (ROOT / "CONTRIBUTING.md", DOCS / "releasing.md", ROOT / ".ci" / "run"):
        calls = re.findall(r"(?:`|^ *)make ((?:-j \d+ |-O )*)([\w -]+)", path.read_text(), flags=re.MULTILINE)
        for target in [
            target for _, named in calls for target in (named.split() if path.name == "run" else named.split()[:1])
        ]:
            assert target in targets, f"{path.name}: make {target}"
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"]


def test_contributing_and_architecture_name_files_that_are_there() -> None:
    for path in (ROOT / "CONTRIBUTING.md", DOCS / "architecture.md"):
        names = re.findall(r"`((?:w2s_probes|extract|analyses|data|tests|tools|docs)/[\w./-]*)`", path.read_text())
        assert names
        for name in names:
            assert (ROOT / name).exists(), f"{path.name}: {name}"


def test_every_room_is_on_the_page_about_them() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    for package in ("w2s_probes", "extract", "analyses"):
        rooms = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
        assert (
            set(re.findall(rf"^\| `{package}/(\w+)/`", page.partition("## Where a change goes")[0], re.MULTILINE))
            == rooms
        )


def test_nothing_of_the_site_comes_from_the_web() -> None:
    theme = CONFIG["theme"]
    assert theme["font"] is False
    assert not [path for path in CONFIG["extra_css"] if ":" in path]
    assert "extra_javascript" not in CONFIG
    assert CONFIG["strict"] is True
    built = re.findall(r"mkdocs build.*", (ROOT / "Makefile").read_text())
    assert built == ["mkdocs build --strict"]  # quietly, mkdocs counts no warnings
    assert pages.ROOT == ROOT
