"""The commands of `w2s`, by group."""

import typer

from . import data, doctor, extract, plan, run, store, train

app = typer.Typer(
    name="w2s",
    help="Weak-to-strong generalization: cache activations, probe them, filter and relabel weak labels, measure PGR.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run.demo)
app.command()(run.run)
app.command()(plan.plan)
app.command()(extract.extract)
app.command()(store.verify)
app.command()(store.repair)
app.command()(doctor.doctor)
app.add_typer(store.cache, name="cache")
app.command("filter")(data.filter_labels)
app.command()(data.relabel)
app.command()(train.student)
