"""HDF5 files that may be damaged, or made to do harm: whatever is wrong in one is InputError, and no crash."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from ..errors import InputError

NO_DAMAGE = (errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)  # of the machine
DAMAGED = (OSError, RuntimeError, LookupError, TypeError, ValueError, OverflowError, MemoryError)


@contextmanager
def opened_hdf5(path: Path, refusal: Callable[[Exception], str]) -> Iterator[Any]:
    """The file, in a block in which anything that HDF5 and h5py were seen to raise on damaged files is InputError.

    `refusal` is the message of that. An error of the machine, such as a file that may not be read, stays an OSError.
    """
    try:
        # Without a lock: what is read here never changes, and file systems that have no locks, or a lock of another
        # process, say nothing about its content.
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except InputError:
        raise
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno in NO_DAMAGE:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise InputError(refusal(error)) from error
