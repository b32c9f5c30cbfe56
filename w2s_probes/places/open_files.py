"""The number of files that this process may have open."""

import resource
from contextlib import suppress


def allow_open_files() -> None:
    """Raise the limit of this process as far as it may: every claim holds a file open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # where "unlimited" is no number that can be asked for
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
