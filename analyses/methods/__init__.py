"""The methods by name. A method yields lessons and returns an `Outcome`; adding one is one entry here."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from extract.asking.shots import FEWEST as LEAST_SHOTS
from w2s_probes.errors import InputError, did_you_mean
from w2s_probes.gating.experts import LEAST as LEAST_OF_EXPERTS
from w2s_probes.gating.learned import GATE_KINDS, LEAST, GateKind
from w2s_probes.gating.mixing import DEGENERATE
from w2s_probes.losses.names import LOSS_NAMES, LOSSES
from w2s_probes.probes.probe_entry import ProbeEntry
from w2s_probes.probes.registry import ENTRIES, PROBES, TOKEN_PROBES

from ..experiment import Lessons, Method, Trusted
from ..experiment.declared_probes import EVERY_SETTING
from ..experiment.gold_rows import LAYERS, VALUES, GoldUse
from ..experiment.gold_rows import SHARE as WEIGHT_SHARE
from ..recipe.debate_settings import CHANGES, DEBATE_CONTROL
from ..recipe.gold_names import GOLD, GOLD_ALONE, OF_WEAK, SELECT, WEAK_ALONE, GoldName
from ..results.names import AVERAGE, ENTROPY_GATE, GATE, PROBE, RANDOM, SHUFFLED, own_ceiling
from .by_name import METHODS
from .conflicts import churn, explicit_conflict, implicit_conflict
from .contrasts import CONTRAST_METHODS, of_pairs
from .controls import (
    DRAWS,
    confidence_filter,
    confidence_removal,
    oracle_filter,
    oracle_removal,
    permuted_graph,
    random_control,
)
from .debates import debate_control
from .filters import probe_filter, probe_removal
from .fusions import FUSIONS, fused_answers
from .gates import Control, Over, gate_prediction
from .gold import after, appended, gold_alone, weak_alone
from .gold_choices import chosen_checkpoint, chosen_layer, chosen_value
from .judgements import channel_relabel, channel_removal, channel_student, confident_removal, confident_student
from .mean_of_tokens import mean_of_tokens
from .mowst import gated_experts, trusted_student
from .overlaps import OVERLAPS
from .priors import prior_opinion
from .probe_controls import PROBE_CONTROLS
from .probes import probe_ceiling, probe_prediction
from .raters import raters_removal, raters_student
from .relabels import probe_relabel
from .rounds import bootstrapping, strong_to_strong
from .students import plain_student
from .two_stages import RANDOM_STAGES, TWO_STAGE, in_two_stages

__all__ = ["METHODS", "find_method", "find_methods"]

NO_SETTING: frozenset[str] = frozenset()
SHARE = frozenset({"contamination"})
LOGISTIC = frozenset({"logistic_l2"})
EXPERTS = Trusted(LEAST_OF_EXPERTS, of_model=True, stops=True, why=DEGENERATE)
OWN_PROBES = [entry.name for entry in ENTRIES]


def _reads(entry: ProbeEntry) -> frozenset[str]:
    return frozenset({entry.setting}) | EVERY_SETTING.intersection(entry.options)


READS = {name: frozenset({name}) for name in TOKEN_PROBES} | {entry.name: _reads(entry) for entry in ENTRIES}


def _filter(probe: str, reads: frozenset[str], *, relabels: bool = False) -> Method:
    decide = partial(probe_removal, probe=probe, relabels=relabels)
    run = partial(probe_filter, probe=probe, relabels=relabels)
    return Method(run, removal=decide, settings=reads | SHARE)


def _student(loss: str) -> Method:
    return Method(partial(plain_student, loss=loss), activations=False, settings=NO_SETTING, losses=frozenset({loss}))


def _ceiling(probe: str, reads: frozenset[str]) -> Method:
    return Method(partial(probe_ceiling, probe=probe), oracle=True, students=0, settings=reads)


def _probe(probe: str, reads: frozenset[str]) -> Method:
    return Method(partial(probe_prediction, probe=probe), students=0, settings=reads, ceiling=own_ceiling(probe))


def _relabel(probe: str, reads: frozenset[str]) -> Method:
    return Method(partial(probe_relabel, probe=probe), settings=reads)


def _gate(kind: GateKind, over: Over = "student", control: Control | None = None) -> Method:
    needs = Trusted(LEAST, held_out=True, why="a gate of three weights is learned from them")
    return Method(
        partial(gate_prediction, kind=kind, over=over, control=control),
        oracle=over == "ceiling",
        trusted=needs if kind == "learned" else None,
        activations=False,
        settings=NO_SETTING,
    )


def _gold(run: Callable[..., Lessons], *, students: int = 1, **use: Any) -> Method:
    rounds = 2 if run is after else 1
    gold = GoldUse(**use)
    return Method(run, gold=gold, activations=False, students=students, rounds=rounds, settings=NO_SETTING)


def _gold_value(probe: str, reads: frozenset[str]) -> Method:
    run = partial(chosen_value, probe=probe)
    use = GoldUse(both=True, reads=frozenset({VALUES}))
    return Method(run, gold=use, students=0, settings=reads, ceiling=own_ceiling(probe))


GATES: dict[str, tuple[GateKind, Over]] = {
    **{f"{GATE}{kind}": (kind, "student") for kind in GATE_KINDS},
    f"{GATE}ceiling": ("entropy", "ceiling"),
}
GATE_CONTROLS: dict[str, Control] = {AVERAGE: "average", SHUFFLED: "shuffled"}


def _of_other(probe: str, reads: frozenset[str] = EVERY_SETTING) -> dict[str, Method]:
    """The methods of a probe that reads more of a row than one vector: every token, or several layers."""
    ceiling = own_ceiling(probe)
    return {
        ceiling: Method(partial(probe_ceiling, probe=probe), oracle=True, students=0, settings=reads),
        f"{PROBE}{probe}": Method(partial(probe_prediction, probe=probe), students=0, settings=reads, ceiling=ceiling),
        f"filter-{probe}": _filter(probe, reads),
        f"relabel-{probe}": Method(partial(probe_relabel, probe=probe), settings=reads),
    }


OWN_METHODS: dict[str, Method] = {
    **{name: _gate(*gate) for name, gate in GATES.items()},
    **{name: _gate(*GATES[ENTROPY_GATE], control) for name, control in GATE_CONTROLS.items()},
    "mowst": Method(partial(gated_experts, joint=False), trusted=EXPERTS, students=0, settings=LOGISTIC),
    "mowst-joint": Method(partial(gated_experts, joint=True), trusted=EXPERTS, students=0, settings=LOGISTIC),
    "control-trusted": Method(
        trusted_student, trusted=Trusted(LEAST_OF_EXPERTS, stops=True), activations=False, settings=NO_SETTING
    ),
    **{f"student-{loss}": _student(loss) for loss in LOSS_NAMES},
    "s2s-1": Method(partial(strong_to_strong, rounds=1), activations=False, students=2, rounds=2, settings=NO_SETTING),
    "s2s-2": Method(partial(strong_to_strong, rounds=2), activations=False, students=3, rounds=3, settings=NO_SETTING),
    "bootstrap": Method(bootstrapping, activations=False, students=2, settings=NO_SETTING),
    **{own_ceiling(name): _ceiling(name, READS[name]) for name in OWN_PROBES},
    **{f"{PROBE}{name}": _probe(name, READS[name]) for name in OWN_PROBES},
    **{f"filter-{name}": _filter(name, READS[name]) for name in OWN_PROBES},
    **{f"relabel-{name}": _relabel(name, READS[name]) for name in OWN_PROBES},
    **{f"filter-relabel-{name}": _filter(name, READS[name], relabels=True) for name in OWN_PROBES},
    **{name: replace(method, tokens=True) for name, method in _of_other("attention", READS["attention"]).items()},
    "control-mean-of-tokens": Method(
        mean_of_tokens, tokens=True, students=0, settings=READS["attention"], ceiling=own_ceiling("attention")
    ),
    **{name: replace(method, layers=True) for name, method in _of_other("layers").items()},
    **PROBE_CONTROLS,
    **{
        f"{name}-conflict-{kind}": Method(
            partial(teach, truthful=name == "control-truth"), oracle=True, activations=False, settings=NO_SETTING
        )
        for name in ("student", "control-truth")
        for kind, teach in (("explicit", explicit_conflict), ("implicit", implicit_conflict))
    },
    **{
        f"prior-{kind}": Method(
            partial(prior_opinion, shots=kind == "fewshot"),
            trusted=Trusted(LEAST_SHOTS, why="they are the shots") if kind == "fewshot" else None,
            activations=False,
            students=0,
            settings=NO_SETTING,
            asks=True,
        )
        for kind in ("zeroshot", "fewshot")
    },
    **{
        f"{DEBATE_CONTROL}{name}": Method(
            partial(debate_control, control=name), debates=True, activations=False, students=0, settings=NO_SETTING
        )
        for name in CHANGES
    },
    **{
        name: Method(partial(fused_answers, way=name), activations=False, students=0, settings=NO_SETTING, fuses=True)
        for name in FUSIONS
    },
    f"{GOLD}append": _gold(appended),
    f"{GOLD}weight": _gold(partial(appended, weigh=True), reads=frozenset({WEIGHT_SHARE})),
    f"{GOLD}after": _gold(after, both=True, students=2),
    f"{SELECT}checkpoint": _gold(chosen_checkpoint, both=True, beside=True, students=2),
    f"{SELECT}layer": _gold(chosen_layer, both=True, beside=True, reads=frozenset({LAYERS})),
    **{f"{SELECT}{name}": _gold_value(name, READS[name]) for name in OWN_PROBES if PROBES[name].value},
    GOLD_ALONE: _gold(gold_alone, both=True),
    WEAK_ALONE: replace(_gold(weak_alone), gold=GoldUse(gold=0)),
    "filter-raters": Method(raters_student, activations=False, removal=raters_removal, settings=SHARE, raters=True),
    **{f"{TWO_STAGE}{name}": in_two_stages(name, READS[name]) for name in OWN_PROBES},
    **{f"{RANDOM_STAGES}{name}": in_two_stages(name, READS[name], random=True) for name in OWN_PROBES},
    "control-permuted-graph": Method(permuted_graph, students=DRAWS, settings=READS["graph"]),
    "relabel-channel": Method(channel_relabel, settings=LOGISTIC),
    "filter-channel": Method(channel_student, removal=channel_removal, settings=LOGISTIC),
    "filter-confident": Method(confident_student, removal=confident_removal, settings=LOGISTIC),
    **OVERLAPS,
    "control-churn": Method(churn, activations=False, settings=NO_SETTING),
    "control-confidence-filter": Method(
        confidence_filter, activations=False, removal=confidence_removal, settings=SHARE
    ),
    "control-oracle-filter": Method(
        oracle_filter, oracle=True, activations=False, removal=oracle_removal, settings=SHARE
    ),
}
METHODS.fill(of_pairs({**OWN_METHODS, **CONTRAST_METHODS}))


def _of_added(make: Callable[..., Method], **bound: bool) -> Callable[[str], Method]:
    """A function that makes the method of a probe that somebody has added."""
    return lambda probe: replace(make(probe, _reads(PROBES[probe]), **bound), pairs=PROBES[probe].pairs)


METHODS.derive(LOSSES, {"student-{}": _student})
METHODS.derive(
    PROBES,
    {
        own_ceiling("{}"): _of_added(_ceiling),
        f"{PROBE}{{}}": _of_added(_probe),
        f"{SELECT}{{}}": _of_added(_gold_value),
        "filter-{}": _of_added(_filter),
        "relabel-{}": _of_added(_relabel),
        "filter-relabel-{}": _of_added(_filter, relabels=True),
        f"{TWO_STAGE}{{}}": _of_added(in_two_stages),
        f"{RANDOM_STAGES}{{}}": _of_added(in_two_stages, random=True),
    },
)


def find_methods(names: Sequence[str]) -> dict[str, Method]:
    """The methods of these names, in order; before each probe its ceiling.

    `control-random:NAME` is the control of any filter NAME; `control-gate-average:NAME`, `control-gate-shuffled:NAME`
    are those of any gate, `control-gold-weak:NAME` is that of any use of gold rows, whose numbers of gold and of weak
    rows may stand after the name, `gold-append:25:500`. InputError for a method that does not exist.
    """
    methods: dict[str, Method] = {}
    for name in names:
        method = find_method(name)
        if method.ceiling in METHODS:
            methods.setdefault(method.ceiling, find_method(method.ceiling))
        methods[name] = method
    return methods


def find_method(name: str) -> Method:
    """The method of this name; InputError for one that does not exist."""
    if name in METHODS:
        return _with_code(name)
    filters = [other for other, method in METHODS.items() if method.removal is not None]
    of = name.removeprefix(RANDOM)
    if of in filters:
        filter_ = _with_code(of)
        control = partial(random_control, of=of)
        return replace(filter_, run=control, students=DRAWS, rounds=1)
    prefix, _, gate = name.partition(":")
    if prefix in GATE_CONTROLS:
        if gate not in GATES:
            raise InputError(f"method {name!r}: {gate!r} is no gate: {did_you_mean(gate, GATES)}")
        return replace(_gate(*GATES[gate], GATE_CONTROLS[prefix]), losses=frozenset())
    if (parsed := GoldName.parse(name)) is not None:
        return _of_gold(name, parsed)
    if name == "control-random-filter":  # of earlier recipes
        raise InputError(
            f"method {name!r}: a filter's control is matched to that filter: name it {RANDOM}FILTER, as in "
            f"{RANDOM}filter-topo"
        )
    if name.startswith(RANDOM):
        raise InputError(f"method {name!r}: {of!r} is no filter: {did_you_mean(of, filters)}")
    raise InputError(f"method {name!r}: {did_you_mean(name, [*METHODS, *(RANDOM + other for other in filters)])}")


def _of_gold(name: str, parsed: GoldName) -> Method:
    """A use of so many gold rows and so many weak ones, or the control that reads the weak labels of gold rows."""
    uses = [other for other, method in METHODS.items() if method.gold is not None]
    if parsed.base not in uses:
        raise InputError(f"method {name!r}: {did_you_mean(parsed.base, uses)}")
    if parsed.weak is not None and parsed.base.startswith(SELECT):
        raise InputError(f"method {name!r}: what gold rows choose reads all weak rows: leave :{parsed.weak} out")
    method = _with_code(parsed.base)
    if parsed.of_weak and not parsed.base.startswith(GOLD):
        raise InputError(
            f"method {name!r}: {parsed.base!r} is a control itself: name a use, as in {OF_WEAK}{GOLD}after"
        )
    run: Callable[..., Any] = method.run
    run = partial(run, of_weak=True) if parsed.of_weak else run
    use = replace(method.gold or GoldUse(), gold=parsed.gold, weak=parsed.weak)
    return replace(method, run=run, gold=replace(use, both=use.both and not parsed.of_weak))


def _with_code(name: str) -> Method:
    """A method with what its results are kept under: the plugin that it is from; of ours, no losses but its own."""
    method = METHODS[name]
    if METHODS.is_own(name):
        return method if method.losses is not None else replace(method, losses=frozenset())
    return replace(method, code=METHODS.code(name))
