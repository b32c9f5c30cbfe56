"""What `w2s doctor` answers in JSON."""

from typing import TYPE_CHECKING

from pydantic import Field

from .json_answers import JsonAnswer

if TYPE_CHECKING:
    from extract.doctor import Diagnosis
    from extract.examining import Examination


class DoctorCheck(JsonAnswer):
    """Extraction's numbers beside the same ones got in another way."""

    name: str = Field(description="what was compared")
    ok: bool = Field(description="whether the two ways agree")
    worst: float | None = Field(description="largest difference, as a share of the median distance between rows")
    layer: int = Field(description="the layer of it")
    allowed: float = Field(description="the largest difference that rounding explains")


class DoctoredLayer(JsonAnswer):
    """A stored layer beside the model."""

    layer: int = Field(description="the layer's number in the store")
    ok: bool = Field(description="whether it is what the store says")
    faults: list[str] = Field(description="what is off, in words")
    holds_layer: int | None = Field(description="the model's layer that it holds; null where it is like none")
    holds_position: str | None = Field(description="the position that it holds")
    post_norm: bool | None = Field(description="whether it is after the model's final norm")
    rows_off: int | None = Field(description="1: each row holds the vector of the row after it; -1: of the one before")
    difference: float | None = Field(
        description="the median row's difference from what the store says, as a share of the distance between rows"
    )
    nearest: float | None = Field(description="the same from what it holds, or from what comes nearest")
    allowed: float | None = Field(description="the largest difference that rounding explains")


class DoctorAnswer(JsonAnswer):
    """What `w2s doctor --json` prints; where something is wrong too, beside the line on stderr and exit code 1."""

    subject: str = Field(description="the model, or the store, that was looked at")
    model: str = Field(description="the model that it was read by")
    ok: bool = Field(description="whether nothing was found wrong")
    rows: int = Field(description="rows that were read")
    least_found: int | None = Field(
        description="of a store, wrong rows, wherever they stand, of which the sample finds one with 95 % probability "
        "at least; 1 where all were read"
    )
    position: str | None = Field(description="of a store, the position that it says, or that was found")
    remarks: list[str] = Field(description="what one may not expect and is no fault, a line each")
    faults: list[str] = Field(description="of a store, what is wrong with it as a whole")
    checks: list[DoctorCheck] = Field(description="of a model, what was compared")
    layers: list[DoctoredLayer] = Field(description="of a store, each layer that was looked at")

    @classmethod
    def of_model(cls, model: str, found: "Diagnosis") -> "DoctorAnswer":
        """From the doctor's checks of a model."""
        checks = [
            DoctorCheck(name=c.name, ok=c.ok, worst=c.worst, layer=c.layer, allowed=c.tolerance) for c in found.checks
        ]
        return cls(
            subject=model,
            model=model,
            ok=found.ok,
            rows=len(found.read),
            least_found=None,
            position=None,
            remarks=list(found.remarks),
            faults=[],
            checks=checks,
            layers=[],
        )

    @classmethod
    def of_store(cls, store: str, model: str, found: "Examination") -> "DoctorAnswer":
        """From what was found of a store."""
        layers = [
            DoctoredLayer(
                layer=one.layer,
                ok=one.ok,
                faults=list(one.faults),
                holds_layer=one.holds and one.holds.layer,
                holds_position=one.holds and one.holds.position,
                post_norm=one.holds and one.holds.normed,
                rows_off=one.shift if one.holds else None,
                difference=one.difference,
                nearest=one.nearest,
                allowed=one.allowed,
            )
            for one in found.layers
        ]
        return cls(
            subject=store,
            model=model,
            ok=found.ok,
            rows=found.rows,
            least_found=found.least_found if found.rows else None,
            position=found.position,
            remarks=list(found.remarks),
            faults=list(found.faults),
            checks=[],
            layers=layers,
        )
