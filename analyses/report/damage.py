"""A net below the checks of single files: whatever else damage leads to is one error that names the folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jinja2 import TemplateError

from w2s_probes.errors import InputError

LED_TO: tuple[type[Exception], ...] = (TemplateError, ArithmeticError, AttributeError, LookupError, OSError)
LED_TO += (RecursionError, StopIteration, TypeError, ValueError)


@contextmanager
def damage_named(folder: Path) -> Iterator[None]:
    """Around reading and showing a folder: InputError, in one line that names the folder or a file in it."""
    try:
        yield
    except InputError as error:
        told = " ".join(str(error).split())
        if str(folder) in told:
            raise
        raise InputError(f"{folder}: {told}") from error
    except LED_TO as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"{folder}: a file in it is damaged, and cannot be shown ({told}): make its results again"
        ) from error
