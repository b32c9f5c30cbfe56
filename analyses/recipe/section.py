"""A table of a recipe, and the kinds of values that several tables hold."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from extract.positions import mark_of
from extract.site import site_parts
from w2s_probes.devices import refuse_no_name
from w2s_probes.errors import InputError
from w2s_probes.losses.names import LossName, known_loss

Count = Annotated[int, Field(ge=1)]
KnownLoss = Annotated[LossName, AfterValidator(known_loss)]


def known_position(position: str) -> str:
    """The position, if it is one of a strong model."""
    named = ("last", "first", "mean", "attention")
    try:
        mark = None if position in named else mark_of(position)
    except InputError as error:
        raise ValueError(str(error)) from error
    if position not in named and (mark is None or mark.kind != "regex"):
        raise ValueError(f"position {position[:60]!r}: give {', '.join(named)} or regex:PATTERN, which any text has")
    return position


def vector_position(position: str) -> str:
    """The position of a model's one vector of a row: where attention pools them, the mean of the row's tokens."""
    return "mean" if position == "attention" else position


def known_site(site: str) -> str:
    """The site, if it is one by its name."""
    try:
        site_parts(site)
    except InputError as error:
        raise ValueError(str(error)) from error
    return site


def known_device(device: str) -> str:
    """The device, if it is one by its name; whether it is there a run says."""
    try:
        refuse_no_name(device)
    except InputError as error:
        raise ValueError(str(error)) from error
    return device


Position = Literal["last", "first", "mean"]  # one vector a row, which heads and probes need
# "attention": probes read vectors that an attention probe of the weak labels pools, out of fold; heads read the mean.
# "regex:PATTERN": the last token of the last match in each text.
StrongPosition = Annotated[
    str,
    AfterValidator(known_position),
    WithJsonSchema({"type": "string", "pattern": "^(last|first|mean|attention|regex:.+)$"}),
]
KnownDevice = Annotated[
    str, AfterValidator(known_device), WithJsonSchema({"type": "string", "pattern": "^[a-z]+(:[0-9]{1,4})?$"})
]
KnownSite = Annotated[str, AfterValidator(known_site)]


class Section(BaseModel):
    """A table of the recipe; unknown keys and infinite numbers are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
