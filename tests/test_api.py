"""The API page: it is that of today's code, says something of every name, and its signatures are the real ones."""

import importlib
import inspect
import re
from functools import cached_property
from typing import Any

import pytest

import w2s_probes
from tests.api_page import PAGE, SURFACE, page, surface
from tests.api_source import ROOT, Entry, entry

ENTRIES = [pytest.param(module, one, id=one.name) for module, entries in surface().items() for one in entries]


def test_the_page_is_that_of_todays_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "make it again: python -m tests.api_page"


def test_every_public_name_of_the_library_is_on_it() -> None:
    assert {one.short for one in surface()["w2s_probes"]} == set(w2s_probes.__all__)
    assert all(getattr(w2s_probes, name) is not None for name in w2s_probes.__all__)
    assert set(w2s_probes.__all__) <= set(dir(w2s_probes))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        w2s_probes.nonsense  # noqa: B018


def test_its_links_lead_somewhere_and_no_place_has_two_names() -> None:
    text = page()
    anchors = re.findall(r'<a id="([^"]+)">', text)
    assert len(anchors) == len(set(anchors)) > 100
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert target[1:] in anchors if target.startswith("#") else (ROOT / "docs" / target).is_file(), target


@pytest.mark.parametrize(("module", "one"), ENTRIES)
def test_what_is_said_of_a_name_is_what_python_finds_there(module: str, one: Entry) -> None:
    """An independent reader: the page is made from the text of the code, this looks at the code as imported."""
    found = getattr(importlib.import_module(module), one.short)
    if one.kind == "value":
        assert not inspect.isroutine(found)
        return
    assert found.__doc__
    assert one.doc == inspect.cleandoc(found.__doc__)
    if one.kind == "function":
        assert parameters(one) == names(found)
        return
    if not issubclass(found, Exception | dict):  # builtins have no signature
        assert parameters(one) == names(found)
    for member in one.members:
        assert member.doc, f"{one.name}.{member.short} has no docstring"
        actual = inspect.getattr_static(found, member.name)
        if member.kind == "property":
            assert isinstance(actual, property | cached_property)
        else:
            assert parameters(member) == [name for name in names(getattr(found, member.name)) if name != "self"]


def names(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def parameters(one: Entry) -> list[str]:
    """The names of the parameters in a signature as printed."""
    inside = one.signature.partition("(")[2].rpartition(")")[0]
    depth, parts = 0, [""]
    for letter in inside:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    found = [re.split(r"[:=]", part)[0].strip() for part in parts]
    return [name.lstrip("*") for name in found if name.strip("*")]


def test_fields_come_with_their_types_and_comments() -> None:
    fields = {name: (kind, comment) for name, kind, comment in entry("w2s_probes", "LabelSet").fields}
    assert fields["p"] == ("NDArray[np.float64]", "(n,) P(label = 1) in [0, 1]")
    assert entry("w2s_probes", "LabelSet").signature.endswith("provenance: dict[str, Any] = {},\n)")


def test_the_modules_of_the_page_are_there() -> None:
    for module in SURFACE:
        assert importlib.import_module(module).__doc__
