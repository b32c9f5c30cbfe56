"""The shape of the repository: which way imports point, what importing the library loads, what the wheel holds."""

import ast
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT, SLOW, UNHURRIED
from tests.import_graph import PACKAGES, classes, cycles, imports, modules, rooms


def imported(path: Path, among: set[str]) -> set[str]:
    """Those of some names that are top-level names of absolute imports in a file."""
    text, names = path.read_text(), set()
    if not any(name in text for name in among):  # parsing takes longer
        return set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names & among


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_imports_tests_or_tools(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        assert not imported(file, {"tests", "tools"}), file


def test_only_the_one_trace_and_its_way_to_ndif_know_nnsight() -> None:
    # remote.py traces nothing itself: it sends the block of trace.py elsewhere and turns the client's errors into ours.
    users = [f for f in ROOT.glob("[!.]*/**/*.py") if "tests" not in f.parts and imported(f, {"nnsight"})]
    assert sorted(str(f.relative_to(ROOT)) for f in users) == ["extract/forward/remote.py", "extract/forward/trace.py"]


def test_importing_the_library_its_command_line_and_recipes_stays_light() -> None:
    code = (
        "import sys, w2s_probes, w2s_probes.cli.app, analyses.recipe.read; "
        "print([m for m in ('torch', 'transformers', 'nnsight', 'matplotlib', 'scipy.stats') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_dependency_has_a_reason_beside_it() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    requirements = [line for line in lines if line.startswith('    "') and ">=" in line]
    assert len(requirements) > 15
    assert all("#" in line for line in requirements)


def test_constraints_pin_every_direct_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    assert {r.partition(">=")[0] for r in wanted} <= pinned
    assert "torch==2.13.0" in lines


def test_no_file_of_the_packages_is_longer_than_300_lines() -> None:
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            assert len(file.read_text().splitlines()) <= 300, file


def test_no_modules_import_each_other_in_a_circle_not_even_for_types_or_inside_functions() -> None:
    assert cycles(imports()) == []


def test_the_rooms_of_the_analyses_are_in_no_circle() -> None:
    graph = rooms({name: others for name, others in imports().items() if name.startswith("analyses")})
    assert [circle for circle in cycles(graph) if any(room.startswith("analyses") for room in circle)] == []


def test_what_points_up_is_the_command_line_alone() -> None:
    up = {
        name
        for name, others in imports().items()
        for other in others
        if PACKAGES.index(name.partition(".")[0]) < PACKAGES.index(other.partition(".")[0])
    }
    assert up
    assert {name for name in up if not name.startswith("w2s_probes.cli.")} == set()


def test_a_files_name_is_that_of_two_rooms_at_most() -> None:
    files = Counter(file.name for file in modules().values())
    assert {name for name, times in files.items() if times > 2} <= {"__init__.py", "__main__.py"}


def test_a_class_is_named_once() -> None:
    names = Counter(name for name, _ in classes())
    assert {name for name, times in names.items() if times > 1} == set()


def test_the_slow_tests_are_files_that_are_there() -> None:
    assert {name for name in SLOW | UNHURRIED if not (ROOT / name).is_file()} == set()
    assert not SLOW & UNHURRIED
    assert len(SLOW) > 50
