"""`w2s verify`, `w2s repair` and `w2s cache`: looking after activation stores."""

from pathlib import Path
from typing import Annotated

import typer

from ...checkout import from_checkout
from ...errors import InputError
from .. import progress, terminal
from ..offload_options import MaxMemoryOption, OffloadOption, ScratchOption, offload_as_typed
from .extract import BatchOption, DeviceOption, PickleOption, RemoteCodeOption

StoreArgument = Annotated[Path, typer.Argument(help="The store's folder.")]
FolderArgument = Annotated[Path | None, typer.Argument(help="Where stores lie; $W2S_CACHE or ~/.cache/w2s-probes.")]
cache = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    suggest_commands=False,
    rich_markup_mode="markdown",
    help="Stores in a folder: list them, and delete those that are no longer of use.\n\nExample: `w2s cache ls runs`",
)


def verify(store: StoreArgument) -> None:
    """Read a store again and check every checksum, id, shape and number.

    Example: `w2s verify acts`
    """
    from ...store.activation_store import ActivationStore
    from ...store.manifest import Manifest

    manifest = Manifest.read(store)
    # A store that lists its shards is looked at whatever state they are in; another must at least be all there.
    opened = ActivationStore(store, manifest) if manifest.shards else ActivationStore.open(store)
    result = opened.verify()
    from ..answers_on_runs import VerifyAnswer

    counts = {"rows": result.rows, "layers": result.layers, "bytes": result.bytes}
    terminal.answer_json(VerifyAnswer(store=store, ok=result.ok, problems=result.problems, **counts))
    if not result.ok:
        for problem in result.problems[1:]:
            terminal.answer(problem)
        more = f" (and {len(result.problems) - 1} more, listed above)" if len(result.problems) > 1 else ""
        raise InputError(result.problems[0] + more)
    layers = f"{result.layers} layer{'s' * (result.layers != 1)}"
    terminal.answer(f"{store}: sound; {result.rows} rows, {layers}, {result.bytes:,} bytes")


def repair(
    store: StoreArgument,
    model: Annotated[str | None, typer.Option(help="Where the model is now, if it has moved.")] = None,
    rows: Annotated[list[Path], typer.Option(help="Where the rows are now, in their order, if they have moved.")] = [],  # noqa: B006
    batch_tokens: BatchOption = None,
    device_map: DeviceOption = None,
    offload: OffloadOption = False,
    max_memory: MaxMemoryOption = None,
    scratch: ScratchOption = None,
    trust_remote_code: RemoteCodeOption = False,
    allow_pickle: PickleOption = False,
) -> None:
    """Make a store's lost or damaged shards again, from the model and rows that it was made from.

    Example: `w2s repair acts`
    """
    from ...store.manifest import Manifest

    with from_checkout():
        from extract.models.checkpoints import Trust, refuse_no_model
        from extract.positions import fields_of
        from extract.row_files import read_rows
    trust = Trust(allow_pickle, trust_remote_code)
    asked = offload_as_typed(asked=offload, max_memory=max_memory, scratch=scratch, device_map=device_map)
    identity = Manifest.read(store).identity
    fields = fields_of([str(identity["position"])]) if "weights" in identity else []  # imports are refused below
    table = read_rows(*rows, fields=fields, conversations=True) if rows else None
    with from_checkout():
        if model is not None:
            refuse_no_model(model, None, trust)
        # Only what has passed so far is worth the seconds that these take.
        from extract.models.loading import Placement
        from extract.repair import repair as make_again
    placement = Placement(device_map, None, batch_tokens, asked)
    with progress.steps() as report:
        made = make_again(
            store,
            model=model,
            rows=table,
            trust=trust,
            placement=placement,
            progress=report,
        )
    for file in made:
        terminal.say(f"made again: {file}")
    terminal.say(
        f"{store}: {len(made)} shard{'s' * (len(made) != 1)} made again" if made else f"{store}: nothing to repair"
    )


@cache.command("ls")
def cache_ls(folder: FolderArgument = None) -> None:
    """List the stores below a folder, the largest first.

    Example: `w2s cache ls runs`
    """
    from ...store.cache import cached_stores

    place = folder or terminal.cache_folder()
    if folder is None and not place.exists():  # nothing was ever put there
        terminal.answer(f"{place}: no stores yet")
        return
    found = cached_stores(place)
    for entry in found:
        terminal.answer(entry)
    stores = f"{len(found)} store{'s' * (len(found) != 1)}"
    terminal.answer(f"{place}: {stores}, {sum(entry.bytes for entry in found):,} bytes")


@cache.command("gc")
def cache_gc(
    folder: FolderArgument = None,
    days: Annotated[
        float | None, typer.Option(min=0, help="Delete stores not changed or read for so many days.")
    ] = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Delete unfinished stores untouched for a day or more.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")] = False,
) -> None:
    """Delete what killed processes left, and the stores that the options name.

    Example: `w2s cache gc runs --unfinished --days 90 --dry-run`
    """
    from ...store.cache import collect_garbage

    place = folder or terminal.cache_folder()
    if folder is None and not place.exists():
        terminal.say(f"{place}: no stores yet")
        return
    say = terminal.answer if dry_run else terminal.say
    deleted = collect_garbage(place, days=days, unfinished=unfinished, dry_run=dry_run)
    for path, size in deleted:
        say(f"{'would delete' if dry_run else 'deleted'} {path} ({size:,} bytes)")
    say(f"{place}: {sum(size for _, size in deleted):,} bytes {'to gain' if dry_run else 'gained'}")
