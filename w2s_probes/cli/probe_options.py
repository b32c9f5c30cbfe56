"""An option for the value of each probe, made from the registry: a command takes them all as one dictionary.

Both decorators leave a command as it is: its options are made by `with_options` when it is called, or asked for its
help, so that probes of plugins have theirs.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from ..probes.probe_entry import ProbeEntry
from ..probes.registry import PROBES

OPTION = "__option_of_a_probe__"
NUMBERS = {"k": "numbers of neighbours, such as 1,5,10,50", "l2": "penalties, such as 0,1e-4,1e-2"}


def with_sweep_values(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option of text a probe (`--knn-k 1,5`), in place of its argument `values`: name -> text.

    Of a probe that has no value the option is a flag, and what stands in `values` is whether it was given.
    """

    def option(entry: ProbeEntry) -> tuple[Any, Any]:
        if entry.value is None:
            return Annotated[bool, typer.Option(entry.flag, help=f"Sweep {entry.title}, which has no value.")], False
        first = next(other for other in PROBES.values() if other.value == entry.value)
        short = [f"--{entry.value}"] if first is entry else []
        said = f"{entry.title[0].upper() if entry.title.islower() else entry.title[0]}{entry.title[1:]}"
        return Annotated[str, typer.Option(entry.flag, *short, help=f"{said}: {NUMBERS[entry.value]}.")], ""

    return _later(command, option)


def with_probe_value(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option of one number a probe (`--knn-k 5`), in place of its argument `values`.

    A probe that has no value has no option.
    """

    def option(entry: ProbeEntry) -> tuple[Any, Any] | None:
        if entry.value is None:
            return None
        said = f"--{entry.value}, as `w2s sweep` calls it for {entry.name}."
        if entry.value == "k":
            return Annotated[int | None, typer.Option(entry.flag, min=1, help=said)], None
        return Annotated[float | None, typer.Option(entry.flag, min=0, help=said)], None

    return _later(command, option)


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each probe that there is now, where it is decorated so."""
    option = vars(command).get(OPTION)
    return command if option is None else _with_options(command, option)


def _later(command: Callable[..., None], option: Callable[[ProbeEntry], tuple[Any, Any] | None]) -> Callable[..., None]:
    vars(command)[OPTION] = option
    return command


def _with_options(
    command: Callable[..., None], option: Callable[[ProbeEntry], tuple[Any, Any] | None]
) -> Callable[..., None]:
    """The command with one keyword a probe where its signature has `values`."""
    parameters: list[inspect.Parameter] = []
    options = {entry.name: found for entry in PROBES.values() if (found := option(entry)) is not None}
    settings = {name: PROBES[name].setting for name in options}
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name != "values":
            parameters.append(parameter)
            continue
        for name, (annotation, default) in options.items():
            kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
            parameters.append(inspect.Parameter(settings[name], kind, default=default, annotation=annotation))

    signature = inspect.Signature(parameters)

    @wraps(command)
    def called(*positional: Any, **named: Any) -> None:
        bound = signature.bind(*positional, **named)
        bound.apply_defaults()
        values = {name: bound.arguments.pop(setting) for name, setting in settings.items()}
        command(values=values, **bound.arguments)

    # Typer reads the options from these two.
    called.__dict__["__signature__"] = signature
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called
