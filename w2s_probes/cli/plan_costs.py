"""What `w2s plan` says of a model's costs: sizes, time at a rate, and time and memory of this machine."""

from typing import TYPE_CHECKING, Any

from ..checkout import from_checkout
from ..errors import InputError
from .plan_intervals import fact_line
from .units import amount, duration, roughly, spans

if TYPE_CHECKING:
    from extract.costs.estimate import Costs
    from extract.costs.lengths import Lengths
    from extract.models.source import ModelSource

Rates = dict[str, float | None]  # as `Costs.seconds` calls them


def cost_lines(title: str, costs: "Costs", lengths: "Lengths", rates: Rates, *, at_most: bool = False) -> list[str]:
    """The lines on sizes, operations and their time at a rate."""
    visited, experts = costs.experts
    routed = ""
    if experts:
        how_many = f"a token visits {visited}" if visited else "the config names no number that a token visits: all"
        routed = f"; {how_many} of {experts} experts"
    site = "" if costs.site == "residual" else f"{costs.site}, "
    facts = {
        "parameters": f"{amount(costs.parameters)}, of them {amount(costs.block_parameters)} in {costs.depth} blocks "
        f"of width {costs.width}{routed}",
        "stored": f"layers {spans(costs.layers)}, {site}position {costs.position}, {costs.dtype}",
        "rows": f"{'at most ' if at_most else ''}{costs.rows:,}, {costs.tokens:,} tokens, the longest "
        f"{costs.longest:,}{f'; {lengths.left_out:,} more in which a position is nowhere' * (lengths.left_out > 0)}",
        "cut": _cut(lengths),
        "disk": amount(costs.store, "B"),
        "host memory": f"{amount(costs.host, 'B')} beside a GPU; without one, the device's on top",
        "device memory": f"{amount(costs.device, 'B')}: weights {amount(costs.weights, 'B')}, a batch of up to "
        f"{costs.batch_tokens:,} tokens {amount(costs.working, 'B')}",
        "forward": f"{amount(costs.flops, 'FLOP')} in {costs.blocks_run} blocks, where a token meets "
        f"{amount(costs.active_parameters)} parameters",
        "time": f"{duration(costs.seconds(**rates))} at {_rate(costs, rates)}",
    }
    return [title, *(fact_line(name, text) for name, text in facts.items())]


def _cut(lengths: "Lengths") -> str:
    """The number of texts that lose something at the limit, and the side on which they do."""
    rows = len(lengths.tokens)
    if lengths.limit is None:
        return "none: the model reads texts of any length"
    limit = f"{lengths.limit:,} tokens"
    if not lengths.cut:
        return f"none{' of a sample of them' if lengths.sampled else ''}: texts of up to {limit} are read whole"
    if lengths.assumed:
        return f"{lengths.cut:,} texts, on the right: only their first {limit} are read"
    about = "about " if lengths.sampled else ""
    return f"{about}{lengths.cut:,} of {rows:,} texts, on the right: they have more than {limit} and lose their end"


def lines_of_here(source: "ModelSource", lengths: "Lengths", options: dict[str, Any], rates: Rates) -> list[str]:
    """The lines on this machine: estimated time, unless a rate was given, memory and batches."""
    with from_checkout():
        from extract.costs.estimate import estimate
        from extract.costs.speed import Machine, measure
    machine = Machine.here()
    chosen = options | {"batch_tokens": options["batch_tokens"] or machine.batch_tokens(source.width)}
    costs = estimate(source, lengths.tokens, **chosen)
    facts = {}
    if rates == dict.fromkeys(rates):
        try:
            speed = measure(source, costs, machine)
            facts["this machine"] = (
                f"about {roughly(speed.seconds(costs))} on {machine}: an estimate, from {speed.timed} that did "
                f"{amount(speed.flops_per_s, 'FLOP/s')} just now; loading the model comes on top"
            )
        except InputError as error:
            facts["this machine"] = f"{machine}, time not estimated: {error}"
    need = machine.memory(costs)
    batches = f"in batches of up to {costs.batch_tokens:,} tokens"
    free = "" if machine.free is None else f" of {amount(machine.free, 'B')} free"
    too_much = machine.free is not None and need > machine.free
    less = need - costs.weights + costs.offloaded_weights
    offload = f": it does not fit; block by block (w2s extract --offload) {amount(less, 'B')} and the states"
    facts["memory here"] = f"{amount(need, 'B')}{free}, {batches}{offload if too_much else ''}"
    return [fact_line(name, text) for name, text in facts.items()]


def tuning_here(part: Any, flops: float, rates: Rates) -> list[str]:
    """The line on the time of all fine-tuning or asking on this machine, unless a rate was given."""
    if rates != dict.fromkeys(rates):
        return []
    with from_checkout():
        from extract.costs.speed import Machine, measure
    try:
        machine = Machine.here()
        speed = measure(part.source, part.costs, machine)
    except InputError as error:
        return [fact_line("this machine", f"time not estimated: {error}")]
    time = roughly(flops / speed.flops_per_s)
    return [fact_line("this machine", f"about {time} on {machine}: an estimate, from {speed.timed}, forward alone")]


def position_lines(source: "ModelSource", position: str, option: str) -> list[str]:
    """The lines on a position that the model was not made for."""
    with from_checkout():
        from extract.models.pooling import position_remarks
    found = position_remarks(source, position, option=option)
    return [fact_line("position", remark.removeprefix(f"model {source.name}: ")) for remark in found]


def _rate(costs: "Costs", rates: Rates) -> str:
    if rates["tokens_per_s"] is not None:
        return amount(rates["tokens_per_s"], "tokens/s")
    if rates["flops_per_s"] is not None:
        return amount(rates["flops_per_s"], "FLOP/s")
    with from_checkout():
        from extract.costs.estimate import UTILISATION, default_rate
    return (
        f"{amount(default_rate(costs.dtype), 'FLOP/s')}, {UTILISATION:.0%} of an A100's peak in "
        f"{costs.dtype}: for others give --flops-per-s or --tokens-per-s"
    )
