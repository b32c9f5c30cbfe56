"""Options of an extraction that are wrong for any model: refused before torch and transformers are loaded."""

from w2s_probes.store.layers import refuse_no_layers

from .models.quantization import quantization_settings
from .templates import OWN, template_source


def refuse_options(layers: str, chat_template: str | None = None, quantization: str | None = None) -> None:
    """InputError for a specification of layers, a template's file or a quantization that cannot be read."""
    refuse_no_layers(layers)
    if chat_template is not None and chat_template.partition(":")[0] != OWN:
        template_source(None, "", chat_template)
    if quantization is not None:
        quantization_settings(quantization)
