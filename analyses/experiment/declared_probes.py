"""The settings of probes that a method declares: what it reads of them, and what its results are kept under."""

from collections.abc import Collection
from typing import Any

from w2s_probes.probes.registry import PROBES, probe_settings

from ..lessons.lesson import Misuse
from ..recipe.probe_values import Probes, added_settings

# That are ours: a method that declares all of them reads any probe's. How scores are calibrated is in keys by itself.
EVERY_SETTING = frozenset(Probes.model_fields) - {"calibrate", "calibrate_on"}


class Undeclared(Misuse):
    """A method reads a setting of probes that it does not declare, so that its cache key would lack it."""


class DeclaredProbes:
    """The settings of `Probes` that a method has declared; any other is refused."""

    def __init__(self, probes: Probes, names: frozenset[str]) -> None:
        self._probes, self._names = probes, names

    def __getattr__(self, name: str) -> Any:
        if name not in self._names and (name in EVERY_SETTING or name in added_settings()):
            raise Undeclared(f"a method reads probes.{name}, which it has not declared: add it to `Method.settings`")
        return getattr(self._probes, name)


def every_setting(declared: frozenset[str]) -> frozenset[str]:
    """The settings that a method may read which has declared these: with all of ours, those of added probes, too."""
    added = probe_settings().keys() - EVERY_SETTING  # those without a value, too: their code is in keys
    return declared | added if declared >= EVERY_SETTING else declared


def probe_code(settings: Collection[str]) -> dict[str, dict[str, str]]:
    """The code of the probes that these settings are of, for keys; empty where all are this release's own."""
    code = {name: entry.code for name, entry in PROBES.items() if entry.setting in settings}
    own = {name: value for name, value in code.items() if value is not None}
    return {"probe_code": own} if own else {}
