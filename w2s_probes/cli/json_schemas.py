"""The answers in JSON by verb, their schemas, and their fields with meanings: from them docs/json.md is made."""

from collections.abc import Iterator
from typing import Any

from .answers_on_asking import AskAnswer
from .answers_on_auditing import AuditAnswer
from .answers_on_audits import DeceptionAnswer
from .answers_on_calibration import CalibrateAnswer
from .answers_on_debates import DebateAnswer
from .answers_on_doctoring import DoctorAnswer
from .answers_on_forecasts import ForetellAnswer
from .answers_on_labels import FilterAnswer, PredictAnswer, RelabelAnswer, StudentAnswer
from .answers_on_raters import CombineAnswer
from .answers_on_robustness import RobustAnswer
from .answers_on_runs import PlanAnswer, ReportAnswer, ResultsAnswer, VerifyAnswer
from .answers_on_scores import CompareAnswer, SweepAnswer
from .answers_on_steering import SteerAnswer
from .answers_on_tokens import TokensAnswer
from .json_answers import JsonAnswer

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ANSWERS: dict[str, type[JsonAnswer]] = {
    "verify": VerifyAnswer,
    "doctor": DoctorAnswer,
    "ask": AskAnswer,
    "debate": DebateAnswer,
    "combine": CombineAnswer,
    "sweep": SweepAnswer,
    "filter": FilterAnswer,
    "relabel": RelabelAnswer,
    "tokens": TokensAnswer,
    "student": StudentAnswer,
    "predict": PredictAnswer,
    "compare": CompareAnswer,
    "audit": AuditAnswer,
    "deception": DeceptionAnswer,
    "report": ReportAnswer,
    "results": ResultsAnswer,
    "plan": PlanAnswer,
    "robust": RobustAnswer,
    "steer": SteerAnswer,
    "foretell": ForetellAnswer,
    "calibrate": CalibrateAnswer,
}


def answer_schema(verb: str) -> dict[str, Any]:
    """The JSON Schema of what `w2s VERB --json` prints."""
    return {"$schema": DIALECT, **ANSWERS[verb].model_json_schema(mode="serialization")}


def answer_fields(verb: str) -> list[tuple[str, str, str]]:
    """Path, type and meaning of every field of a verb's answer; `[]` stands for each entry of a list."""
    schema = answer_schema(verb)
    return list(_fields(schema, schema.get("$defs", {}), ""))


def _fields(part: dict[str, Any], parts: dict[str, Any], above: str) -> Iterator[tuple[str, str, str]]:
    for name, field in part.get("properties", {}).items():
        kinds = [parts[kind["$ref"].rpartition("/")[2]] if "$ref" in kind else kind for kind in _kinds(field)]
        yield above + name, " or ".join(_named(kind) for kind in kinds), field.get("description", "")
        for kind in kinds:
            inner, mark = kind, "."
            if kind.get("type") == "array":
                inner, mark = kind["items"], "[]."
            elif "additionalProperties" in kind and isinstance(kind["additionalProperties"], dict):
                inner, mark = kind["additionalProperties"], ".NAME."
            inner = parts[inner["$ref"].rpartition("/")[2]] if "$ref" in inner else inner
            yield from _fields(inner, parts, above + name + mark)


def _kinds(field: dict[str, Any]) -> list[dict[str, Any]]:
    kinds: list[dict[str, Any]] = field.get("anyOf", [field])
    return kinds


def _named(kind: dict[str, Any]) -> str:
    return "list" if kind["type"] == "array" else str(kind["type"])
