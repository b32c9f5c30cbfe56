"""The result of a push or a pull."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Delivery:
    """What a push or a pull has brought over.

    >>> print(Delivery("s3://bucket/acts", Path("acts"), files=9, sent=2, bytes=4096))
    2 files brought over (4,096 bytes), 7 were there
    """

    address: str  # without anything secret
    place: Path
    files: int  # that belong there
    sent: int  # those of them that were not there yet, or not as they should be
    bytes: int  # of these
    remarks: tuple[str, ...] = ()  # what else should be known, a line each

    def __str__(self) -> str:
        there = self.files - self.sent
        rest = f", {there:,} {'was' if there == 1 else 'were'} there" if there else ""
        return f"{self.sent:,} file{'s' * (self.sent != 1)} brought over ({self.bytes:,} bytes){rest}"
