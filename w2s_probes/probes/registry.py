"""The probes by name, in the order of tables and figures: adding one is a class of `Probe` and one entry.

The command line, recipes, sweeps, reports and saliency take the names, values and captions of probes from this table.
It imports neither scikit-learn nor NumPy, so that the help of a command stays quick.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from ..registries import Registry
from .probe_entry import NO_VALUE, ClassifierEntry, ProbeEntry, ValueName

# Probes that no table of probes lists; imported when one is saved or loaded, since their modules load torch.
HEAVY = {"HeadStudent": "w2s_probes.students.head", "AttentionProbe": "w2s_probes.probes.attention"}
# Names that mean something else where a probe is named.
TAKEN = {
    "best": "the best of a sweep",
    "raters": "a panel's votes",
    "attention": "a probe of every token",
    "layers": "one probe at several layers",
}
VALUE_TITLES: dict[ValueName, str] = {"k": "neighbours k", "l2": "penalty λ"}
MLP_HIDDEN, MLP_EPOCHS = 16, 20  # units of the MLP probe's hidden layer, and its passes over the rows
ONCE = (NO_VALUE,)  # the values of such a probe, where a sweep has it
# Other options of `w2s sweep` and keys of a recipe's `[probes]`: no setting of a probe may be called like one.
OTHER_SETTINGS = frozenset([
    "address", "alpha", "attention", "backend", "calibrate", "calibrate_on", "choose_by", "classifier",
    "classifiers", "connectivity", "contamination", "device", "dry_run", "folds", "held_out", "help", "index", "jobs",
    "json", "k", "l2", "labels", "layer", "layers", "max_memory", "mlp_epochs", "mlp_hidden", "oracle", "out",
    "overlap", "parts", "place", "plot", "plugin", "progress", "seed", "seeds", "shard", "store",
    "student_filter", "student_relabel", "students", "test", "transfer",
])  # fmt: skip


# Colours that the colour-blind can tell apart (Okabe and Ito).
ENTRIES = (
    ProbeEntry(
        name="knn",
        title="kNN",
        value="k",
        default=50,
        where="knn:KNNProbe",
        values="Neighbours k of kNN",
        options=("index",),
        cross_fitted=False,
        color="#0072B2",
        marker="o",
    ),
    ProbeEntry(
        name="logistic",
        title="logistic",
        value="l2",
        default=1e-2,
        where="logistic:LogisticProbe",
        values="Penalties λ of the logistic probe",
        options=("device",),
        color="#D55E00",
        marker="s",
    ),
    ProbeEntry(
        name="topo",
        title="Topo",
        value="k",
        default=50,
        where="topo:TopoProbe",
        values="Neighbours k of Topo",
        options=("connectivity", "index"),
        cross_fitted=False,
        color="#009E73",
        marker="^",
    ),
    ProbeEntry(
        name="mean-difference",
        title="mean difference",
        value=None,
        default=NO_VALUE,
        where="mean_difference:MeanDifferenceProbe",
        values="Mean difference",
        cross_fitted=False,
        color="#E69F00",
        marker="v",
    ),
    ProbeEntry(
        name="mean-difference-whitened",
        title="mean difference, whitened",
        value=None,
        default=NO_VALUE,
        where="whitened:WhitenedMeanDifferenceProbe",
        values="Mean difference, whitened",
        cross_fitted=False,
        color="#56B4E9",
        marker="<",
    ),
    ProbeEntry(
        name="contrast",
        title="contrast",
        value=None,
        default=NO_VALUE,
        where="contrast:ContrastProbe",
        values="Contrast pairs",
        color="#661100",
        marker="p",
        pairs=True,
    ),
    ProbeEntry(
        name="graph",
        title="graph",
        value="k",
        default=15,
        where="graph_smoothing:GraphProbe",
        values="Neighbours k of the graph",
        options=("alpha", "index"),
        cross_fitted=False,
        color="#999933",
        marker=">",
    ),
    ProbeEntry(
        name="mlp",
        title="MLP",
        value="l2",
        default=1e-2,
        where="mlp:MLPProbe",
        values="Penalties λ of the MLP probe",
        options=("mlp_hidden", "mlp_epochs", "device"),
        color="#9911FF",
        marker="h",
    ),
)


def _fault(name: str, entry: Any) -> str | None:
    """What is wrong with an entry that somebody adds; None where nothing is."""
    if not isinstance(entry, ProbeEntry):
        return f"a ProbeEntry is expected, of a class with fit and predict_proba; this is a {type(entry).__name__}"
    if entry.name != name:
        return f"its ProbeEntry is called {entry.name!r}: give it one name"
    if re.fullmatch(r"[a-z][a-z0-9_]*(-[a-z0-9_]+)*", name) is None:
        return "a name is of small letters, digits, _, and - between them, as it stands in options and recipes"
    if name in TAKEN:
        return f"this name stands for {TAKEN[name]} already: choose another"
    if entry.value is not None and entry.value not in get_args(ValueName):
        return f"value is {entry.value!r}, and k (a whole number), l2 or None is expected"
    if (fault := _setting_fault(name, entry)) is not None:
        return fault
    try:
        kind: Any = entry.kind
    except (ImportError, AttributeError) as error:
        return f"{entry.where} cannot be imported ({error})"
    needed = ("fit", "predict_proba", "get_params", *([] if entry.value is None else ["with_value"]))
    for method in needed:
        if not callable(getattr(kind, method, None)):
            return f"{kind.__qualname__} has no {method}: a class of w2s_probes.probes.Probe is expected"
    return _class_fault(name, entry)


def _setting_fault(name: str, entry: ProbeEntry) -> str | None:
    """That an option has the name of its setting already; None where none has."""
    if entry.setting in OTHER_SETTINGS:
        return f"its setting would be called {entry.setting}, and there is such an option: choose another name"
    others = [*ENTRIES, *(other for of, other in PROBES.loaded.items() if of != name)]
    if of := [other.name for other in others if other.setting == entry.setting and other.name != name]:
        return f"its setting is called {entry.setting}, as that of {of[0]}: choose another name"
    return None


def _class_fault(name: str, entry: ProbeEntry) -> str | None:
    """That another class has the name of this one, by which saved probes are known; None where none has."""
    others = [*ENTRIES, *(other for of, other in PROBES.loaded.items() if of != name)]
    if entry.class_name in HEAVY or any(
        other.class_name == entry.class_name and not other.is_of(entry.kind) for other in others
    ):
        return f"another class is called {entry.class_name}, by which saved probes are known: rename this one"
    return None


class ProbeRegistry(Registry[ProbeEntry]):
    """The registry of probes, in which `module:Class` is a probe, too; lists do not hold those."""

    def __getitem__(self, name: str) -> ProbeEntry:
        return ClassifierEntry.of(name) if ":" in name else super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        return (isinstance(name, str) and ":" in name) or super().__contains__(name)

    def with_classes(self, names: Iterable[object]) -> list[str]:
        """The probes of lists, and those of these names that are `module:Class`."""
        return list(dict.fromkeys([*self, *(str(name) for name in names if ":" in str(name))]))


PROBES = ProbeRegistry("probes", "probe", {entry.name: entry for entry in ENTRIES}, fault=_fault)
# Those that read every token of a row: no probe of vectors, so neither swept nor asked for by --by.
TOKEN_PROBES: Mapping[str, ProbeEntry] = {
    "attention": ProbeEntry(
        name="attention",
        title="attention",
        value="l2",
        default=1e-3,
        where="attention:AttentionProbe",
        values="Penalties λ of the attention probe",
        color="#CC79A7",
        marker="P",
    )
}


def probe_settings() -> dict[str, ProbeEntry]:
    """The probes by the names of their settings, such as knn_k; those without a value, too."""
    return {entry.setting: entry for entry in PROBES.values()}


def value_in_words(k: int | None, l2: float | None) -> list[str]:
    """The value of a probe, such as k = 5, in a list of one; [] where the probe has none."""
    return [f"{name} = {value:g}" for name, value in (("k", k), ("l2", l2)) if value is not None]
