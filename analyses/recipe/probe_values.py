"""The recipe's `[probes]`: a value for each probe of the registry."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    create_model,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from w2s_probes.calibration import CalibrationRule
from w2s_probes.errors import did_you_mean
from w2s_probes.io.validated import UNKNOWN_KEY
from w2s_probes.probes.class_specs import ClassSpec
from w2s_probes.probes.connectivity import Connectivity
from w2s_probes.probes.probe_entry import ClassifierEntry, ProbeEntry
from w2s_probes.probes.registry import ENTRIES, MLP_EPOCHS, MLP_HIDDEN, PROBES, probe_settings

from .attention import Attention
from .calibration_keys import CalibratedOn
from .ensemble_layers import EnsembleLayers
from .overlap import OverlapSettings
from .section import Count, Section

VALUES: dict[str, Any] = {"k": Count, "l2": Annotated[float, Field(ge=0, allow_inf_nan=False)]}

if TYPE_CHECKING:

    class _ProbeValues(Section):
        def __getattr__(self, setting: str) -> Any: ...

else:
    FIELDS = {entry.setting: (VALUES[entry.value], entry.default) for entry in ENTRIES if entry.value is not None}
    _ProbeValues = create_model("_ProbeValues", __base__=Section, **FIELDS)


class Probes(_ProbeValues):
    """Hyper-parameters of probes and filters; fixed in advance, never chosen by truth.

    Each probe of the registry has its value here by the name of its setting: `knn_k`, `logistic_l2`, `topo_k` (which is
    both k_cc and k_zeta), and so have those that plugins and packages add; without one it is the probe's default. A
    probe that has no value has nothing here.
    """

    model_config = ConfigDict(extra="allow")  # the settings of added probes, and no others

    attention: Attention = Attention()
    layers: EnsembleLayers = EnsembleLayers()
    # Classifiers of scikit-learn by a name for methods: `module:Class`, or `module:Class(C=0.1)`
    classifiers: dict[str, str] = Field({})
    connectivity: Connectivity = "strong"
    alpha: float = Field(0.9, gt=0, lt=1)  # of the graph probe: how much of a score comes from the neighbours
    mlp_hidden: Count = MLP_HIDDEN  # units of the MLP probe
    mlp_epochs: Count = MLP_EPOCHS  # and its passes over the rows
    contamination: float = Field(0.1, ge=0, lt=1)
    overlap: OverlapSettings = OverlapSettings()
    calibrate: CalibrationRule | None = None  # of probes that are scored: to the weak labels of the validation rows
    calibrate_on: CalibratedOn = "weak"  # "gold": out-of-sample scores of gold rows to their true labels

    if TYPE_CHECKING:

        def __init__(self, **values: Any) -> None: ...

    else:

        def __getattr__(self, setting: str) -> Any:
            try:
                return super().__getattr__(setting)
            except AttributeError:
                if setting.startswith("_") or setting not in (added := added_settings()):
                    raise
                return added[setting].default

    @model_validator(mode="before")
    @classmethod
    def _settings_of_added_probes(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not (others := [name for name in values if name not in cls.model_fields]):
            return values
        added, checked = added_settings(), dict(values)
        for name in others:
            if name not in added:
                known = [*cls.model_fields, *added]
                raise PydanticCustomError(UNKNOWN_KEY, "unknown key", {"key": str(name), "known": known})
            try:
                checked[name] = TypeAdapter(VALUES[added[name].value or ""]).validate_python(values[name])
            except ValidationError as error:
                said = error.errors(include_url=False)[0]["msg"]
                raise ValueError(f"{name}: {said[0].lower()}{said[1:]}") from error
        return checked

    @model_serializer(mode="wrap")
    def _without_what_is_not_asked_for(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Records that calibrate no probe, name no layers, or have the usual MLP say nothing of it, as earlier ones."""
        written: dict[str, Any] = write(self)
        unsaid = {name for name, said in (("calibrate", self.calibrate), ("layers", self.layers.layers)) if not said}
        unsaid |= (set() if self.calibrate_on == "gold" else {"calibrate_on"}) | self._usual_mlp
        return {name: value for name, value in written.items() if name not in unsaid}

    @model_validator(mode="after")
    def _registered(self) -> "Probes":
        for name, spec in self.classifiers.items():
            add_classifier(name, spec)
        if self.layers.of not in PROBES:
            raise ValueError(f"layers.of = {self.layers.of!r}: {did_you_mean(self.layers.of, PROBES)}")
        return self

    @property
    def _usual_mlp(self) -> set[str]:
        """The sizes of the MLP probe that are as they were before recipes had them: unsaid in records and keys."""
        usual = {"mlp_hidden": MLP_HIDDEN, "mlp_epochs": MLP_EPOCHS}
        return {name for name, value in usual.items() if getattr(self, name) == value}

    def read(self, settings: Collection[str]) -> dict[str, Any]:
        """The values of these settings, fit for JSON: those that were not given, too."""
        own = self.model_dump(mode="json", include=set(settings))
        # So that the keys of recipes that do not have them stay.
        for name, wanted in (("classifiers", self.classifiers), ("layers", self.layers.layers)):
            if not wanted:
                own.pop(name, None)
        own = {name: value for name, value in own.items() if name not in self._usual_mlp}
        if own.get("overlap") == OverlapSettings().model_dump(mode="json"):
            own.pop("overlap")
        return own | {name: getattr(self, name) for name in settings if name in added_settings()}


def added_settings() -> dict[str, ProbeEntry]:
    """The settings of the probes that are not the package's own; those without a value have none in recipes."""
    return {
        name: entry
        for name, entry in probe_settings().items()
        if entry.value is not None and name not in Probes.model_fields
    }


def add_classifier(name: str, spec: str) -> None:
    """Have a classifier in the registry of probes under a name. ValueError for a name that stands for another probe."""
    of = PROBES.loaded.get(name)
    if isinstance(of, ClassifierEntry) and of.spec == spec:
        return
    if name in PROBES:
        other = of.spec if isinstance(of, ClassifierEntry) else "another probe"
        raise ValueError(f"classifiers.{name} = {spec!r}: {name!r} stands for {other} already: choose another name")
    where = f"classifiers.{name} ="
    ClassSpec.parse(spec, where).make(where)
    PROBES[name] = ClassifierEntry.of(spec, name)
