"""docs/json.md: what each verb prints with --json, from the models in w2s_probes/cli."""

from w2s_probes.cli.json_schemas import ANSWERS, answer_fields

HEAD = """# Answers in JSON

With `--json` a command prints one object on stdout, in one line of ASCII; remarks and progress go to stderr, and with
`--quiet` nowhere. A number that is not known, and an end of an interval that the data leave open, is `null`; an
interval is the 95 % one of its value. What is refused is one line on stderr and exit code 2, with nothing on stdout;
only `w2s verify` and `w2s doctor` answer of a store with faults as well. `w2s schema json VERB` prints the JSON Schema
of an answer.

```sh
w2s compare a.jsonl b.jsonl --truth test.jsonl --json | jq '.differences[] | {metric, value, low, high, p}'
```

Fields of parts are written with a dot, those of each entry of a list after `[]`, and those by name after `NAME`. Made
by `make schema`.
"""


def json_page() -> str:
    """The page as the code would have it."""
    parts = [HEAD]
    for verb in ANSWERS:
        parts += [f"## w2s {verb}", "", "| field | type | what it is |", "|---|---|---|"]
        parts += [f"| `{path}` | {kind} | {about} |" for path, kind, about in answer_fields(verb)]
        parts.append("")
    return "\n".join(parts)
