"""Changed files: bytes that are flipped or cut, and sound JSON, TOML and tables with one hostile value in them."""

import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analyses.recipe.write_toml import toml

Random = np.random.Generator
PLACE = "@@HERE@@"  # stands where a fragment that no writer would write is put
LONG = "x" * 70_000

JSON_FRAGMENTS = [
    *("null", "true", "-1", "0", "0.5", "1e999", "-1e999", "1e-999", "NaN", "Infinity", "18446744073709551616"),
    *("9" * 5000, "-" + "9" * 300, "1" + "0" * 400 + ".0", "[]", "{}", '""', '"null"', '"0"', "[[[]]]", '"-1"'),
    *('"\\ud800"', '"\\udcff"', '"\\u0000"', '"a\\u001b[31mb\\u202e"', '"$a_$"', '"<b>&"', '"=1+1"', '"\\t"', '"é中"'),
    *(f'"{LONG}"', '"../../../outside"', '"/dev/zero"', '"{field}"', "[" * 200 + "]" * 200, "[" * 50_000),
    *('{"a":' * 990 + "1" + "}" * 990, '[null, 1, "a", {}]', '{"a": 1, "a": 2}', "1.7976931348623157e308", "123456789"),
]
TOML_FRAGMENTS = [
    *("true", "-1", "0", "0.5", "1e999", "nan", "-inf", "18446744073709551616", "9" * 5000, "[]", "{}", '""', '"0"'),
    *('"\\u0000"', '"a\\u001b[31mb"', '"$a_$"', '"$HOME"', '"$W2S_NO_SUCH"', '"é中"', f'"{LONG}"', '"../../outside"'),
    *("[" * 50_000, "[" * 200 + "]" * 200, "{a=" * 400 + "1" + "}" * 400, "1979-05-27T07:32:00Z", "07:32:00", "0x7f"),
    *('["a", 1]', "[{a = 1}]", '"package:os/x"', '"~nobody/x"', '"{}"', '"{a[0].__class__}"', '".\\u0000"', "10000000"),
]


def mutated_bytes(rng: Random, content: bytes) -> bytes:
    """Bytes flipped, cut out, doubled, put in, or replaced by something else altogether."""
    at, long = int(rng.integers(len(content) + 1)), int(rng.integers(1, 40))
    flipped = bytearray(content)
    for place in rng.integers(len(content), size=min(long, 8)) if content else ():
        flipped[place] ^= 1 << int(rng.integers(8))
    made: list[Callable[[], bytes]] = [
        lambda: bytes(flipped),
        lambda: content[:at],
        lambda: content[:at] + content[at + long :],
        lambda: content[:at] + content[at : at + long] * 3 + content[at + long :],
        lambda: content[:at] + b"\0" * long + content[at:],
        lambda: content[:at] + rng.bytes(long) + content[at:],
        lambda: b"\xef\xbb\xbf" + content,
        lambda: content.decode("latin-1").encode("utf-16"),
        lambda: b"",
        lambda: b"\0" * 200,
        lambda: b"\n" * 5,
        lambda: rng.bytes(300),
        lambda: content + content,
        lambda: content + b"\r",
    ]
    return made[int(rng.integers(len(made)))]()


def mutated_json(rng: Random, content: bytes) -> bytes:
    """A JSON document with one hostile value, key, or name in it."""
    return _mutated_json(rng, json.loads(content)).encode()


def mutated_lines(rng: Random, content: bytes) -> bytes:
    """Lines of JSON, one of which, or the same field of all, is hostile."""
    lines = content.splitlines()
    if rng.random() < 0.3:
        field = str(rng.choice(list(json.loads(lines[0]))))
        fragment = _choice(rng, JSON_FRAGMENTS)
        records = [json.dumps({**json.loads(line), field: PLACE}) for line in lines]
        return "\n".join(record.replace(f'"{PLACE}"', fragment) for record in records).encode() + b"\n"
    at = int(rng.integers(len(lines)))
    lines[at] = _mutated_json(rng, json.loads(lines[at])).encode().replace(b"\n", b" ")
    return b"\n".join(lines) + b"\n"


def mutated_toml(rng: Random, content: bytes) -> bytes:
    """A TOML document with one hostile value or key in it."""
    import tomllib

    values = tomllib.loads(content.decode())
    _replace(rng, values)
    return toml(values).replace(f'"{PLACE}"', _choice(rng, TOML_FRAGMENTS)).encode()


def mutated_csv(rng: Random, content: bytes) -> bytes:
    """A CSV table with one hostile cell, name, or line."""
    lines = content.decode().split("\n")
    at = int(rng.integers(len(lines) - 1))
    cells = lines[at].split(",")
    column = int(rng.integers(len(cells)))
    hostile = [
        "",
        "NaN",
        "1e999",
        "9" * 5000,
        "=1+1",
        "\t1",
        '"',
        '"a\nb"',
        "\0",
        "NA",
        "a\rb",
        LONG,
        ",,,,",
        "-0",
        "x",
    ]
    if rng.random() < 0.4:  # the whole column
        for number in range(1, len(lines) - 1):
            row = lines[number].split(",")
            lines[number] = ",".join([*row[:column], str(hostile[at % len(hostile)]), *row[column + 1 :]])
    else:
        lines[at] = ",".join([*cells[:column], _choice(rng, hostile), *cells[column + 1 :]])
    return "\n".join(lines).encode(errors="surrogateescape")


def mutated_parquet(rng: Random, content: bytes) -> bytes:
    """A Parquet table with a column of another type, or metadata that lie."""
    table = pq.read_table(io.BytesIO(content))
    n = table.num_rows
    columns: list[Callable[[], Any]] = [
        lambda: pa.array([b"\xff\0"] * n),
        lambda: pa.array([None] * n, pa.timestamp("ns")),
        lambda: pa.array([datetime(2020, 1, 1, tzinfo=UTC)] * n),
        lambda: pa.array([date(2020, 1, 1)] * n),
        lambda: pa.array([Decimal("0.5")] * n),
        lambda: pa.array([[1, None]] * n),
        lambda: pa.array([{"a": {"b": "c"}}] * n),
        lambda: pa.array([None] * n),
        lambda: pa.array(range(n)).cast(pa.uint64()),
        lambda: pa.array([2**63 + i for i in range(n)], pa.uint64()),
        lambda: pa.array([float("nan"), float("inf")] * n)[:n],
        lambda: pa.array(["a", None] * n)[:n].dictionary_encode(),
        lambda: pa.array([True, False] * n)[:n],
        lambda: pa.array([None, *range(1, n)]),
        lambda: pa.array([LONG] * n),
        lambda: pa.array([10**9] * n, pa.duration("s")),
    ]
    if rng.random() < 0.25:
        lies = [b"", b"{", b'{"index_columns": ["gone"]}', b"[" * 5000, b"\xff", b'{"columns": 1}', b"null"]
        table = table.replace_schema_metadata({b"pandas": lies[int(rng.integers(len(lies)))]})
    else:
        at = int(rng.integers(table.num_columns))
        table = table.set_column(at, table.schema.names[at], columns[int(rng.integers(len(columns)))]())
        if rng.random() < 0.1:
            table = table.append_column(table.schema.names[at], table.column(at))
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def gzipped(mutate: Callable[[Random, bytes], bytes]) -> Callable[[Random, bytes], bytes]:
    """The mutation inside a gzip file."""
    return lambda rng, content: gzip.compress(mutate(rng, gzip.decompress(content)), mtime=0)


def mutated_template(rng: Random, content: bytes) -> bytes:
    """A Jinja template that divides by zero, recurses, grows, reaches for Python, or is nested deep."""
    hostile = [
        *(
            "{{ 1 / 0 }}",
            "{{ messages[9].content }}",
            "{{ nothing.at.all }}",
            "{% if %}",
            "{{",
            "",
            " ",
            "{{ messages }}",
        ),
        *("{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}", "{{ 'a' * 100000 }}", "{{ ''.__class__.__mro__ }}"),
        *("{{ '%d' % 'a' }}", "{{ [1][5] }}", "{{ {}['a'] }}", "{{ raise_exception('no\nno') }}", "{{ 9 ** 9 ** 5 }}"),
        *(
            "{{ (" * 3000,
            "{% for a in messages %}" * 200 + "{% endfor %}" * 200,
            "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
        ),
        *("{{ messages | tojson(indent='a') }}", "{% include 'x' %}", "{% extends 'x' %}", "{{ range(10**9) | list }}"),
        *(
            "{{ 'é\u202e' }}\ud800",
            "{{ " + "9" * 5000 + " }}",
            "{% set x = messages %}{{ x.x.x }}",
            "{{ 'a' | int / 0.0 }}",
        ),
    ]
    return _choice(rng, hostile).encode(errors="surrogatepass")


def _mutated_json(rng: Random, value: Any) -> str:
    if rng.random() < 0.05:
        return _choice(rng, JSON_FRAGMENTS)  # in its place altogether
    holder = {"": value}
    _replace(rng, holder)
    return json.dumps(next(iter(holder.values()), PLACE)).replace(f'"{PLACE}"', _choice(rng, JSON_FRAGMENTS))


def _replace(rng: Random, value: Any) -> None:
    """Put PLACE where one of the values inside is, or under a new key, or as one more item."""
    holders = []
    level = [value]
    while level:
        holders += level
        inner = [one for holder in level for one in (holder.values() if isinstance(holder, dict) else holder)]
        level = [one for one in inner if isinstance(one, dict | list) and one]
    holder = holders[int(rng.integers(len(holders)))]
    if isinstance(holder, list):
        holder[int(rng.integers(len(holder)))] = PLACE
        return
    key = _choice(rng, list(holder))
    way = rng.random()
    if way < 0.1:
        holder[_choice(rng, ["", "$a_$", LONG, "a.b", "\x1b[31m", "null"])] = holder.pop(key)
    elif way < 0.2:
        del holder[key]
    else:
        holder[key] = PLACE


def _choice(rng: Random, items: list[str]) -> str:
    return items[int(rng.integers(len(items)))]
