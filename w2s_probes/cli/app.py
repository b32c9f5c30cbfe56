"""The commands of `w2s`, by group. A command's module is imported when the command is called, or asked for its help.

Plugins are loaded before that (`--plugin`), since a command's options may be those of a plugin's probes.
"""

from collections.abc import Sequence
from copy import copy
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from ..errors import InputError

SETTINGS = {"help_option_names": ["-h", "--help"]}
PLUGIN = "--plugin"
EXPERIMENT, ACTIVATIONS, LABELS = "Experiment", "Activations", "Labels"


class Verb(NamedTuple):
    """A command's place in the overview, its line there, and its module."""

    panel: str
    help: str
    where: str  # module of this package: name of the function, or of a Typer with commands of its own


VERBS = {
    "demo": Verb(EXPERIMENT, "The whole method on a miniature: offline, some minutes.", "run:demo"),
    "run": Verb(EXPERIMENT, "A recipe from weak supervisor to students and PGR.", "run:run"),
    "robust": Verb(EXPERIMENT, "Which students to keep, whatever the supervisor's errors.", "robust:robust"),
    "report": Verb(EXPERIMENT, "What a folder of results shows, as one HTML file.", "report:report"),
    "results": Verb(EXPERIMENT, "One tidy table over many runs.", "results:results"),
    "plan": Verb(EXPERIMENT, "What a recipe or an extraction costs, and what it can show.", "plan:plan"),
    "schema": Verb(EXPERIMENT, "JSON Schema of recipes, task files and answers.", "schema:schema"),
    "doctor": Verb(ACTIVATIONS, "Are the numbers right on this model and this machine?", "doctor:doctor"),
    "extract": Verb(ACTIVATIONS, "A model's activations into a store.", "extract:extract"),
    "import": Verb(ACTIVATIONS, "Activations that others have saved into a store.", "import_:import_activations"),
    "verify": Verb(ACTIVATIONS, "Read a store again and check everything.", "stores:verify"),
    "repair": Verb(ACTIVATIONS, "Make lost or damaged parts of a store again.", "stores:repair"),
    "push": Verb(ACTIVATIONS, "A store to hf://, s3:// or any address, layer by layer.", "push:push"),
    "pull": Verb(ACTIVATIONS, "A store, or some of its layers, from an address.", "pull:pull"),
    "cache": Verb(ACTIVATIONS, "List stores, and delete those of no more use.", "stores:cache"),
    "ask": Verb(LABELS, "A causal model's own opinion of each row, as labels.", "ask:ask"),
    "steer": Verb(LABELS, "Does a probe's direction move what the model says?", "steer:steer"),
    "debate": Verb(LABELS, "What a causal model says for either answer, row by row.", "debate:debate"),
    "combine": Verb(LABELS, "Several raters' label files into one.", "combine:combine"),
    "foretell": Verb(LABELS, "Will it help? Before students are trained.", "foretell:foretell"),
    "sweep": Verb(LABELS, "Every layer, probe and value; the best by weak labels.", "sweep:sweep"),
    "filter": Verb(LABELS, "Mark the weak labels that a probe disbelieves.", "filter:filter_labels"),
    "relabel": Verb(LABELS, "Replace weak labels by a probe's opinion.", "relabel:relabel"),
    "tokens": Verb(LABELS, "Which tokens carry a row's label, by an attention probe.", "tokens:tokens"),
    "export": Verb(LABELS, "Labels in the form that another trainer reads.", "export:export"),
    "student": Verb(LABELS, "Train a head, or fine-tune a model, on weak labels.", "student:student"),
    "predict": Verb(LABELS, "Score new rows with a saved student or probe.", "predict:predict"),
    "compare": Verb(LABELS, "Scores in files: differences with tests, and PGR.", "compare:compare"),
    "calibrate": Verb(LABELS, "Scores made probabilities of labels, before and after.", "calibrate:calibrate"),
    "audit": Verb(LABELS, "How many labels are wrong, by people: draw, page, fold.", "audit:audit"),
    "deception": Verb(LABELS, "What a conflicting objective cost a student, beside chance.", "deception:deception"),
}
# The verbs whose answer is an object that --json prints; docs/json.md says each one's fields.
ANSWERING = (
    *("verify", "doctor", "ask", "debate", "combine", "sweep", "filter", "relabel", "tokens", "student", "predict"),
    *("compare", "audit", "deception", "report", "results", "plan", "robust", "steer", "foretell", "calibrate"),
)


class Verbs(TyperGroup):
    """A group that holds a name and a line for each command, and loads it on demand."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Put the command itself in the place of its name, with --quiet, and --json where it has an answer for it."""
        if args and args[0] in VERBS:
            plugins = _loaded([*ctx.params["plugin"], *typed_plugins(args)])
            command = self.commands[args[0]] = load(args[0])
            shared = [_own(self.params, "quiet", _hush), _own(self.params, "plugin", None)]
            if args[0] in ANSWERING:
                shared.append(_own(self.params, "json", _answer_in_json))
            for each in getattr(command, "commands", {"": command}).values():
                each.params += shared
                each.callback = _telling(each.callback, plugins)
        return super().resolve_command(ctx, args)


def typed_plugins(words: Sequence[str]) -> list[str]:
    """The files that a command's own words name by --plugin, which are read before its options are known.

    >>> typed_plugins(["sweep", "acts", "--plugin", "a.py", "--plugin=b.py", "--", "--plugin"])
    ['a.py', 'b.py']
    """
    words = words[: words.index("--")] if "--" in words else words
    pairs = zip(words, [*words[1:], ""], strict=True)
    found = [after if word == PLUGIN else word.removeprefix(f"{PLUGIN}=") for word, after in pairs if _is_plugin(word)]
    return [path for path in found if path]


def _is_plugin(word: str) -> bool:
    return word == PLUGIN or word.startswith(f"{PLUGIN}=")


def _loaded(paths: Sequence[Path | str]) -> list[Any]:
    """The plugins of these files, loaded."""
    if not paths:  # nothing is imported for none
        return []
    from ..plugins import load_plugins

    return load_plugins(paths)


def _telling(command: Any, plugins: list[Any]) -> Any:
    """A command that says first which plugins were loaded for it, and names them in the next command."""
    from . import terminal

    @wraps(command)
    def called(*given: Any, **named: Any) -> Any:
        terminal.with_plugins([plugin.path for plugin in plugins])
        for plugin in plugins:
            terminal.say(plugin)
        return command(*given, **named)

    return called


def load(name: str) -> Any:
    """The command of this name, made from its function."""
    from .probe_options import with_options
    from .refused_addresses import without_addresses
    from .spelt_help import spell_out

    module, _, attribute = VERBS[name].where.partition(":")
    loaded = getattr(import_module(f".commands.{module}", __package__), attribute)
    if not isinstance(loaded, typer.Typer):
        alone = typer.Typer(add_completion=False, rich_markup_mode="markdown", context_settings=SETTINGS)
        alone.command(name)(with_options(loaded))
        loaded = alone
    for registered in loaded.registered_commands:
        registered.callback = without_addresses(registered.callback)
    command: Any = typer.main.get_command(loaded)
    for each in getattr(command, "commands", {"": command}).values():
        spell_out(each)
    return command


app = typer.Typer(
    name="w2s",
    cls=Verbs,
    suggest_commands=False,  # usage_errors.py does
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings=SETTINGS,
)


def _version(asked: bool) -> None:
    if asked:
        from .. import __version__

        typer.echo(f"w2s-probes {__version__}")
        raise typer.Exit


def _own(options: Any, name: str, callback: Any) -> Any:
    """An option of the group as one of a command's own."""
    option: Any = copy(next(option for option in options if option.name == name))
    option.expose_value, option.callback, option.hidden = False, callback, False
    return option


def _answer_in_json(context: Any, option: Any, wanted: bool) -> None:
    from . import terminal

    terminal.to_json(wanted)


def _hush(context: Any, option: Any, wanted: bool) -> None:
    if wanted:
        from . import terminal

        terminal.hush(True)


@app.callback()
def w2s(
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress and no remarks; errors, and answers that no file holds.")
    ] = False,
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one JSON object, all other words on stderr; `w2s schema json VERB` has its fields.",
            hidden=True,
        ),
    ] = False,
    plugin: Annotated[
        list[Path],
        typer.Option(help="A Python file that adds probes, losses, methods, readers or exporters; may be repeated."),
    ] = [],  # noqa: B006
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Say the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Weak-to-strong generalization: cache activations, probe them, filter and relabel weak labels, measure PGR."""
    from . import terminal

    if json:
        raise InputError(f"--json stands after the command that answers: {', '.join(ANSWERING)}")
    terminal.hush(quiet)
    terminal.to_json(False)


def _later() -> None:
    """Stands in the overview for a command that is not loaded yet."""


for _name, _verb in VERBS.items():
    app.command(_name, help=_verb.help, rich_help_panel=_verb.panel)(_later)
