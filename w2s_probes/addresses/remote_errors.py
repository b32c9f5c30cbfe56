"""What goes wrong at an address, in one line without anything secret, whatever the package that raises it."""

import errno
from types import TracebackType
from typing import Any

from ..errors import InputError
from .address import Address

# By name: their packages need not be installed. Each is raised where credentials are missing, wrong or not enough.
NO_ACCESS = {
    "ClientAuthenticationError",
    "DefaultCredentialsError",
    "GatedRepoError",
    "HttpError401",
    "InvalidProxiesConfigError",
    "LocalTokenNotFoundError",
    "NoCredentialsError",
    "PartialCredentialsError",
    "PermissionError",
    "ProfileNotFound",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
}
NO_PLACE = "make its bucket or folder first, or correct the address"
MOST = 200  # characters of a package's own message
OF_THIS_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)


class Reaching:
    """A block in which anything that a file system raises becomes InputError: `ADDRESS: what failed (reason): remedy`.

    File systems of fsspec raise whatever their packages do: OSError, but also errors of HTTP clients, of cloud SDKs,
    and ValueError. Their texts may quote headers, so the error is raised without its cause. A full disk here is
    left to whoever writes.
    """

    def __init__(self, address: Address, doing: str, *, again: bool = False, absent: str = NO_PLACE) -> None:
        self.address, self.doing = address, doing
        self.absent = absent  # the remedy where something is not there
        self.again = again  # whether the same command goes on from there

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception) or isinstance(error, InputError):
            return
        if isinstance(error, OSError) and error.errno in OF_THIS_DISK:
            return
        # Hidden before it is cut, which could leave half of a secret.
        said = " ".join(self.address.hide(": ".join(map(str, _causes(error)))).split())[:MOST] or type(error).__name__
        raise InputError(f"{self.address}: {self.doing} ({said}): {self._remedy(error)}") from None

    def _remedy(self, error: Exception) -> str:
        if _no_access(error):
            return f"no access, or no credentials: {self.address.keys}"
        if isinstance(error, FileNotFoundError):
            return self.absent
        if type(error).__name__ == "OfflineModeIsEnabled":
            return "unset HF_HUB_OFFLINE"
        if isinstance(error, ValueError) and not isinstance(error, OSError):
            return "correct the address, or what is set for it"
        if isinstance(error, NotImplementedError):
            return "nothing can be written there"
        return "give the same command again, which goes on from there" if self.again else "try again"


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what it was raised from, in this order; errors that others raise anew often say little alone."""
    found = [error]
    while (cause := found[-1].__cause__) is not None and cause not in found:
        found.append(cause)
    return found


def _no_access(error: Exception) -> bool:
    """Whether it, or what it was raised from, says that credentials are missing, wrong or not enough."""
    for each in _causes(error):
        response: Any = getattr(each, "response", None)
        status = getattr(response, "status_code", None) or getattr(each, "status", None)
        if status in (401, 403) or NO_ACCESS & {kind.__name__ for kind in type(each).__mro__}:
            return True
    return False
