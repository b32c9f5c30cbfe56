"""A table of a recipe, and the kinds of values that several tables hold."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from extract.site import site_parts
from w2s_probes.errors import InputError
from w2s_probes.losses.names import LossName, known_loss

Count = Annotated[int, Field(ge=1)]
KnownLoss = Annotated[LossName, AfterValidator(known_loss)]


def known_site(site: str) -> str:
    """The site, if it is one by its name."""
    try:
        site_parts(site)
    except InputError as error:
        raise ValueError(str(error)) from error
    return site


Position = Literal["last", "first", "mean"]  # one vector a row, which heads and probes need
# "attention": probes read vectors that an attention probe of the weak labels pools, out of fold; heads read the mean.
StrongPosition = Literal["last", "first", "mean", "attention"]
KnownSite = Annotated[str, AfterValidator(known_site)]


class Section(BaseModel):
    """A table of the recipe; unknown keys and infinite numbers are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
