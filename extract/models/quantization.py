"""Quantization as a user names it."""

import json
from typing import Any

from w2s_probes.errors import InputError

BITS: dict[str, dict[str, Any]] = {"8bit": {"load_in_8bit": True}, "4bit": {"load_in_4bit": True}}  # of bitsandbytes


def quantization_settings(named: str) -> dict[str, Any]:
    """The settings that `8bit`, `4bit` or JSON stand for; InputError for anything else. No value is checked."""
    try:
        settings = BITS.get(named) or json.loads(named)
        if not isinstance(settings, dict):
            raise json.JSONDecodeError("no object", named, 0)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"quantization {named!r}: give 8bit, 4bit, or JSON with a quant_method") from error
    return settings
