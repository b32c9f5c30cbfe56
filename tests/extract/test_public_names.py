"""The extractor's public names are at hand, and cost nothing until they are used."""

import subprocess
import sys

import pytest

import extract


def test_every_public_name_is_the_one_of_its_module() -> None:
    for name in extract.__all__:
        found = getattr(extract, name)
        assert found.__name__ == name
        assert found.__module__.startswith("extract.")
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        extract.nonsense  # noqa: B018


def test_importing_the_extractor_loads_neither_torch_nor_transformers() -> None:
    code = "import sys, extract; print({'torch', 'transformers', 'nnsight'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
