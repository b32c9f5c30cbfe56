"""The card of a store at an address: README.md, what the activations are of, how they were made, how to get them."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from .. import __version__
from ..errors import shortened
from ..store.manifest import Manifest
from .address import Address

CARD = "README.md"
MARK = "<!-- Written by `w2s push`, which leaves a card without this line as it is. -->"
MACHINE = ("device", "torch", "transformers", "nnsight")  # of a manifest's notes


def store_card(manifest: Manifest, address: Address) -> str:
    """The card; on the hub a dataset card, with its YAML front matter."""
    manifest = _hidden(manifest, address)
    facts = [(name, value) for name, value in _facts(manifest) if value not in (None, "", {}, [])]
    table = "\n".join(f"| {name} | {_cell(value)} |" for name, value in facts)
    layers = sorted(manifest.sites)
    one = layers[len(layers) // 2]
    model = _model(manifest)
    text = f"""{MARK}

# Activations{f" of {_cell(model)}" if model else ""}

{manifest.rows:,} rows{", every token of each" if manifest.ragged else ", one vector each"}, at {len(layers)} \
layer{"s" * (len(layers) != 1)}. Layer 0 is the embedding output, layer i the residual stream after block i, before any
final norm{_normed(manifest)}.

| what | |
|---|---|
{table}

Each `.h5` file holds one layer of some rows, with their ids; `manifest.json` lists the files with their rows, sizes and
checksums (the first 16 digits of SHA-256). Rows are joined to labels by id; their texts are not here.

```sh
pip install 'w2s-probes[remote]'
w2s pull {shlex.quote(str(address))} acts --layers {one}
```

```python
from w2s_probes import ActivationStore

X = ActivationStore.open("acts").layer({one})  # float32 (rows, width)
```
"""
    return _front_matter(model) + text if address.protocol == "hf" else text


def stores_card(manifests: Mapping[str, Manifest], address: Address) -> str:
    """The card of several stores at an address, such as those of named positions; each has a card of its own."""
    manifests = {name: _hidden(manifest, address) for name, manifest in manifests.items()}
    models = {_model(manifest) for manifest in manifests.values()}
    model = models.pop() if len(models) == 1 else None
    lines = "\n".join(
        f"| `{_plain(address.hide(name))}` | {_cell(manifest.identity.get('position', '?'))} | {manifest.rows:,} "
        f"| {', '.join(map(str, sorted(manifest.sites)))} of {manifest.depth} | {_cell(_model(manifest) or '?')} |"
        for name, manifest in sorted(manifests.items())
    )
    one = min(manifests)
    layers = sorted(manifests[one].sites)
    its_own = shlex.quote(f"acts-{address.hide(one)}")
    text = f"""{MARK}

# Activations{f" of {_cell(model)}" if model else ""}, {len(manifests)} stores

| store | position | rows | layers | model |
|---|---|---|---|---|
{lines}

```sh
pip install 'w2s-probes[remote]'
w2s pull {shlex.quote(str(address))} acts
w2s pull {shlex.quote(str(address.below(one)))} {its_own} --layers {layers[len(layers) // 2]}
```
"""
    return _front_matter(model) + text if address.protocol == "hf" else text


def _hidden(manifest: Manifest, address: Address) -> Manifest:
    """The manifest with nothing secret in its texts, before Markdown and JSON have marks of their own put in these."""
    texts = {"identity": address.hide_in(manifest.identity), "notes": address.hide_in(manifest.notes)}
    return manifest.model_copy(update=texts)


def _facts(manifest: Manifest) -> list[tuple[str, Any]]:
    identity, notes = manifest.identity, manifest.notes
    size = sum(shard.bytes for shard in manifest.shards)
    return [
        ("model", _model(manifest)),
        ("weights", identity.get("weights")),
        ("layers", ", ".join(map(str, sorted(manifest.sites))) + f" of {manifest.depth} blocks"),
        ("position", identity.get("position")),
        ("rows", f"{manifest.rows:,}"),
        ("width", f"{manifest.width:,}"),
        ("dtype", manifest.dtype),
        ("size", f"{size / 1e6:,.1f} MB"),
        ("quantization", identity.get("quantization")),
        ("longest text", _longest(identity)),
        ("texts cut", notes.get("cut_rows")),
        ("chat template", "yes" if identity.get("template") else None),
        ("rows' hash", identity.get("rows")),
        ("made by", "w2s import, of files saved elsewhere" if "imported" in identity else "w2s extract"),
        *((name, notes.get(name)) for name in MACHINE),
        ("pushed by", f"w2s-probes {__version__}"),
        ("key", manifest.key),
    ]


def _model(manifest: Manifest) -> str | None:
    name = manifest.notes.get("model") or manifest.identity.get("model")
    return None if name is None else str(name)


def _longest(identity: dict[str, Any]) -> str | None:
    most = identity.get("max_length")
    return None if most is None else f"{most} tokens, cut on the {identity.get('truncation', 'right')}"


def _normed(manifest: Manifest) -> str:
    return "" if manifest.after_norm is None else f"; layer {manifest.after_norm} alone was saved after it"


def _cell(value: Any) -> str:
    """A value in one cell of a Markdown table, as code where it is not a plain number."""
    text = _plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if text.replace(",", "").replace(".", "").isdigit() else f"`{text}`"


def _plain(text: str) -> str:
    """A text that breaks neither a table's cell nor code in it."""
    return shortened(" ".join(text.split()), 300).replace("|", "\\|").replace("`", "'")


def _front_matter(model: str | None) -> str:
    """YAML of a dataset card; JSON's strings are YAML's."""
    name = "Activations" if model is None else f"Activations of {shortened(model)}"
    tags = "".join(f"- {tag}\n" for tag in ("activations", "interpretability", "w2s-probes"))
    return f"---\npretty_name: {json.dumps(name)}\ntags:\n{tags}viewer: false\n---\n"
