"""A few true labels among many weak ones: the recipe's `[gold]`."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from w2s_probes.io.validated import UNKNOWN_KEY
from w2s_probes.probes.registry import probe_settings

from .gold_names import GOLD, GOLD_ALONE, SELECT, WEAK_ALONE, GoldName, gold_name
from .probe_values import VALUES
from .section import Count, Section

LISTS = ("n", "use", "select", "n_weak", "layers")  # whose single values may stand without brackets
CHECKPOINT, LAYER = "checkpoint", "layer"  # that gold rows may choose, beside the value of a probe


class LabelCosts(Section):
    """What a label costs, in any unit: a curve's horizontal axis is their sum."""

    gold: float = Field(1.0, ge=0)
    weak: float = Field(0.01, ge=0)


class Gold(Section):
    """Rows of strong-train whose true labels are read, and what for."""

    n: list[Annotated[int, Field(ge=0)]] = Field([])  # gold rows; several make a curve, whose 0 is weak labels alone
    use: list[Literal["append", "after", "weight", "select"]] = Field([])  # each adds its methods to the recipe's
    select: list[str] = Field([CHECKPOINT])  # what gold rows choose: checkpoint, layer, or the value of a probe
    n_weak: list[Count] = Field([])  # rows with weak labels, of a curve; without: all of strong-train
    share: float = Field(0.5, gt=0, lt=1)  # of use weight: the weight of all gold rows together
    values: dict[str, list[float]] = Field({})  # by setting, such as knn_k: among which gold rows choose
    layers: list[int | str] = Field([])  # of the strong model, among which they choose
    file: Path | None = None  # audited labels, `label` or `truth` by `id` or `text`; without: the task's own truth
    costs: LabelCosts = LabelCosts()

    @field_validator(*LISTS, mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return [value] if isinstance(value, str | int) else value

    @model_validator(mode="after")
    def _enough_said(self) -> "Gold":
        for name in LISTS:
            if len(set(given := getattr(self, name))) < len(given):
                raise ValueError(f"{name} names something twice: {', '.join(map(str, given))}")
        if self.use and not self.n and self.file is None:
            raise ValueError("use needs `n`, how many gold rows are drawn, or a `file` of them")
        if self.n == [0]:
            raise ValueError("n = 0 leaves no gold rows: give their number, or several for a curve")
        for name in ("n_weak", "select"):
            if name in self.model_fields_set and (not self.use or (name == "select" and "select" not in self.use)):
                raise ValueError(f"{name} is of {'use = select' if name == 'select' else '`use`'}: give it as well")
        if "select" in self.use and LAYER in self.select and len(self.layers) < 2:
            raise ValueError('select = "layer" needs `layers`, two at least, such as layers = [2, 4, 6]')
        return self

    @field_validator("values")
    @classmethod
    def _values_of_probes(cls, values: dict[str, list[float]]) -> dict[str, list[float]]:
        known = {name: entry.value for name, entry in probe_settings().items() if entry.value is not None}
        for name, given in values.items():
            if name not in known:
                raise PydanticCustomError(UNKNOWN_KEY, "unknown key", {"key": name, "known": list(known)})
            if not given or len(set(given)) < len(given):
                raise ValueError(f"{name}: a list of values is expected, each once, such as {name} = [5, 50]")
            one: TypeAdapter[Any] = TypeAdapter(VALUES[known[name]])
            try:
                _ = [one.validate_python(value) for value in given]
            except ValidationError as error:
                said = error.errors(include_url=False)[0]["msg"]
                raise ValueError(f"{name}: {said[0].lower()}{said[1:]}") from error
        return values

    @property
    def methods(self) -> list[str]:
        """The methods that `use` adds: each use at every point, and what gold rows and weak rows give alone."""
        if not self.use:
            return []
        sizes: list[int | None] = [n for n in self.n if n] if len(self.n) > 1 or self.n_weak else [None]
        weak: list[int | None] = list(self.n_weak) or [None]
        names = [gold_name(WEAK_ALONE, weak=m) for m in self.n_weak]
        names += [gold_name(GOLD_ALONE, n) for n in sizes if set(self.use) != {"select"}]
        for use in self.use:
            if use == "select":
                names += [gold_name(SELECT + what, n) for what in self.select for n in sizes]
            else:
                names += [gold_name(GOLD + use, n, m) for n in sizes for m in weak]
        return names

    def size(self, name: str) -> int | None:
        """The gold rows that a method of this name reads; None: all of the file. ValueError where nothing says it."""
        parsed = GoldName.parse(name)
        assert parsed is not None
        if parsed.gold is not None:
            return parsed.gold
        several = [n for n in self.n if n]
        if len(several) > 1:
            raise ValueError(
                f"method {name!r}: gold.n has several numbers: name it {gold_name(name, several[0])}, or leave one"
            )
        if not several and self.file is None:
            raise ValueError(
                f"method {name!r} reads true labels of strong-train: say how many, [gold] n = 100, or name it "
                f"{gold_name(name, 100)}"
            )
        return several[0] if several else None

    def refuse(self, methods: Iterable[str], n_train: int, student: str) -> None:
        """ValueError for a method that gold rows cannot serve, and for more rows than there are.

        `student` is the kind of students.
        """
        of_k = [setting for setting, entry in probe_settings().items() if entry.value == "k"]
        for setting, values in self.values.items():
            if setting in of_k and max(values) >= n_train:
                most = f"{max(values):g} needs more rows than data.n_train = {n_train}"
                raise ValueError(f"gold.values.{setting}: {most}")
        for name in methods:
            if (parsed := GoldName.parse(name)) is None:
                continue
            gold = self.size(name)
            if gold == 0 and parsed.base != WEAK_ALONE:
                raise ValueError(f"method {name!r} has no gold rows: those of weak labels alone are {WEAK_ALONE}:ROWS")
            for what, rows in (("gold", gold), ("weak", parsed.weak)):
                if rows is not None and rows > n_train:
                    raise ValueError(
                        f"method {name!r}: {rows} {what} rows are more than strong-train has: data.n_train = {n_train}"
                    )
            if parsed.base == GOLD_ALONE and parsed.weak is not None:
                raise ValueError(f"method {name!r} reads no weak rows: leave :{parsed.weak} out")
            if parsed.weak == 0:
                raise ValueError(f"method {name!r} has no weak rows: those of gold rows alone are {GOLD_ALONE}:ROWS")
            if parsed.base == SELECT + LAYER and len(self.layers) < 2:
                raise ValueError(f"method {name!r} needs gold.layers, two at least, such as layers = [2, 4, 6]")
            if parsed.base == SELECT + LAYER and student != "head":
                raise ValueError(f"method {name!r} chooses the layer of a head, and student.kind is {student!r}")


def with_gold(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A recipe's values with the methods that `[gold] use` adds, after those that it names."""
    gold, methods = values.get("gold"), values.get("methods", [])
    if gold is None or not isinstance(methods, list):
        return values
    try:
        added = (gold if isinstance(gold, Gold) else Gold.model_validate(gold)).methods
    except ValidationError:  # which the table itself says at its place
        return values
    return {**values, "methods": [*methods, *(name for name in added if name not in methods)]}
