"""Options of an extraction that are wrong for any model: refused before torch and transformers are loaded."""

from w2s_probes.errors import InputError
from w2s_probes.store.layers import refuse_no_layers

from .models.quantization import quantization_settings
from .positions import mark_of
from .site import site_parts
from .templates import OWN, template_source

SPREAD = ("auto", "balanced", "balanced_low_0", "sequential")  # of --device-map: over several devices


def refuse_options(
    layers: str,
    chat_template: str | None = None,
    quantization: str | None = None,
    site: str | None = None,
    position: str | None = None,
) -> None:
    """InputError for layers, a site, a position, a template's file or a quantization that cannot be read."""
    refuse_no_layers(layers)
    if site is not None:
        site_parts(site)
    if position is not None:
        mark_of(position)
    if chat_template is not None and chat_template.partition(":")[0] != OWN:
        template_source(None, "", chat_template)
    if quantization is not None:
        quantization_settings(quantization)


def refuse_offload(
    *,
    asked: bool,
    remote: bool,
    quantization: str | None,
    device_map: str | None,
    **only_with_it: object,
) -> None:
    """InputError for options that exclude offloading, and for those that are of it alone where it is not asked for."""
    if not asked:
        for name, value in only_with_it.items():
            if value is not None:
                raise InputError(f"--{name.replace('_', '-')} is of --offload: give that too, or leave it out")
        return
    if remote:
        raise InputError("--offload and --remote exclude each other: NDIF has the memory for its models")
    if quantization is not None:
        raise InputError(
            "--offload and --quantization exclude each other: quantised weights are not read block by block; leave one "
            "of them out"
        )
    if device_map in SPREAD:
        raise InputError(
            f"--offload has one block at a time on one device: give --device-map a device, such as cuda:0, not "
            f"{device_map!r}"
        )
