"""Turns on disk under the hash of all that decides them: a killed debate goes on, another one uses what it shares."""

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from w2s_probes.errors import InputError
from w2s_probes.io.files import replacing
from w2s_probes.store.manifest import identity_key

from ..generating import Generation

ABOUT = "about.json"


class TurnCache:
    """The turns of one kind of debate in a folder of their own: lines of JSON, a file for each process that wrote.

    A line that a kill has torn is passed over: its turn is generated anew.
    """

    def __init__(self, root: Path | str | None, identity: Mapping[str, Any]) -> None:
        """`identity` is what all these turns share; without a `root` they are kept in memory."""
        self._folder = None if root is None else Path(root) / identity_key(dict(identity))[:16]
        self._identity = identity
        self._turns: dict[str, Generation] = {}
        self._name = f"turns-{uuid.uuid4().hex[:12]}.jsonl"
        self.read()

    def read(self) -> None:
        """Read what is there, and what other processes have added since."""
        if self._folder is not None and self._folder.is_dir():
            for path in sorted(self._folder.glob("turns-*.jsonl")):
                for line in path.read_bytes().splitlines():
                    turn = _turn(line)
                    if turn is not None:
                        self._turns.setdefault(*turn)

    def get(self, key: str) -> Generation | None:
        """The turn of this key; None where it has not been generated."""
        return self._turns.get(key)

    def put(self, turns: Mapping[str, tuple[Mapping[str, Any], Generation]]) -> None:
        """Keep turns by key, each with what a reader should know of it."""
        self._turns |= {key: generation for key, (_, generation) in turns.items()}
        if self._folder is None:
            return
        lines = "".join(
            json.dumps({"key": key, **about, **vars(generation)}, ensure_ascii=False) + "\n"
            for key, (about, generation) in turns.items()
        )
        try:
            if not (self._folder / ABOUT).exists():
                with replacing(self._folder / ABOUT) as temporary:
                    temporary.write_text(json.dumps(self._identity, indent=1, ensure_ascii=False) + "\n", "utf-8")
            with (self._folder / self._name).open("ab") as stream:
                stream.write(lines.encode())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise InputError(f"cannot write {self._folder}: {error.strerror or error}") from error


def _turn(line: bytes) -> tuple[str, Generation] | None:
    try:
        record = json.loads(line)
        key, text, tokens, cut = (record[name] for name in ("key", "text", "tokens", "cut"))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not (isinstance(key, str) and isinstance(text, str) and isinstance(tokens, int) and isinstance(cut, bool)):
        return None
    return key, Generation(text, tokens, cut)
