"""Checks of a recipe's layers against the depths of its models, before anything is trained."""

from collections.abc import Callable

from extract.models.source import ModelSource
from extract.site import Site, layers_of, site_parts
from w2s_probes.errors import InputError
from w2s_probes.store.layers import one_layer

from .schema import Recipe, Strong, Weak


def refuse_layers(recipe: Recipe, find: Callable[[str], ModelSource]) -> None:
    """InputError where a model that is read at a layer does not have that layer, or where several are named.

    `find` gives a model by its name; only configs are read.
    """
    read: dict[str, Strong | Weak] = {"strong": recipe.strong}
    if recipe.weak.members:
        read |= {f"weak.members[{number}]": one for number, one in enumerate(recipe.weak.members)}
    else:
        read["weak"] = recipe.weak
    read |= {f"intermediate[{number}]": one for number, one in enumerate(recipe.intermediate)}
    at = recipe.strong.model_copy
    read |= {f"gold.layers[{number}]": at(update={"layer": one}) for number, one in enumerate(recipe.gold.layers)}
    layers: set[int] = set()
    several = recipe.probes.layers.layers
    read |= {f"probes.layers.layers[{number}]": at(update={"layer": one}) for number, one in enumerate(several)}
    seen: dict[int, str] = {}
    for name, settings in read.items():
        if settings.model is None or (isinstance(settings, Weak) and settings.kind not in ("head", "boosted")):
            continue
        try:
            depth = find(settings.model).depth
            layer = one_layer(settings.layer, depth)
            if isinstance(settings, Strong):
                layers_of(Site(site_parts(settings.site)[0]), layer, depth)
        except InputError as error:
            raise InputError(f"{name}.layer of {settings.model}: {error}") from error
        if name.startswith("probes.layers") and seen.setdefault(layer, name) != name:
            raise InputError(f"{name} of {settings.model}: is layer {layer}, as {seen[layer]} is: name it once")
        if name == "strong" or name.startswith("gold."):
            layers.add(layer)
    if recipe.gold.layers and len(layers) < 2:
        raise InputError(
            f"gold.layers: all of them, and strong.layer, are layer {min(layers)} of {recipe.strong.model}: gold rows "
            "choose among several"
        )
