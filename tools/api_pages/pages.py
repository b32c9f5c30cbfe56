"""The API pages: one for each room, which is a package's first or second level, and an index of them."""

import textwrap
from pathlib import PurePosixPath

from tools.api_pages.source import ROOT, Entry, entry, read

FOLDER = ROOT / "docs" / "api"
INDEX = "index.md"
# A package stands for all that its __all__ names, another module for the names that follow it.
SURFACE: dict[str, tuple[str, ...]] = {
    "w2s_probes": (),
    "w2s_probes.probes": ("auroc_scorer", "RegularizationPath", "NeighborPath"),
    "w2s_probes.labels.verdict_export": ("export_new_labels",),
    "w2s_probes.sweep": (),
    "w2s_probes.export": (),
    "w2s_probes.losses": (),
    "w2s_probes.students": (),
    "w2s_probes.students.finetune": ("finetune",),
    "w2s_probes.stats": (),
    "w2s_probes.simulated": (),
    "w2s_probes.metrics.power": ("expected_pgr", "ExpectedPGR"),
    "w2s_probes.io.tables": ("read_table", "write_table"),
    "extract.extractor": ("extract",),
    "extract.adding": ("add",),
    "extract.doctor": ("diagnose", "Diagnosis"),
    "analyses.experiment": ("Experiment", "Outcome", "Method", "Removal"),
    "analyses.recipe.read": ("read_recipe", "read_recipes"),
    "analyses.protocol": ("run",),
    "analyses.saliency": (),
    "analyses.report": (),
}
HEAD = """# API

Every public name, by the room that it is defined in; made from signatures, comments and docstrings by `make api`.
Shapes are in round brackets, (n, d) for n rows of width d; a soft label is P(label = 1). What is wrong with your
data or arguments is an `InputError`, a `ValueError` in one line.
"""


def surface() -> dict[str, list[Entry]]:
    """Every public name by the module that it is imported from."""
    found: dict[str, list[Entry]] = {}
    for module, names in SURFACE.items():
        home = read(module)
        assert home is not None
        found[module] = [entry(module, name) for name in names or home.public]
    return found


def rooms() -> dict[str, list[Entry]]:
    """Every public name by the package that defines it, `w2s_probes.probes` say; the library first."""
    found: dict[str, list[Entry]] = {}
    for entries in surface().values():
        for one in entries:
            found.setdefault(_room(one), []).append(one)
    return {room: sorted(found[room], key=lambda one: one.short.lower()) for room in sorted(found, key=_place)}


def pages() -> dict[str, str]:
    """The text of each page by its file's name, as the code would have it."""
    found = rooms()
    names = {room: f"{room.rpartition('.')[2]}.md" for room in found}
    assert len({*names.values(), INDEX}) == len(names) + 1, "two rooms would have one page"
    index = [HEAD, "| room | what is public there |", "|---|---|"]
    for room, entries in found.items():
        links = ", ".join(f"[`{one.short}`]({names[room]}#{one.name})" for one in entries)
        index.append(f"| [`{room}`]({names[room]}) | {links} |")
    made = {INDEX: "\n".join(index) + "\n"}
    for room, entries in found.items():
        parts = [f"# `{room}`", ""]
        home = read(room)
        if home is not None and home.doc:
            parts += [home.doc, ""]
        for one in entries:
            parts += _entry(one)
        made[names[room]] = "\n".join(parts).rstrip() + "\n"
    return made


def _room(one: Entry) -> str:
    folder = PurePosixPath(one.source).parent
    return ".".join(folder.parts[:2])


def _place(room: str) -> tuple[int, str]:
    """The library first, then what stands on it."""
    return ("w2s_probes", "extract", "analyses").index(room.partition(".")[0]), room


def _entry(one: Entry) -> list[str]:
    module, short = one.name.rpartition(".")[::2]
    lines = [f'<a id="{one.name}"></a>', f"## `{short}`", ""]
    lines += ["```python", f"from {module} import {short}", "", one.signature, "```", ""]
    if one.doc:
        lines += [one.doc, ""]
    if one.fields:
        lines += ["| field | type | |", "|---|---|---|"]
        lines += [f"| `{name}` | `{_cell(kind)}` | {_cell(comment)} |" for name, kind, comment in one.fields]
        lines.append("")
    for member in one.members:
        lines += [f"- `{_flat(member.signature)}`" + ("" if member.kind == "method" else f" ({member.kind})"), ""]
        # Four spaces are part of the item for every reader of Markdown, two for some.
        lines += [*textwrap.indent(member.doc, "    ").splitlines(), ""]
    return [*lines, f"[{one.source}](../../{one.source})", ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _flat(signature: str) -> str:
    return " ".join(signature.split()).replace("( ", "(").replace(", )", ")")
