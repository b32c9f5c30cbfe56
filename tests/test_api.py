"""The API pages: those of today's code, with something said of every name, and the real signatures."""

import importlib
import inspect
import re
from functools import cached_property
from typing import Any

import pytest

import w2s_probes
from tools.api_pages.pages import FOLDER, INDEX, SURFACE, pages, rooms, surface
from tools.api_pages.source import Entry, entry

ENTRIES = [pytest.param(module, one, id=one.name) for module, entries in surface().items() for one in entries]


def test_the_pages_are_those_of_todays_code() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert there == pages(), "make them again: make api"


def test_each_room_has_a_page_and_each_name_one_room() -> None:
    assert len(pages()) == len(rooms()) + 1 > 10
    names = [one.name for entries in rooms().values() for one in entries]
    assert len(names) == len(set(names)) == sum(map(len, surface().values()))
    for room, entries in rooms().items():
        assert all(one.source.startswith(room.replace(".", "/") + "/") for one in entries)


def test_every_public_name_of_the_library_is_on_it() -> None:
    assert {one.short for one in surface()["w2s_probes"]} == set(w2s_probes.__all__)
    assert all(getattr(w2s_probes, name) is not None for name in w2s_probes.__all__)
    assert set(w2s_probes.__all__) <= set(dir(w2s_probes))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        w2s_probes.nonsense  # noqa: B018


def test_their_links_lead_somewhere_and_no_place_has_two_names() -> None:
    made = pages()
    anchors = {name: re.findall(r'<a id="([^"]+)">', text) for name, text in made.items()}
    everywhere = [anchor for found in anchors.values() for anchor in found]
    assert len(everywhere) == len(set(everywhere)) > 100
    assert not anchors[INDEX]
    for text in made.values():
        for target in re.findall(r"\]\(([^)]+)\)", text):
            page, _, anchor = target.partition("#")
            if anchor:
                assert anchor in anchors[page], target
            else:
                assert (FOLDER / page).is_file(), target


@pytest.mark.parametrize(("module", "one"), ENTRIES)
def test_what_is_said_of_a_name_is_what_python_finds_there(module: str, one: Entry) -> None:
    """An independent reader: a page is made from the text of the code, this looks at the code as imported."""
    found = getattr(importlib.import_module(module), one.short)
    if one.kind == "value":
        assert not inspect.isroutine(found)
        return
    assert found.__doc__
    assert one.doc == inspect.cleandoc(found.__doc__)
    if one.kind == "function":
        assert parameters(one) == names(found)
        return
    if not issubclass(found, Exception | dict):  # builtins have no signature; what begins with _ is no user's to give
        assert parameters(one) == [name for name in names(found) if not name.startswith("_")]
    for member in one.members:
        assert member.doc, f"{one.name}.{member.short} has no docstring"
        actual = inspect.getattr_static(found, member.name)
        if member.kind == "property":
            assert isinstance(actual, property | cached_property)
        else:
            assert parameters(member) == [name for name in names(getattr(found, member.name)) if name != "self"]


def names(function: Any) -> list[str]:
    """The names of the parameters; fields of a class that are its own are on no page."""
    return [name for name in inspect.signature(function).parameters if not name.startswith("_")]


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


def test_the_modules_of_the_pages_are_there() -> None:
    for module in SURFACE:
        assert importlib.import_module(module).__doc__
