"""A scratch folder for files on their way."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError
from ..io.files import HOST, remove_abandoned


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder where temporary files go (`TMPDIR`), deleted afterwards; those of killed processes are deleted first."""
    place = Path(tempfile.gettempdir())
    remove_abandoned(place)
    folder = place / f".{uuid.uuid4().hex[:8]}.{HOST}-{os.getpid()}.partial.push"
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise InputError(f"cannot write {place}: {error.strerror or error}: name another folder by TMPDIR") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
