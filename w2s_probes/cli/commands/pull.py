"""`w2s pull`: a store, all of it or some layers, or plain files, from an address."""

from pathlib import Path
from typing import Annotated

import typer

from .. import progress, terminal
from ..options import ShowProgress


def pull(
    address: Annotated[str, typer.Argument(help="Where it lies: hf://datasets/NAME/ACTS, s3://BUCKET/ACTS, ...")],
    out: Annotated[Path, typer.Argument(help="The folder to be, or for a file its path or a folder.")],
    layers: Annotated[
        str | None, typer.Option(help="Of a store: 16, 0-12, 4,8,16, middle or all; others here already stay.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace plain files here of other content.")] = False,
    show: ShowProgress = "auto",
) -> None:
    """Bring a store, or some of its layers, from an address; a pull that was cut short is gone on with.

    Example: `w2s pull hf://datasets/me/acts acts --layers 16`
    """
    from ...addresses import pull as run
    from ...store.layers import refuse_no_layers

    if layers is not None:
        refuse_no_layers(layers)
    with progress.steps(show) as report:
        done = run(address, out, layers=layers, force=force, report=report)
    terminal.say(f"{done.place}: {done}")
