"""Redaction: what must be in no message, file or card, made unreadable in a text."""

import os
import re
from collections.abc import Iterable, Mapping

MARK = "***"
LEAST = 6  # characters of a value that is looked for as it is: shorter ones stand in ordinary words
NAMED = re.compile(
    r"TOKEN|SECRET|PASSW|ACCESS_KEY|API_?KEY|CREDENTIAL|CONNECTION_STRING|ACCOUNT_KEY|SAS_", re.IGNORECASE
)
HARMLESS = re.compile(r"(PATH|FILE|DIR|PARALLELISM)$", re.IGNORECASE)  # names of places and switches
PATTERNS = (
    # user:password@host, where the password may hold slashes, and a path has one left of the two before it.
    (re.compile(r"(:/{1,2})[^/\s'\":@]*:[^\s'\"]*@"), rf"\1{MARK}@"),
    (re.compile(r"([?&][^\s=&'\"]{1,80}=)[^&\s'\"]+"), rf"\1{MARK}"),  # ?token=...&X-Amz-Signature=...
    (re.compile(r"\bhf_[A-Za-z0-9]{20,}"), MARK),
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{12,}"), MARK),
    (re.compile(r"\b(Bearer|Basic) +(?=\S*\d)[A-Za-z0-9+/_.=-]{12,}"), rf"\1 {MARK}"),  # not "Basic settings"
)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """A text without passwords and queries of addresses, tokens, and values of the environment's secret variables.

    `secrets` are further values that must not be seen.

    >>> redacted("no access to s3://key:hush@bucket/acts?token=abc")
    'no access to s3://***@bucket/acts?token=***'
    """
    values = {value for value in (*secrets, *_of_environment(os.environ)) if len(value) >= LEAST}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, MARK)
    for pattern, instead in PATTERNS:
        text = pattern.sub(instead, text)
    return text


def is_secret(name: str) -> bool:
    """Whether an environment variable's name says that its value is secret."""
    return bool(NAMED.search(name)) and not HARMLESS.search(name)


def _of_environment(environment: Mapping[str, str]) -> list[str]:
    """The values of variables whose names say that they are secret, and their lines, each without blanks around it."""
    values = [value for name, value in environment.items() if is_secret(name)]
    return [part for value in values for part in {value, value.strip(), *map(str.strip, value.splitlines())}]
