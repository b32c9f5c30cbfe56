"""A probe as the rest of the program knows it, before its class is imported."""

import hashlib
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..registries import REGISTRIES
from .class_specs import ClassSpec

if TYPE_CHECKING:
    from .base import Probe

ValueName = Literal["k", "l2"]
# The probes of this release.
VERSIONED = (
    *("knn", "logistic", "topo", "mean-difference", "mean-difference-whitened"),
    *("graph", "mlp", "contrast", "attention"),
)
NO_VALUE = 0.0  # stands for the value of a probe that has none, where values are listed


@dataclass(frozen=True)
class ProbeEntry:
    """A probe as the rest of the program knows it.

    >>> from w2s_probes.probes.registry import PROBES
    >>> PROBES["topo"].setting, PROBES["topo"].flag
    ('topo_k', '--topo-k')
    >>> PROBES["logistic"].make(0.5)
    LogisticProbe(l2=0.5)
    """

    name: str  # in files, recipes and options
    title: str  # in figures and reports
    value: ValueName | None  # what is swept of it, and the column that holds it in tables; None: nothing is
    default: float  # of that value, where none is given; NO_VALUE for a probe without one
    where: "str | type[Probe]"  # the class, or its place: module of this package, or of any with a dot in it, `:`, name
    values: str  # what a sweep's report calls several of its values; of a probe without, the probe
    options: tuple[str, ...] = ()  # other settings that it reads, such as `connectivity`, `alpha` and `index`
    cross_fitted: bool = True  # whether its out-of-sample scores come of folds, and so hang on their seed
    color: str = "#56606b"
    marker: str = "D"
    pairs: bool = False  # whether it reads contrast pairs, [x⁺, x⁻], and no single vectors

    @property
    def setting(self) -> str:
        """The name of its value in recipes and sweeps, such as knn_k; of a probe without one, in sweeps, its own.

        What is - in a name is _ in it.
        """
        return "_".join([self.name.replace("-", "_"), *([] if self.value is None else [self.value])])

    @property
    def flag(self) -> str:
        """The name of its setting on the command line, such as --knn-k."""
        return "--" + self.setting.replace("_", "-")

    @property
    def code(self) -> str | None:
        """A hash of the class's file, which names kept results; None for the package's own, which its version names.

        Of a plugin, or of a package that adds the probe, it is one of all its files.
        """
        if self.name in VERSIONED:
            return None
        registered = next(registry for registry in REGISTRIES if registry.group == "probes")
        if (code := registered.code(self.name)) is not None:
            return code
        file = getattr(sys.modules[self.kind.__module__], "__file__", None)
        return None if file is None else hashlib.sha256(Path(file).read_bytes()).hexdigest()

    @property
    def class_name(self) -> str:
        """The name of the class, whose module is not imported for that."""
        return self.where.partition(":")[2] if isinstance(self.where, str) else self.where.__qualname__

    @property
    def kind(self) -> "type[Probe]":
        """The class, whose module is imported now."""
        if not isinstance(self.where, str):
            return self.where
        module, _, name = self.where.partition(":")
        loaded: type[Probe] = getattr(import_module(module if "." in module else f".{module}", __package__), name)
        return loaded

    def is_of(self, kind: type) -> bool:
        """Whether a class is this probe's; its module is not imported for that."""
        if not isinstance(self.where, str):
            return kind is self.where
        module, _, name = self.where.partition(":")
        return kind.__qualname__ == name and kind.__module__ in (module, f"{__package__}.{module}")

    def make(self, value: float | None = None, **options: Any) -> "Probe":
        """An unfitted probe with this value, or its default; `options` that it does not read are left out.

        A probe without a value takes none: what is given is then left out, too.
        """
        number: float = self.default if value is None else value
        read = {name: option for name, option in options.items() if name in self.options}
        if self.value is None:
            return self.kind(**read)
        return self.kind.with_value(int(number) if self.value == "k" else float(number), **read)


@dataclass(frozen=True)
class ClassifierEntry(ProbeEntry):
    """A classifier of another library as a probe: by `module:Class`, or by a name that a recipe gives it.

    >>> ClassifierEntry.of("sklearn.svm:SVC(C=10, probability=True)").title
    'SVC(C=10, probability=True)'
    """

    spec: str = ""

    @classmethod
    def of(cls, spec: str, name: str | None = None) -> "ClassifierEntry":
        """The entry of a classifier; InputError for what is no module:Class. Nothing is imported."""
        ClassSpec.parse(spec)
        title = spec.partition(":")[2] if name is None else name
        place = "classifier:ClassifierProbe"
        return cls(name or spec, title, None, NO_VALUE, place, title, color="#8a6d3b", marker="X", spec=spec)

    @property
    def code(self) -> str:
        """A hash of the classifier's name and arguments, and its package's version, which names kept results."""
        return ClassSpec.parse(self.spec).code

    def is_of(self, kind: type) -> bool:
        """False: the class says nothing of which classifier it is."""
        return False

    def make(self, value: float | None = None, **options: Any) -> "Probe":
        """An unfitted probe of the classifier; nothing that is given is read."""
        return self.kind(self.spec)
