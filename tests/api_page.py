"""Makes docs/api.md: `python -m tests.api_page`."""

from tests.api_source import ROOT, Entry, entry, read

PAGE = ROOT / "docs" / "api.md"
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
    "analyses.experiment.view": ("Experiment", "Outcome", "Method", "Removal"),
    "analyses.recipe.read": ("read_recipe", "read_recipes"),
    "analyses.protocol": ("run",),
    "analyses.saliency": (),
    "analyses.report": (),
}
HEAD = """# API

Every public name, made from its signature, comments and docstring by `python -m tests.api_page`. Shapes are in round
brackets, (n, d) for n rows of width d; a soft label is P(label = 1). What is wrong with the caller's data or arguments
is an `InputError`, a `ValueError` in one line.
"""


def surface() -> dict[str, list[Entry]]:
    """Every public name by the module that it is imported from."""
    found: dict[str, list[Entry]] = {}
    for module, names in SURFACE.items():
        home = read(module)
        assert home is not None
        found[module] = [entry(module, name) for name in names or home.public]
    return found


def page() -> str:
    """The page as the code would have it."""
    found = surface()
    parts = [HEAD]
    for module, entries in found.items():
        links = ", ".join(f"[`{one.short}`](#{one.name})" for one in entries)
        parts.append(f"- [`{module}`](#{module}): {links}")
    parts.append("")
    for module, entries in found.items():
        parts += [f'<a id="{module}"></a>', f"## `{module}`", ""]
        home = read(module)
        if home is not None and home.doc:
            parts += [home.doc, ""]
        for one in entries:
            parts += _entry(one)
    return "\n".join(parts).rstrip() + "\n"


def _entry(one: Entry) -> list[str]:
    lines = [f'<a id="{one.name}"></a>', f"### `{one.short}`", "", "```python", one.signature, "```", ""]
    if one.doc:
        lines += [one.doc, ""]
    if one.fields:
        lines += ["| field | type | |", "|---|---|---|"]
        lines += [f"| `{name}` | `{_cell(kind)}` | {_cell(comment)} |" for name, kind, comment in one.fields]
        lines.append("")
    for member in one.members:
        lines += [f"- `{_flat(member.signature)}`" + ("" if member.kind == "method" else f" ({member.kind})") + "  "]
        lines += [f"  {line}".rstrip() for line in member.doc.splitlines()]
    if one.members:
        lines.append("")
    return [*lines, f"[{one.source}](../{one.source})", ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _flat(signature: str) -> str:
    return " ".join(signature.split()).replace("( ", "(").replace(", )", ")")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
