"""JSON and TOML that others have written are read as they stand, or refused in one line that names the file."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ROOT
from w2s_probes.errors import InputError
from w2s_probes.io.json_files import DEPTH, parse_json, read_json
from w2s_probes.io.tables import write_table
from w2s_probes.io.validated import read_toml
from w2s_probes.store.manifest import MANIFEST, Manifest
from w2s_probes.sweep import SweepResult
from w2s_probes.sweep.beside import refuse_other_record
from w2s_probes.sweep.measures import COLUMNS
from w2s_probes.sweep.unit import read_part, write_part

HOSTILE_JSON = {
    "a list in lists": (b"[" * 100_000, "nested too deep"),
    "an object in objects": (b'{"a":' * 900 + b"1" + b"}" * 900, "nested (too|more than 100 levels) deep"),
    "a number of many digits": (b'{"a": ' + b"9" * 5000 + b"}", "a whole number of 5000 digits"),
    "a number just beyond 64 bits": (b'{"a": 18446744073709551616}', "beyond 64 bits"),
    "a number far below zero": (b'{"a": [-9223372036854775809]}', "beyond 64 bits"),
    "half of a surrogate pair": (b'{"a": "\\ud800"}', "surrogates not allowed"),
    "a key of half a pair": (b'{"\\udbff": 1}', "surrogates not allowed"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "BOM"),
    "another encoding": ('{"a": "é"}'.encode("latin-1"), "utf-8"),
    "zero bytes": (b"\0" * 20, "Expecting value"),
    "nothing": (b"", "Expecting value"),
    "half of it": (b'{"a": [1, 2', "Expecting"),
}
HOSTILE_TOML = {
    "a list in lists": (b"a = " + b"[" * 50_000, "nested too deep"),
    "a table in tables": (b"a = " + b"{a=" * 400 + b"1" + b"}" * 400, "nested (too|more than 100 levels) deep"),
    "a key of many parts": (b".".join([b"a"] * 3000) + b" = 1", "nested more than 100 levels deep"),
    "a number of many digits": (b"a = " + b"9" * 5000, "not valid TOML"),
    "a number beyond 64 bits": (b"a = 18446744073709551616", "beyond 64 bits"),
    "a key twice": (b"a = 1\na = 2", "overwrite"),
    "zero bytes": (b"\0" * 20, "Invalid"),
    "another encoding": ("a = 'é'".encode("latin-1"), "utf-8"),
}
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values)
def test_sound_json_is_read_as_it_stands(value: Any) -> None:
    assert parse_json(json.dumps(value), "here") == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace"), "here") == value


def test_nesting_is_allowed_down_to_the_bound() -> None:
    assert parse_json("[" * DEPTH + "]" * DEPTH, "here")
    with pytest.raises(InputError, match="nested"):
        parse_json("[" * (DEPTH + 2) + "]" * (DEPTH + 2), "here")


def test_a_name_that_is_no_utf8_survives_being_noted() -> None:
    name = b"a\xff.npy".decode(errors="surrogateescape")
    assert parse_json(json.dumps(name), "here") == name


@pytest.mark.parametrize("case", HOSTILE_JSON)
def test_hostile_json_is_refused_in_one_line_that_names_the_file(case: str, tmp_path: Path) -> None:
    content, message = HOSTILE_JSON[case]
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=message) as refused:
        read_json(tmp_path / "a.json", "copy it again")
    line = str(refused.value)
    assert line.startswith(f"{tmp_path / 'a.json'}: ")
    assert line.endswith(": copy it again")
    assert "\n" not in line
    assert len(line) < len(str(tmp_path)) + 220


@pytest.mark.parametrize("case", HOSTILE_TOML)
def test_hostile_toml_is_refused_in_one_line_that_names_the_file(case: str, tmp_path: Path) -> None:
    content, message = HOSTILE_TOML[case]
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(InputError, match=message) as refused:
        read_toml(tmp_path / "a.toml")
    assert str(refused.value).startswith(f"{tmp_path / 'a.toml'}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("case", HOSTILE_JSON)
def test_every_reader_of_json_refuses_it_or_makes_it_again(case: str, tmp_path: Path) -> None:
    content, _ = HOSTILE_JSON[case]
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(InputError, match=MANIFEST):
        Manifest.read(tmp_path)
    write_table(pd.DataFrame({name: ["1"] for name in COLUMNS}), tmp_path / "s.csv")
    (tmp_path / "s.json").write_bytes(content)
    with pytest.raises(InputError, match=r"s\.json: "):
        SweepResult.read(tmp_path / "s.csv")
    with pytest.raises(InputError, match=r"s\.json: "):
        refuse_other_record(tmp_path / "s.csv")


def test_a_sweeps_part_of_deep_json_is_made_again(tmp_path: Path) -> None:
    write_part(tmp_path / "a.gz", pd.DataFrame({"layer": [1]}), "a unit")
    for content in (b"[" * 100_000, b'{"sha256": 1}', b'"text"', b"9" * 5000):
        (tmp_path / "a.gz").write_bytes(gzip.compress(content + b"\n"))
        assert read_part(tmp_path / "a.gz", "a unit") is None


def test_no_other_module_reads_json_from_a_file() -> None:
    own = re.compile(r"json\.loads?\([^\n]*(read_text|read_bytes)|json\.load\(")
    files = [file for package in ("w2s_probes", "analyses") for file in (ROOT / package).rglob("*.py")]
    assert [file for file in files if own.search(file.read_text(encoding="utf-8"))] == []
