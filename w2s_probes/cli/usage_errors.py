"""Errors of a command line that cannot be parsed: one line, with the nearest name that there is."""

import re
from collections.abc import Sequence
from typing import Any

from ..errors import nearest
from .app import VERBS

CHOICE = re.compile(r"'(?P<given>[^']*)' is not one of (?P<known>'.*')$", flags=re.DOTALL)
NO_COMMAND = re.compile(r"^No such command '(?P<given>.*)'$", flags=re.DOTALL)


def what_is_wrong(error: Any, arguments: Sequence[str]) -> str:
    """The message of a usage error that typer has raised over these arguments."""
    said = error.format_message().rstrip(".").replace(": Value error, ", ": ")
    near = None
    if type(error).__name__ == "NoSuchOption":
        said = f"No such option: {error.option_name}"
        near = nearest(error.option_name, _options(error.ctx))
    elif unknown := NO_COMMAND.search(said):
        said = f"No such command: {unknown['given']}"
        near = nearest(unknown["given"], error.ctx.command.commands)
    elif choice := CHOICE.search(said):
        near = nearest(choice["given"], re.findall(r"'([^']*)'", choice["known"]))
    hint = f"See `{_command(error.ctx, arguments)} --help`."
    return f"{said}; did you mean {near}? {hint}" if near else f"{said}. {hint}"


def _options(context: Any) -> list[str]:
    """Every option of the command, in full."""
    parameters = context.command.get_params(context) if context else []
    names = [name for option in parameters for name in (*option.opts, *option.secondary_opts)]
    return [name for name in names if name.startswith("--")]


def _command(context: Any, arguments: Sequence[str]) -> str:
    """The command that was typed; some errors come without its context."""
    if context:
        return str(context.command_path)
    return " ".join(["w2s", *[word for word in arguments if word in VERBS][:1]])
