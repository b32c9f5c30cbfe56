"""The last entry of saved layers: the residual stream after the last block, or what the final norm makes of it."""

from dataclasses import replace
from typing import Literal, get_args

from ..errors import InputError, did_you_mean
from ..store.manifest import AFTER_NORM, LAST_ENTRY
from .by_layer import Layers

LastEntry = Literal["pre-norm", "post-norm", "drop"]
SITE = ", after the final norm"  # in the manifest, of a layer that is no state of the residual stream


def refuse_last_entry(said: str | None) -> None:
    """InputError for what says nothing about a last entry."""
    if said is not None and said not in get_args(LastEntry):
        raise InputError(f"--last-entry {said!r}: {did_you_mean(said, get_args(LastEntry))}")


def settled(layers: Layers, depth: int | None, said: LastEntry | None, where: str, *, lowest: int = 0) -> Layers:
    """The layers with the last one as it was said to be: kept, marked as normed, or left out.

    `output_hidden_states` of transformers gives N + 1 entries for N blocks, and the last of them is after the final
    norm in most models, where layer N is the residual stream before it. InputError where nothing was said and the
    highest layer is the model's last: because `depth` says so, or, without it, as layers `lowest` to N are there.
    """
    highest = max(layers.words)
    if said is None:
        whole = depth is None and lowest < 2 and sorted(layers.words) == list(range(lowest, highest + 1))
        if highest and (depth == highest or whole):
            way_out = f", or give --depth if layer {highest} is not the model's last" if whole else ""
            raise InputError(
                f"{where}: layer {highest} is the last: `output_hidden_states` gives it after the final norm in most "
                f"models, a hook on the block before it: say which by --last-entry pre-norm, post-norm or drop{way_out}"
            )
        return layers
    if depth is not None and highest < depth:
        raise InputError(
            f"{where}: layer {highest} is not the last of {depth} blocks: leave --last-entry {said} away, or correct "
            "--depth"
        )
    if said == "drop":
        kept = {layer: array for layer, array in layers.words.items() if layer != highest}
        if not kept:
            raise InputError(f"{where}: holds layer {highest} alone: --last-entry drop would leave nothing")
        return replace(layers, words=kept, sites={layer: layers.sites[layer] for layer in kept})
    if said == "post-norm":
        return replace(layers, sites={**layers.sites, highest: layers.sites[highest] + SITE})
    return layers


def identity_of(said: LastEntry | None) -> dict[str, str]:
    """What a store's identity keeps of it; nothing where nothing was said."""
    return {} if said is None else {LAST_ENTRY: AFTER_NORM if said == "post-norm" else said}
