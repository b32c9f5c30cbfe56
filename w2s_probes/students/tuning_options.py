"""Settings of fine-tuning as they are typed: key=value, each a field of `FineTuning`."""

import tomllib
from collections.abc import Sequence
from typing import Any

from ..errors import InputError, shortened
from ..io.validated import parse_toml, validated
from .finetuning.settings import FineTuning


def tuning_settings(typed: Sequence[str], values: dict[str, Any]) -> FineTuning:
    """The settings of `values`, and of what is typed as key=value on top; InputError for what is none."""
    settings = dict(values)
    for text in typed:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise InputError(f"--tune {shortened(text)}: write it as key=value, such as learning_rate=1e-4")
        if name in values:
            raise InputError(f"--tune {shortened(text)}: it has an option of its own: give --{name}")
        try:
            settings[name] = parse_toml(f"value = {value}")["value"]
        except (tomllib.TOMLDecodeError, ValueError, RecursionError):
            settings[name] = value.strip()
    return validated(FineTuning, settings, "--tune")
