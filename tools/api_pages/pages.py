"""The API pages: one for each room, which is a package's first or second level, and an index of them."""

import re
import textwrap
from pathlib import PurePosixPath

from tools.api_pages.source import ROOT, Entry, entry, read

FOLDER = ROOT / "docs" / "api"
INDEX = "index.md"
# A package stands for all that its __all__ names, another module for the names that follow it.
SURFACE: dict[str, tuple[str, ...]] = {
    "w2s_probes": (),
    "w2s_probes.registries": ("Registry",),
    "w2s_probes.plugins": ("load_plugins", "loaded_plugins", "Plugin"),
    "w2s_probes.probes": ("PROBES", "ProbeEntry", "GraphProbe", "auroc_scorer", "RegularizationPath", "NeighborPath"),
    "w2s_probes.probes.mean_difference": ("MeanDifferenceProbe",),
    "w2s_probes.probes.whitened": ("WhitenedMeanDifferenceProbe",),
    "w2s_probes.probes.mlp": ("MLPProbe", "MLPPath"),
    "w2s_probes.layer_ensemble": ("layer_ensemble", "LayerEnsemble", "mean_log_odds", "layer_agreement"),
    "w2s_probes.probes.classifier": ("ClassifierProbe",),
    "w2s_probes.probes.contrast": ("ContrastProbe", "paired_sides", "shuffled_sides", "swapped_sides"),
    "w2s_probes.probes.attention": ("AttentionProbe", "CrossFitted"),
    "w2s_probes.store": ("PairedStore", "StoredTokens", "TokenActivations"),
    "w2s_probes.store.torch_view": ("StoreRows", "padded_tokens"),
    "w2s_probes.addresses": (),
    "w2s_probes.labels.verdict_export": ("export_new_labels",),
    "w2s_probes.sweep": (),
    "w2s_probes.export": (),
    "w2s_probes.losses": (),
    "w2s_probes.students": (),
    "w2s_probes.students.finetune": ("finetune",),
    "w2s_probes.stats": (),
    "w2s_probes.simulated": (),
    "w2s_probes.selection": (),
    "w2s_probes.comparing": (),
    "w2s_probes.raters": (),
    "w2s_probes.calibration": (),
    "w2s_probes.foretelling": (),
    "w2s_probes.filtering": (
        "channel_filter",
        "confident_filter",
        "raters_filter",
        "overlap_density",
        "overlap_filter",
        "OverlapDensity",
    ),
    "w2s_probes.noise": ("channel_model", "ChannelEstimate"),
    "w2s_probes.gating": (),
    "w2s_probes.audit": (),
    "w2s_probes.auditing": (),
    "w2s_probes.metrics.audit_design": ("AuditDesign",),
    "w2s_probes.fusion": (),
    "w2s_probes.metrics.power": ("expected_pgr", "ExpectedPGR"),
    "w2s_probes.io.tables": ("read_table", "write_table"),
    "w2s_probes.io.readers": ("READERS",),
    "extract.extractor": ("extract", "Extraction"),
    "extract.adding": ("add",),
    "extract.asking": (),
    "extract.asking.shots": ("Shot", "draw_shots"),
    "extract.steering": (),
    "extract.debating": (),
    "extract.debating.shuffling": ("shuffled",),
    "extract.generating": (),
    "extract.examining": (),
    "extract.doctor": ("diagnose", "Diagnosis"),
    "analyses.experiment": (
        "Experiment",
        "Lesson",
        "Trained",
        "Outcome",
        "Method",
        "FilterDecision",
        "Trusted",
        "GoldUse",
        "GoldRows",
    ),
    "analyses.methods": (),
    "analyses.recipe.read": ("read_recipe", "read_recipes"),
    "analyses.protocol": ("run",),
    "analyses.saliency": (),
    "analyses.forecasts": ("foretell_run", "gains_of"),
    "analyses.report": (),
    "analyses.tables": (),
}
HEAD = """# API

Every public name, by the room that it is defined in; made from signatures, comments and docstrings by `make api`.
Shapes are in round brackets, (n, d) for n rows of width d; a soft label is P(label = 1). What is wrong with your
data or arguments is an `InputError`, a `ValueError` in one line.
"""


def surface() -> dict[str, list[Entry]]:
    """Every public name by the module that it is imported from."""
    public: dict[str, list[Entry]] = {}
    for module, names in SURFACE.items():
        home = read(module)
        assert home is not None
        public[module] = [entry(module, name) for name in names or home.public]
    return public


def rooms() -> dict[str, list[Entry]]:
    """Every public name by the package that defines it, `w2s_probes.probes` say; the library first."""
    by_room: dict[str, list[Entry]] = {}
    for entries in surface().values():
        for public in entries:
            by_room.setdefault(_room(public), []).append(public)
    return {
        room: sorted(by_room[room], key=lambda public: public.short.lower()) for room in sorted(by_room, key=_place)
    }


def pages() -> dict[str, str]:
    """The text of each page by its file's name, as the code would have it."""
    by_room = rooms()
    names = {room: f"{room.rpartition('.')[2]}.md" for room in by_room}
    assert len({*names.values(), INDEX}) == len(names) + 1, "two rooms would have one page"
    index = [HEAD, "| room | what is public there |", "|---|---|"]
    for room, entries in by_room.items():
        links = ", ".join(f"[`{public.short}`]({names[room]}#{public.name})" for public in entries)
        index.append(f"| [`{room}`]({names[room]}) | {links} |")
    texts = {INDEX: "\n".join(index) + "\n"}
    for room, entries in by_room.items():
        parts = [f"# `{room}`", ""]
        home = read(room)
        if home is not None and home.doc:
            parts += [home.doc, ""]
        for public in entries:
            parts += _entry(public)
        texts[names[room]] = "\n".join(parts).rstrip() + "\n"
    return texts


def _room(public: Entry) -> str:
    folder = PurePosixPath(public.source).parent
    return ".".join(folder.parts[:2])


def _place(room: str) -> tuple[int, str]:
    """The library first, then what stands on it."""
    return ("w2s_probes", "extract", "analyses").index(room.partition(".")[0]), room


def _entry(public: Entry) -> list[str]:
    module, short = public.name.rpartition(".")[::2]
    lines = [f'<a id="{public.name}"></a>', f"## `{short}`", ""]
    lines += ["```python", f"from {module} import {short}", "", public.signature, "```", ""]
    if public.doc:
        lines += [_fenced(public.doc), ""]
    if public.fields:
        lines += ["| field | type | |", "|---|---|---|"]
        lines += [f"| `{name}` | `{_cell(kind)}` | {_cell(comment)} |" for name, kind, comment in public.fields]
        lines.append("")
    for member in public.members:
        lines += [f"- `{_flat(member.signature)}`" + ("" if member.kind == "method" else f" ({member.kind})"), ""]
        # Four spaces are part of the item for every reader of Markdown, two for some.
        lines += [*textwrap.indent(_fenced(member.doc), "    ").splitlines(), ""]
    return [*lines, f"[{public.source}](../../{public.source})", ""]


def _fenced(doc: str) -> str:
    """A docstring with its examples in code blocks: Markdown reads `>>>` as a quotation."""
    example = re.compile(r"^>>> .*?(?=\n\n|\Z)", flags=re.DOTALL | re.MULTILINE)
    return example.sub(lambda found: f"```pycon\n{found[0]}\n```", doc)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _flat(signature: str) -> str:
    return " ".join(signature.split()).replace("( ", "(").replace(", )", ")")
