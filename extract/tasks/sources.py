"""The sources of a task's rows: a dataset on the hub, or files in a local folder."""

from pydantic import Field, model_validator

from .rules import AnswerRule, FieldPart, LabelRule, Rule


class SourceSplits(Rule):
    """The source's splits that serve as train and as test: one, several, or none ([])."""

    train: str | list[str] = "train"
    test: str | list[str] = "test"


class Hub(Rule):
    """A dataset on the Hugging Face hub."""

    id: str = Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")
    revision: str = Field(min_length=1)  # a commit, a tag or a branch whose files are Parquet, JSON lines or CSV
    config: str = ""  # the folder of the dataset's configuration, where it has several
    splits: SourceSplits = SourceSplits()
    n_test: int | None = Field(None, ge=2)  # all splits are pooled, and this many rows, in whole groups, are test
    max_rows: int | None = Field(None, ge=2)  # of a larger split, a fixed sample of this many is read

    @model_validator(mode="after")
    def _some_test(self) -> "Hub":
        if self.n_test is None and not self.splits.test:
            raise ValueError("splits.test is empty: name a split, or give n_test to hold rows out")
        return self


class Local(Rule):
    """The keys of a task that differ for its files in a local folder; the others hold there too."""

    splits: SourceSplits = SourceSplits()  # names of files, without their endings
    text: str | None = None
    label: LabelRule | None = None
    choices: str | list[str] | None = None
    answer: AnswerRule | None = None
    pair: list[str] | None = None
    shared: str | None = None
    group: list[str | FieldPart] | None = None
