"""What `w2s steer` answers in JSON; its record has the same fields."""

from pydantic import Field

from .json_answers import JsonAnswer, JsonEstimate


class SteeredStream(JsonAnswer):
    """What was steered, and by what."""

    model: str = Field(description="the model")
    store: str = Field(description="the activation store that the direction is of")
    key: str = Field(description="its key")
    layer: int = Field(description="the layer whose states were changed: 0 is the embedding output, i after block i")
    depth: int = Field(description="blocks of the model")
    position: str = Field(description="of the store's vectors")
    from_token: int = Field(description="the first token whose state was changed; below 0 counted from a row's end")
    dtype: str = Field(description="of model and store, in which changes were made")
    probe: str = Field(description="the probe whose direction it is; given: a vector was")
    l2: float | None = Field(description="its penalty, where it was fitted here")
    learned: int = Field(description="rows that it learned from")
    scale: float = Field(description="length of strength 1: the standard deviation of these rows' projections")
    length: float = Field(description="median norm of these rows' vectors")


class SteerBase(JsonAnswer):
    """The model left alone."""

    log_odds: float = Field(description="of label 1, mean over rows")
    said: float | None = Field(description="probability of the two words together, mean; null of a layer")
    auroc_weak: float | None = Field(description="AUROC of the rows' weak labels; null where they have none")
    auroc_truth: float | None = Field(description="AUROC of the truth: an oracle's")


class SteerBeside(JsonAnswer):
    """The direction beside random ones of one kind and the same length."""

    control: str = Field(description="isotropic, covariance or permuted")
    mean: float = Field(description="of their mean movements of the log-odds")
    low: float = Field(description="2.5 % quantile of these")
    high: float = Field(description="97.5 % quantile")
    p_toward: float | None = Field(
        description="exact rank p, one-sided: a random one moves as far towards the strength's sign; null of ablation"
    )
    p_size: float = Field(description="exact rank p: a random one moves rows as much, by the mean size of movements")


class SteerResult(JsonAnswer):
    """What the direction moved at one strength."""

    strength: float | None = Field(description="null of ablation")
    log_odds: JsonEstimate = Field(description="movement of the log-odds of label 1, mean over rows")
    size: JsonEstimate = Field(description="size of that movement, mean over rows")
    p: JsonEstimate = Field(description="movement of P(1), mean over rows")
    said: float | None = Field(description="probability of the two words together after it; null of a layer")
    auroc_weak: float | None = Field(description="AUROC of the weak labels after it")
    auroc_truth: float | None = Field(description="AUROC of the truth after it: an oracle's")
    beside: list[SteerBeside] = Field(description="each kind of random direction")


class SteerAnswer(JsonAnswer):
    """What `w2s steer --json` prints."""

    steered: SteeredStream = Field(description="what was steered, and by what")
    by: str = Field(description="add or ablate")
    read: str = Field(description="words, or layer:M")
    words: list[str] = Field(description="the label words of 0 and 1 as they follow the prompt; none of a layer")
    prompt: str | None = Field(description="what was asked; null of a layer")
    template: bool = Field(description="whether a chat template was used for it")
    n: int = Field(description="rows steered")
    groups: int | None = Field(description="groups among them, which intervals are over; null where rows stand alone")
    random: int = Field(description="random directions of each kind")
    controls: list[str] = Field(description="these kinds")
    seed: int = Field(description="of the random directions")
    strengths: list[float] = Field(description="in units of the scale; none of ablation")
    base: SteerBase = Field(description="the model left alone")
    results: list[SteerResult] = Field(description="each strength")
    remarks: list[str] = Field(description="what is said without --json, a line each")
    out: str = Field(description="the record written, with these fields but the last three")
    table: str = Field(description="the table written: every direction, strength and measure")
    figure: str = Field(description="the figure written")
