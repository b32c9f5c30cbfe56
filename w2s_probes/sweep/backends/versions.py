"""Which libraries decide a sweep's numbers, and whether another process has the same ones."""

from collections.abc import Mapping
from importlib.metadata import version

from ...errors import InputError

PACKAGES = ("w2s-probes", "numpy", "scipy", "scikit-learn", "faiss-cpu")


def versions() -> dict[str, str]:
    """What is installed for this process."""
    return {name: version(name) for name in PACKAGES}


def refuse_others(expected: Mapping[str, str], where: str) -> None:
    """InputError if this process, on the machine `where`, has other versions than those expected of it."""
    here = versions()
    for name, wanted in expected.items():
        if here[name] != wanted:
            raise InputError(
                f"the worker on {where} has {name} {here[name]}, this command {wanted}: install the same versions on "
                "all machines"
            )
