"""The requirements that `make test-lowest` installs are the declared lower bounds, and nothing else."""

from pathlib import Path

import pytest

from tools.lowest import TOOLS, lowest

PROJECT = """
[project]
dependencies = ["numpy>=2.0", "pandas>=2.2.2"]

[project.optional-dependencies]
models = ["torch>=2.6", "peft>=0.18"]
odd = ["scipy>=1,<2"]
"""
CONSTRAINTS = "# exact\ntorch==2.13.0\n" + "".join(f"{name}==9.9\n" for name in TOOLS).replace("-", "_")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project of two dependencies and two extras."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "constraints.txt").write_text(CONSTRAINTS)
    return tmp_path


def test_every_dependency_stands_at_its_lower_bound_and_torch_at_the_constraints(root: Path) -> None:
    tools = [f"{name}==9.9" for name in TOOLS]
    assert lowest(["models"], root) == ["numpy==2.0", "pandas==2.2.2", "torch==2.13.0", "peft==0.18", *tools]
    assert lowest([], root) == ["numpy==2.0", "pandas==2.2.2", *tools]


def test_what_cannot_be_pinned_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match="'scipy>=1,<2': write name>=version"):
        lowest(["odd"], root)
    with pytest.raises(ValueError, match="none: no such extra; there are models, odd"):
        lowest(["none"], root)


def test_every_declared_dependency_of_this_project_has_a_lowest_version() -> None:
    found = lowest(["models", "notebook", "dask", "ray", "tracking", "dev"])
    assert "typer==0.20" in found
    assert all(line.count("==") == 1 for line in found)
