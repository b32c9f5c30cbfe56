"""`w2s push`: a store, or plain files, to an address."""

from pathlib import Path
from typing import Annotated

import typer

from .. import progress, terminal
from ..options import ShowProgress


def push(
    source: Annotated[Path, typer.Argument(help="A store's folder; or a file, such as labels; or any other folder.")],
    address: Annotated[
        str, typer.Argument(help="hf://datasets/NAME/ACTS, s3://BUCKET/ACTS, or any other address of fsspec.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace another store or other files there.")] = False,
    show: ShowProgress = "auto",
) -> None:
    """Bring a store to an address, layer by layer; what is there already is not sent again.

    Example: `w2s push acts hf://datasets/me/acts`
    """
    from ...addresses import push as run

    with progress.steps(show) as report:
        done = run(source, address, force=force, report=report)
    for remark in done.remarks:
        terminal.say(remark)
    terminal.say(f"{done.address}: {done}")
    terminal.next_command("w2s", "pull", done.address, source.name, where="elsewhere")
