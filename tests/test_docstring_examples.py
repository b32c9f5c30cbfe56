"""The examples in docstrings run and give what they say, and every class of the library's faces has one."""

import ast
import doctest
import inspect
from importlib import import_module
from pathlib import Path

import pytest

import w2s_probes
from tests.conftest import ROOT

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PACKAGES = ("w2s_probes", "extract", "analyses")


def with_examples() -> list[str]:
    """The modules in one of whose docstrings there is an example."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    found = [file for file in files if any(">>>" in text for text in docstrings(file))]
    return [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in found]


def docstrings(file: Path) -> list[str]:
    """The docstrings of a file."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, kinds)]
    return [text for node in nodes if (text := ast.get_docstring(node))]


@pytest.mark.parametrize("name", with_examples())
def test_the_examples_of_a_module_give_what_they_say(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(import_module(name), optionflags=FLAGS)
    assert result.attempted > 0
    assert result.failed == 0


def test_every_public_class_of_the_library_has_an_example() -> None:
    public = [getattr(w2s_probes, name) for name in w2s_probes.__all__]
    classes = [one for one in public if inspect.isclass(one) and not issubclass(one, Exception)]
    assert len(classes) > 7
    assert [one.__name__ for one in classes if ">>>" not in (one.__doc__ or "")] == []
