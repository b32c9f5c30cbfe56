"""`w2s schema`: JSON Schema of recipes, of task files, and of what --json prints."""

import json
from typing import Annotated, Any

import typer

from ...checkout import from_checkout
from .. import terminal
from ..app import ANSWERING

schema = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    suggest_commands=False,
    rich_markup_mode="markdown",
    help="JSON Schema of recipes, of task files, and of answers.\n\nExample: `w2s schema recipe > recipe.json`",
)


@schema.command("recipe")
def recipe_schema() -> None:
    """The schema of recipes, by which editors complete and check them.

    Example: `w2s schema recipe`
    """
    with from_checkout():
        from analyses.recipe_schema import recipe_json_schema
    _print(recipe_json_schema())


@schema.command("task")
def task_schema() -> None:
    """The schema of task files, by which editors complete and check them.

    Example: `w2s schema task`
    """
    with from_checkout():
        from extract.tasks.json_schema import task_json_schema
    _print(task_json_schema())


@schema.command("json")
def answer_schema(
    verb: Annotated[str, typer.Argument(help=f"One of {', '.join(ANSWERING)}.")],
) -> None:
    """The schema of what a verb prints with --json.

    Example: `w2s schema json filter`
    """
    from ...errors import InputError, did_you_mean
    from ..json_schemas import ANSWERS
    from ..json_schemas import answer_schema as schema_of

    if verb not in ANSWERS:
        raise InputError(f"{verb}: has no answer in JSON: {did_you_mean(verb, ANSWERS)}")
    _print(schema_of(verb))


def _print(content: dict[str, Any]) -> None:
    terminal.answer_text(json.dumps(content, indent=1))
