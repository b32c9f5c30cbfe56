"""What `w2s tokens` answers in JSON."""

from pydantic import Field

from .json_answers import JsonAnswer


class TokensAnswer(JsonAnswer):
    """What `w2s tokens --json` prints."""

    store: str = Field(description="the activation store")
    labels: str = Field(description="the label file")
    layer: int = Field(description="the layer that the probe read")
    pool: str = Field(description="attention, max or mean")
    out: str = Field(description="the file written")
    rows: int = Field(description="rows whose tokens are in it")
    learned: int = Field(description="of these, rows of split train, read by a probe that did not learn their fold")
    tokens: int = Field(description="tokens, a line each")
    auroc: float = Field(description="of out-of-sample row scores against the weak labels")
    auroc_of_mean: float = Field(description="the same of the mean of all tokens, the control")
    remarks: list[str] = Field(description="what is said without --json, a line each")
