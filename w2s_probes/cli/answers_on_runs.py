"""What `w2s verify`, `report`, `results` and `plan` answer in JSON."""

from typing import TYPE_CHECKING, Any

from pydantic import Field

from .json_answers import JsonAnswer

if TYPE_CHECKING:
    import pandas as pd


class VerifyAnswer(JsonAnswer):
    """What `w2s verify --json` prints; of a store with faults too, beside the line on stderr and exit code 2."""

    store: str = Field(description="the store's folder")
    ok: bool = Field(description="whether nothing was found wrong")
    rows: int = Field(description="rows of the store")
    layers: int = Field(description="layers of the store")
    bytes: int = Field(description="bytes read")
    problems: list[str] = Field(description="every fault, a line each")


class ReportAnswer(JsonAnswer):
    """What `w2s report --json` prints."""

    folder: str = Field(description="the folder reported on")
    report: str = Field(description="the HTML file written")
    bytes: int = Field(description="its size")
    warnings: list[str] = Field(description="files that are not as they were written, a line each")


class ResultsAnswer(JsonAnswer):
    """What `w2s results --json` prints."""

    runs: list[str] = Field(description="the runs found")
    unfinished: list[str] = Field(description="runs that have begun and not ended, of which nothing is in the table")
    out: str | None = Field(description="the table of --out")
    rows: list[dict[str, Any]] = Field(
        description="the table's lines: `run`, and the columns of results.csv (docs/experiments.md)"
    )

    @classmethod
    def of(cls, table: "pd.DataFrame", runs: list[str], unfinished: list[str], out: Any) -> "ResultsAnswer":
        return cls(runs=runs, unfinished=unfinished, out=out, rows=table.astype(object).to_dict(orient="records"))


class PlannedModel(JsonAnswer):
    """What a model's activations cost."""

    role: str = Field(description="model; of a recipe strong, or weak where the supervisor reads a model")
    model: str = Field(description="the model's name")
    parameters: int = Field(description="of the trunk, which is what is loaded")
    rows: int = Field(description="rows to extract")
    at_most: bool = Field(description="whether fewer rows may do, as seeds share some")
    tokens: int = Field(description="tokens, padding not counted")
    longest: int = Field(description="tokens of the longest row")
    cut: int = Field(description="texts that are longer than the window and lose their end")
    layers: list[int] = Field(description="the layers stored")
    site: str = Field(description="what is read at each layer, as `--site` of `w2s extract` says it")
    position: str = Field(description="the token position stored")
    dtype: str = Field(description="the dtype stored")
    flops: float = Field(description="operations of the forward passes, padding included")
    seconds: float = Field(description="their time at the rate given, or at 40 % of an A100's peak")
    store_bytes: int = Field(description="disk")
    host_bytes: int = Field(description="memory beside a GPU")
    device_bytes: int = Field(description="memory of the GPU")

    @classmethod
    def of(cls, role: str, model: str, costs: Any, cut: int, rates: Any, *, at_most: bool = False) -> "PlannedModel":
        same = ("parameters", "rows", "tokens", "longest", "layers", "site", "position", "dtype", "flops")
        return cls(
            role=role,
            model=model,
            at_most=at_most,
            cut=cut,
            seconds=costs.seconds(**rates),
            store_bytes=costs.store,
            host_bytes=costs.host,
            device_bytes=costs.device,
            **{name: getattr(costs, name) for name in same},
        )


class PlannedRun(JsonAnswer):
    """What a recipe does beyond the activations."""

    tasks: int = Field(description="tasks")
    seeds: int = Field(description="seeds")
    methods: int = Field(description="methods beside weak supervisor and ceiling")
    fits: int = Field(description="weak supervisors, ceilings and methods over all tasks and seeds")
    students: int = Field(description="students trained in all")
    finetuning_flops: float | None = Field(description="operations of all fine-tuning; null where there is none")
    gold_labels: int | None = Field(
        description="true labels of gold rows, over all tasks and seeds; null where no method reads any"
    )
    generations: int | None = Field(description="turns that models write in debates; null where none argues")
    asking_tokens: int = Field(description="tokens of all prompts that models are asked, at most")
    asking_flops: float | None = Field(description="operations of all asking; null where there is none")
    test_rows: int = Field(description="test rows of each task")


class PlanAnswer(JsonAnswer):
    """What `w2s plan --json` prints."""

    target: str = Field(description="the recipe or the model")
    models: list[PlannedModel] = Field(description="what each model's activations cost")
    recipe: PlannedRun | None = Field(description="null for a model")
    intervals: list[dict[str, Any]] = Field(
        description="for each gap what the test rows can show; columns as printed: `weak`, `ceiling`, `gap`, `PGR …`"
    )
    remarks: list[str] = Field(description="what is said without --json, a line each")
