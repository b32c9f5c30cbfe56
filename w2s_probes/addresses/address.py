"""An address of fsspec, without anything secret in it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import InputError, reason
from ..redaction import redacted

LINK = re.compile(r"(?P<protocol>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
PASSWORD = re.compile(r"[^\s/:]*:[^\s]*@")  # of what lacks its `://`, or a part of that
ASSIGNED = re.compile(r"[;#&]([^=/;#&]*)=")  # names of values after a path
SECRET = re.compile(r"key|secret|token|passw|cred|sas|auth|header|conn", re.IGNORECASE)  # names of options
LOCAL = ("file", "memory")
KEYS = {
    "file": "look at its permissions",
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "hf": "log in with `hf auth login`, or set HF_TOKEN",
    "gs": "log in with `gcloud auth application-default login`",
    "abfs": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
SAME = {"local": "file", "s3a": "s3", "gcs": "gs", "az": "abfs", "abfss": "abfs"}
EXTRA = "pip install 'w2s-probes[remote]'"
PACKAGES = {
    "s3": EXTRA,
    "hf": EXTRA,
    "gs": "pip install gcsfs",
    "abfs": "pip install adlfs",
    "sftp": "pip install paramiko",
    "ssh": "pip install paramiko",
    "http": "pip install aiohttp requests",
    "https": "pip install aiohttp requests",
}


@dataclass(frozen=True)
class Address:
    """An address such as `s3://bucket/acts`, or a chain of them; its text holds no password and no token.

    >>> Address.of("s3://bucket/acts/").protocol
    's3'
    """

    text: str
    protocol: str  # of its first link, one name for each kind of place
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)  # of fsspec, which may be secret

    @classmethod
    def of(cls, text: str | Path, options: Mapping[str, Any] | None = None) -> "Address":
        """Read an address; InputError for a path that is none, and for one with credentials in it."""
        text = str(text)
        links = [LINK.fullmatch(link) for link in text.split("::")]
        if links[0] is None:
            typed = text if Path(text).exists() else PASSWORD.sub("***@", text)
            here = f"file://{Path(typed).absolute()}"  # fsspec takes it letter by letter, `%20` too
            raise InputError(
                f"{redacted(typed)}: not an address: give one such as hf://datasets/NAME/acts or s3://BUCKET/acts; "
                f"a folder here is {redacted(here)}"
            )
        if len(links) == 1 and not links[0]["rest"].strip("/"):
            raise InputError(f"{redacted(text)}: names no place: give one such as {links[0]['protocol']}://PLACE/acts")
        protocol = _kind(links[0])
        for link in links:
            local = link is not None and _kind(link) in LOCAL
            if link and local and "@" in _host(link):
                raise InputError(f"{link['protocol']}://…: a file here has no user: give {link['protocol']}:///FOLDER")
            if link and not local and _holds_secret(link):
                instead = KEYS.get(_kind(link), "give them as options= in Python, or by that package's own settings")
                # Where a secret begins and ends in it is not to be known, so none of it is shown.
                raise InputError(
                    f"{link['protocol']}://…: holds credentials or a query, which histories and logs would keep: "
                    f"leave them out of the address and {instead}"
                )
        return cls(text.rstrip("/") if len(links) == 1 else text, protocol, dict(options or {}))

    def __str__(self) -> str:
        return self.hide(self.text)

    def below(self, name: str) -> "Address":
        """The address of a folder in this one."""
        return replace(self, text=f"{self.text}/{name}")

    @property
    def keys(self) -> str:
        """How credentials for it are given."""
        return KEYS.get(self.protocol, "give its credentials by options= in Python, or by that package's own settings")

    def hide(self, text: str) -> str:
        """The text without anything secret: of the environment, and of the options."""
        return redacted(text, _secrets(self.options))

    def hide_in(self, value: Any) -> Any:
        """A value fit for JSON with each text and name in it so; numbers stay, whatever their digits are."""
        if isinstance(value, Mapping):
            return {self.hide(str(name)): self.hide_in(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide_in(part) for part in value]
        return self.hide(value) if isinstance(value, str) else value

    def open(self) -> tuple[Any, str]:
        """fsspec's file system and the path in it; InputError where a package is missing or the kind is not known."""
        try:
            import fsspec
        except ImportError as error:
            raise InputError(f"{self}: this needs fsspec: {EXTRA}") from error
        try:
            # Anew: an instance that is shared keeps lists of files, and the credentials of its first use.
            system, path = fsspec.url_to_fs(self.text, skip_instance_cache=True, **self.options)
        except ImportError as error:
            remedy = PACKAGES.get(self.protocol, "install it")
            raise InputError(
                f"{self}: a package is missing ({reason(ValueError(self.hide(str(error))))}): {remedy}"
            ) from None
        except (ValueError, TypeError, OSError) as error:
            said = reason(ValueError(self.hide(str(error))))
            raise InputError(f"{self}: cannot be opened ({said}): correct the address, or what is set for it") from None
        return system, str(path).rstrip("/")


def _kind(link: re.Match[str]) -> str:
    protocol = link["protocol"].lower()
    return SAME.get(protocol, protocol)


def _holds_secret(link: re.Match[str]) -> bool:
    """Whether it has a user or a password, a query, or a value such as `;token=...` after its path."""
    host, rest = _host(link), link["rest"]
    return ":" in host or "@" in host or "?" in rest or any(map(SECRET.search, ASSIGNED.findall(rest)))


def _host(link: re.Match[str]) -> str:
    """What stands before the first slash; a port is no password, an Azure container's account no user."""
    host = link["rest"].partition("/")[0]
    if _kind(link) == "abfs":
        return host.replace("@", "", 1)
    return re.sub(r":\d+$", "", host)


def _secrets(value: Any, secret: bool = False) -> list[str]:
    """The texts in nested options whose names say that they are secret."""
    if isinstance(value, Mapping):
        return [text for name, part in value.items() for text in _secrets(part, secret or bool(SECRET.search(name)))]
    if isinstance(value, list | tuple | set):
        return [text for part in value for text in _secrets(part, secret)]
    return [value] if secret and isinstance(value, str) else []
