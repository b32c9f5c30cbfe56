"""A table of a recipe, and the kinds of values that several tables hold."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Position = Literal["last", "first", "mean"]  # one vector a row, which heads and probes need


class Section(BaseModel):
    """A table of the recipe; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
