"""The way up from this package to `extract`, `analyses` and `data`: a checkout's own folders, or the wheel's copies.

A checkout has the three folders beside `w2s_probes`. A wheel carries them in `w2s_probes/_bundled`, so that
site-packages gets no package of such general names; `on_path` makes that folder importable.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError

PACKAGES = ("extract", "analyses")  # `data` is read as files, never imported
BUNDLED = Path(__file__).parent / "_bundled"
HOME = BUNDLED if BUNDLED.is_dir() else Path(__file__).parent.parent  # holds extract/, analyses/ and data/
MODELS = "w2s-probes[models]"


def on_path() -> Path:
    """Make `extract` and `analyses` importable, here and in processes started from here; return their folder.

    InputError where the folders are missing, or where another package has one of the names.

    >>> from w2s_probes import checkout
    >>> folder = checkout.on_path()
    >>> from analyses.saliency import RowSaliency
    """
    for package in PACKAGES:
        if not (HOME / package / "__init__.py").is_file():
            raise InputError(
                f"{HOME / package}: no such folder, so this copy of w2s-probes is not whole: install the wheel, or "
                "`pip install -e .` in a clone"
            )
    if str(HOME) not in sys.path:
        sys.path.append(str(HOME))  # joblib, Dask and Ray hand it on to the processes that they start from here
    for package in PACKAGES:
        _refuse_foreign(package)
    return HOME


@contextmanager
def from_checkout() -> Iterator[None]:
    """A block of imports from `extract` and `analyses`: InputError for a package of theirs that is not installed."""
    on_path()
    with from_models():
        yield


@contextmanager
def from_models() -> Iterator[None]:
    """A block that needs the packages of the extra `models`: InputError for one that is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in (*PACKAGES, "w2s_probes") or not missing:
            raise
        raise InputError(f"this command needs {missing}, which is not installed: pip install '{MODELS}'") from error


def _refuse_foreign(package: str) -> None:
    """InputError where the name leads to another distribution's package, or to the user's own."""
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not any(Path(place).resolve() == (HOME / package).resolve() for place in places):
        place = places[0] if places else spec.origin if spec is not None else "sys.path"
        raise InputError(
            f"{place}: another package named {package} is in the way of w2s-probes' own: uninstall or rename it, or "
            "start elsewhere"
        )
