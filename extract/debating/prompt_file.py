"""What debaters are told: Jinja prompts from one file, by protocol."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from w2s_probes.errors import InputError, did_you_mean, whole_reason

from ..templates import MARKER, WRONG
from .protocols import PROTOCOLS, Protocol, speaker_of
from .transcripts import Turn

BUILT_IN = Path(__file__).with_name("prompts.toml")
TABLES = ("chat", "plain")


@dataclass(frozen=True)
class DebatePrompt:
    """One protocol's prompt: Jinja source, and where it comes from."""

    source: str
    where: str

    @classmethod
    def read(cls, path: Path | str | None, protocol: Protocol, *, chat: bool) -> "DebatePrompt":
        """The prompt of a protocol, for a chat template or for plain text, from a file; the built-in one for None.

        A file is TOML like the built-in one, whose tables `chat` and `plain` hold a prompt for each protocol, or Jinja
        for whatever is asked. InputError where it has none, where Jinja cannot read it, and where its text would be
        the same for every row or on either side.
        """
        file = BUILT_IN if path is None else Path(path)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise InputError(f"prompts {file}: not a readable file; give TOML or Jinja") from error
        source = text
        where = f"prompts {file}"
        if file.suffix == ".toml":
            table = TABLES[0] if chat else TABLES[1]
            source = _from_toml(text, table, protocol, where)
            where = f"{where}, {table}.{protocol}"
        prompt = cls(source, where)
        prompt._refuse_mute(protocol)
        return prompt

    @classmethod
    def refuse_file(cls, path: Path, protocol: Protocol) -> None:
        """InputError for a file that has no usable prompt of the protocol, for whatever model."""
        try:
            cls.read(path, protocol, chat=True)
        except InputError as error:
            if path.suffix != ".toml":
                raise
            try:
                cls.read(path, protocol, chat=False)
            except InputError:
                raise error from None

    @cached_property
    def _template(self) -> Template:
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
        try:
            return environment.from_string(self.source.strip())
        except WRONG as error:
            raise InputError(f"{self.where}: Jinja cannot read it ({whole_reason(error)})") from error

    def of(
        self, text: str, speaker: str, side: int | None, turns: Sequence[Turn], names: Sequence[str], question: str = ""
    ) -> str:
        """The prompt of the turn after these; InputError, saying where, if it cannot be made."""
        said = [
            {"speaker": turn.speaker, "answer": "" if turn.side is None else names[turn.side], "text": turn.text}
            for turn in turns
        ]
        answer, other = ("", "") if side is None else (names[side], names[1 - side])
        try:
            return self._template.render(
                text=text,
                question=question,
                names=list(names),
                speaker=speaker,
                answer=answer,
                other=other,
                turn=len(turns) + 1,
                said=said,
            )
        except WRONG as error:
            raise InputError(f"{self.where}: it cannot be applied ({whole_reason(error)})") from error

    def _refuse_mute(self, protocol: Protocol) -> None:
        """InputError for a prompt that leaves out the row, the side, or what was said."""
        sides = (None,) if protocol == "no-sides" else (0, 1)
        made = [self.of(MARKER, "A", side, (), ("first answer", "second answer")) for side in sides]
        if MARKER not in made[0]:
            raise InputError(f"{self.where}: no {{{{ text }}}} in it: every row would be argued about alike")
        if len(set(made)) < len(sides):
            raise InputError(f"{self.where}: no {{{{ answer }}}} in it: nobody would know what to argue for")
        before = Turn(speaker_of(protocol, 1), sides[0], "thirteen grey pebbles")
        after = self.of(MARKER, speaker_of(protocol, 2), sides[-1], (before,), ("first answer", "second answer"))
        if before.text not in after:
            raise InputError(f"{self.where}: no turn of {{{{ said }}}} in it: every turn would be a first one")


def _from_toml(text: str, table: str, protocol: Protocol, where: str) -> str:
    try:
        parsed: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: not TOML ({whole_reason(error)})") from error
    for name, prompts in parsed.items():
        if name not in TABLES or not isinstance(prompts, dict):
            raise InputError(f"{where}: {name!r}: {did_you_mean(name, TABLES)}")
        for key, value in prompts.items():
            if key not in PROTOCOLS or not isinstance(value, str):
                raise InputError(f"{where}: {name}.{key}: a prompt is text, and {did_you_mean(key, PROTOCOLS)}")
    if protocol not in parsed.get(table, {}):
        why = "the model has a chat template" if table == TABLES[0] else "there is no chat template"
        raise InputError(f"{where}: no prompt {table}.{protocol}, which is needed ({why}): add it")
    return str(parsed[table][protocol])
