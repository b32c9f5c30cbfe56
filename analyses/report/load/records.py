"""The records of runs, sweeps and students, as far as the page reads them: typed, and checked when they are read.

Other keys may stand there, and are not looked at. Keys that earlier versions did not write may be missing.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from w2s_probes.errors import InputError
from w2s_probes.io.files import is_plain
from w2s_probes.io.json_files import read_json

from ...results.names import parse_trial_key
from .debate_record import DebateRecord
from .noise_notes import NoiseNotes


class _RecordPart(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Supervisor(_RecordPart):
    kind: str
    model: str | None = None
    file: str | None = None
    n_truth: int = 0


class _Strong(_RecordPart):
    model: str
    position: str


class _Student(_RecordPart):
    kind: str
    loss: str


class _Recipe(_RecordPart):
    seeds: list[int] = Field(min_length=1)
    methods: list[str] = []
    baseline: str = ""
    weak: _Supervisor
    strong: _Strong
    student: _Student
    probes: dict[str, float | str | bool | dict[str, float | str | bool | list[int | str]]] = {}


class _Rows(_RecordPart):
    rows: float
    positive: float


class _Notes(NoiseNotes):
    requested: float = 0
    weak_share: float = 0  # of a gate; own_kept: rows of shuffled transcripts
    own_kept: float = 0


class _Rater(_RecordPart):
    rater: str
    rows: float
    weight: float = 0
    sensitivity: float = 0
    specificity: float = 0
    auroc: float = 0


class _Taken(_RecordPart):
    seconds: float
    made: dict[str, float]


def _method(name: str) -> str:
    if not is_plain(name):
        raise ValueError("a method's name, which is no path, was expected")
    return name


Method = Annotated[str, AfterValidator(_method)]  # the names of its files hold it


class _Made(_RecordPart):
    debate: DebateRecord | None = None
    splits: dict[str, _Rows] = {}
    methods: dict[Method, _Notes] = {}
    taken: dict[Method, _Taken] = {}
    raters: list[_Rater] = []
    disagreement: dict[str, float] = {}
    weak_rates: dict[str, float] = {}


class _Failure(_RecordPart):
    task: str
    seed: int
    method: str
    reason: str


def _trial_key(key: str) -> str:
    task, _ = parse_trial_key(key)
    if not is_plain(task):  # which names files
        raise ValueError("a task's name, which is no path, was expected")
    return key


class RunRecord(_RecordPart):
    """The record of a run, run.json."""

    recipe: _Recipe
    versions: dict[str, str]
    runs: dict[Annotated[str, AfterValidator(_trial_key)], _Made] = Field(min_length=1)
    models: dict[str, str] = {}
    rows: dict[str, str] = {}
    failed: list[_Failure] = []
    seconds: float = 0
    files: dict[str, str] = {}  # SHA-256
    checksum: str = ""


Ends = Annotated[list[float | None], Field(min_length=3, max_length=3)]  # value, low, high


class _Best(_RecordPart):
    labels: str
    chosen_by: str
    layer: int
    probe: str
    seed: int | None = None
    k: float | None = None
    l2: float | None = None
    cells: int | None = None
    training: dict[str, Ends] = {}
    held_out: dict[str, Ends] = {}
    oracle: bool = False


class _BestStudent(_RecordPart):
    labels: str
    layer: int
    method: str
    loss: str
    contamination: float | None = None


class _Swept(_RecordPart):
    training_rows: int
    held_out_rows: int


class _Store(_RecordPart):
    model: str | None = None
    key: str | None = None


class _SweptGrid(_RecordPart):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, list[float] | bool | float | str | None]  # values of probes, how they score
    students: list[str] = []
    student_filter: list[str] = []
    student_relabel: list[str] = []


class SweepRecord(_RecordPart):
    """The record beside a sweep's table."""

    best: list[_Best] = []
    best_students: list[_BestStudent] = []
    no_best_student: dict[str, str] = {}
    versions: dict[str, str] = {}
    labels: dict[str, _Swept] = {}
    store: _Store = _Store()
    grid: _SweptGrid = _SweptGrid()
    files: dict[str, str] = {}  # SHA-256
    checksum: str = ""


class _Head(_RecordPart):
    loss: str
    seed: int = 0


class _Taught(_RecordPart):
    train: int
    val: int


class _Counts(_RecordPart):
    file: int
    dropped: int = 0


class _Validated(_RecordPart):
    auroc: Ends | None = None


class _Tested(_RecordPart):
    against: Literal["truth", "label"]
    rows: int
    auroc: float
    accuracy: float
    intervals: dict[str, Ends | None] = {}


class StudentRecord(_RecordPart):
    """The record of a student, student.json."""

    kind: str = "head"
    store: str | None = Field(None, validate_default=True)  # of a head
    layer: int | None = Field(None, validate_default=True)  # of a head
    labels: str
    parameters: _Head
    rows: _Taught
    row_counts: _Counts | None = None
    validation: _Validated | None = None
    test: _Tested | None = None
    files: dict[str, str] = {}  # SHA-256
    checksum: str = ""

    @field_validator("store", "layer")
    @classmethod
    def _of_a_head(cls, value: object, info: ValidationInfo) -> object:
        if value is None and info.data.get("kind", "head") == "head":
            raise ValueError("a head has read it")
        return value


class _Robustness(_RecordPart):
    metric: Literal["auroc", "accuracy"]
    rounds: int
    audited: int
    delta: float | None = None


class _RobustRecipe(_Recipe):
    robustness: _Robustness


class _TriedRows(_RecordPart):
    rows: dict[str, int]
    error_rates: dict[str, float] = {}


class RobustRecord(_RecordPart):
    """The record of students tried on every attack, robust.json."""

    recipe: _RobustRecipe
    versions: dict[str, str] = {}
    trials: dict[Annotated[str, AfterValidator(_trial_key)], _TriedRows] = Field(min_length=1)
    arms: list[str] = Field(min_length=1)
    left_out: dict[str, str] = {}
    seconds: float = 0
    files: dict[str, str] = {}  # SHA-256
    checksum: str = ""


Record = TypeVar("Record", bound=BaseModel)
OF_RUN, OF_STUDENT = {"recipe", "runs", "versions"}, {"labels", "parameters", "rows"}


def read_record(file: Path, kind: type[Record]) -> dict[str, Any]:
    """A record as it stands in its file; InputError naming the file, and the key, where it is none of this kind."""
    if not file.is_file():
        raise InputError(f"{file}: no file: move it elsewhere, and make the record again")
    content = read_json(file)
    if not isinstance(content, dict):
        raise InputError(f"{file}: a JSON object was expected")
    if kind is RunRecord and not content.keys() >= OF_RUN:
        raise InputError(f"{file}: not the record of a run; run the recipe again")
    if kind is StudentRecord and not content.keys() >= OF_STUDENT:
        raise InputError(f"{file}: not the record of a student; move it elsewhere, or train the student again")
    try:
        kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        reason = first["msg"].removeprefix("Value error, ")
        place = _place(content, first["loc"], absent=first["type"] == "missing")
        raise InputError(f"{file}: {place}: {reason[0].lower()}{reason[1:]}; make it again") from error
    return content


def _place(content: Any, path: tuple[int | str, ...], *, absent: bool) -> str:
    """The key in one line: of the validator's path those steps that the file has, not the names of its types."""
    found = []
    for number, step in enumerate(path):
        try:
            content = content[step]
        except (LookupError, TypeError):
            if not absent or number < len(path) - 1:
                continue
        found.append(str(step))
    return " ".join(".".join(found).split())
