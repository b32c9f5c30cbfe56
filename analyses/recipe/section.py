"""A table of a recipe, and the kinds of values that several tables hold."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from w2s_probes.losses.names import LossName, known_loss

Count = Annotated[int, Field(ge=1)]
KnownLoss = Annotated[LossName, AfterValidator(known_loss)]
Position = Literal["last", "first", "mean"]  # one vector a row, which heads and probes need
# "attention": probes read vectors that an attention probe of the weak labels pools, out of fold; heads read the mean.
StrongPosition = Literal["last", "first", "mean", "attention"]


class Section(BaseModel):
    """A table of the recipe; unknown keys and infinite numbers are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
