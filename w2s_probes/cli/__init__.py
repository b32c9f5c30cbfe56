"""`w2s`: one file a group of verbs. Parse, call, print; everything a verb does can be called from Python."""

import errno
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from ..errors import InputError


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 2 the user's input is wrong (one line, no traceback), 1 anything else."""
    # Read by torch when it is first loaded. Its threads otherwise spin while they wait for each other, which on a
    # machine with other work to do makes small models many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Else the tokenizers' own warning about forked processes stands between the lines of output.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from .app import app

    try:
        app(list(arguments) if arguments is not None else None)
    except InputError as error:
        _refuse(str(error))
    except BrokenPipeError:  # the reader of our output has gone: `w2s … | head`
        sys.stderr.close()
        sys.exit(1)
    except (PermissionError, FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        _refuse(f"{error.filename}: {error.strerror}")
    except OSError as error:
        if error.errno not in (errno.ENAMETOOLONG, errno.ENOSPC, errno.EROFS):
            raise
        _refuse(f"{str(error.filename)[:80]}: {error.strerror}")


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(f"w2s: {' '.join(message.split())}\n")
    sys.exit(2)
