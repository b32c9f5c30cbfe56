"""Names of a run's folder that results, methods and reports share: its files and columns, and its methods' prefixes.

No package is imported here, so that a report and a refusal are quick.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from ..recipe.gold_names import GOLD, OF_WEAK, SELECT, gold_controls

RESULTS, COMPARISONS, RECORD, RECIPE = "results.csv", "comparisons.csv", "run.json", "recipe.toml"
LABELS, PREDICTIONS, FILTERS, CURVES = "labels", "predictions", "filters", "curves"  # folders
DEBATES = "debates"  # a folder, too
STUDENTS = "students"  # a folder, too

RESULT_COLUMNS = ["task", "test_set", "seed", "method", "probe", "layer", "k", "l2", "contamination", "alpha"]
RESULT_COLUMNS += ["metric", "value", "low", "high", "n", "seeds", "status", "oracle", "trusted", "gap"]
RESULT_COLUMNS += ["gap_low", "gap_high"]
COMPARISON_COLUMNS = ["test_set", "metric", "method", "against", "tasks", "better", "worse"]
COMPARISON_COLUMNS += ["difference", "low", "high"]
COMPARISON_COLUMNS += ["p", "p_holm", "p_better", "p_worse", "t", "p_t", "p_t_worse", "p_t_holm"]
COMPARISON_COLUMNS += ["w", "p_wilcoxon", "p_wilcoxon_worse", "p_wilcoxon_holm"]
COMPARISON_COLUMNS += ["pooled_pgr", "pooled_low", "pooled_high", "mean_pgr", "median_pgr", "saturated", "undefined"]
COMPARISON_COLUMNS += ["status", "oracle", "trusted"]

WEAK, CEILING = "weak", "ceiling"
TEST = "test"  # the task's own test set
REFERENCES = (WEAK, CEILING)  # trained in every trial, beside the methods
PROBE_CONTROLLED = {  # by controls of probes, in units of whose ceiling they are
    "control-mean-of-tokens": "attention",
    "control-permuted-mlp": "mlp",
    "control-swapped-sides": "contrast",
    "control-logistic-pairs": "contrast",
    "control-best-layer": "layers",
    "control-bagged-layer": "layers",
}
PROBE = "probe-"  # and the name of a probe: a method whose ceiling is that probe taught the truth
RANDOM = "control-random:"  # and the name of the filter that this control is matched to
TWO_STAGE, RANDOM_STAGES = "two-stage-", "control-random-two-stage-"  # and a probe: in two stages, and its control
SMOOTHED, PERMUTED_GRAPH = "relabel-graph", "control-permuted-graph"  # labels smoothed on a graph, and their control
GATE = "gate-"  # the beginning of the names of gates
ENTROPY_GATE = f"{GATE}entropy"
AVERAGE, SHUFFLED = "control-gate-average", "control-gate-shuffled"  # of the entropy gate; with :GATE of another
FROM_BASE = "base_"  # after pgr_: PGR counted from the supervisor without transcripts
DYNAMIC, STATIC = "fusion-dynamic", "fusion-static"
HALF, MORE, TUNED = "control-fusion-half", "control-fusion-more", "control-fusion-tuned"
OTHER_ALPHA, OTHER_CHANGE = "control-fusion-shuffled-alpha", "control-fusion-shuffled-change"
ALPHA = "alpha of "  # and the name of a method that fuses: a column of the predictions, α of each row
UNCALIBRATED = "uncalibrated "  # and the name of a method: its scores before the recipe calibrated them, likewise
COMMON = "_common"  # ending of a PGR in units of the students' gap, of a method that has a ceiling of its own
ROWS_ONLY = "rows only"  # status of an interval from one seed: it takes the trained models as they are
HARD = "hard labels"  # status of a PGR in AUROC where the supervisor gives labels, not scores

_TRIAL_KEY = re.compile(r"(?s)(?P<task>.+), seed (?P<seed>[0-9]{1,18})")


def trial_key(task: str, seed: int) -> str:
    """The key of one task and seed in a run's record, and their name in messages: `TASK, seed SEED`."""
    return f"{task}, seed {seed}"


def parse_trial_key(key: str) -> tuple[str, int]:
    """Task and seed of a key; ValueError for any other text.

    >>> parse_trial_key(trial_key("boolq", 3))
    ('boolq', 3)
    """
    match = _TRIAL_KEY.fullmatch(key)
    if match is None:
        raise ValueError("a key 'TASK, seed SEED' was expected")
    return match["task"], int(match["seed"])


def labels_file(task: str, seed: int, kind: Literal["weak", "test"], test_set: str = TEST) -> str:
    """The weak labels of the training and validation rows, or those of a set's test rows, within a run's folder."""
    return f"{LABELS}/{task}-{seed}{_at(test_set)}-{kind}.jsonl"


def predictions_file(task: str, seed: int, test_set: str = TEST) -> str:
    """The test scores of every method, within a run's folder."""
    return f"{PREDICTIONS}/{task}-{seed}{_at(test_set)}.csv"


def _at(test_set: str) -> str:
    """The part of a file's name that says which test set it is of; nothing for the task's own."""
    return "" if test_set == TEST else f"@{test_set}"


def on_test_set(task: str, test_set: str) -> str:
    """What a task's numbers on a test set are called in tables and messages.

    >>> on_test_set("boolq", "test"), on_test_set("boolq", "hard")
    ('boolq', 'boolq on hard')
    """
    return task if test_set == TEST else f"{task} on {test_set}"


def filter_file(task: str, seed: int, method: str) -> str:
    """A filter's verdicts on the training rows, within a run's folder."""
    return f"{FILTERS}/{task}-{seed}-{method}.jsonl.gz"


def debate_file(task: str, seed: int) -> str:
    """The transcripts that the supervisor has read, within a run's folder."""
    return f"{DEBATES}/{task}-{seed}.jsonl.gz"


def student_folder(task: str, seed: int, method: str) -> str:
    """The folder of a method's students, within a run's folder."""
    return f"{STUDENTS}/{task}-{seed}-{method.replace(':', '-')}"


def trial_files(
    methods: Mapping[tuple[str, int], Iterable[str]], test_sets: Mapping[str, Iterable[str]] | None = None
) -> set[str]:
    """The files, within a run's folder, that there may be of each task and seed and the methods used on them.

    `test_sets` names, by task, those beside its own that have rows of their own.
    """
    files = set()
    for (task, seed), used in methods.items():
        files |= {labels_file(task, seed, "weak"), debate_file(task, seed)}
        for test_set in (TEST, *(test_sets or {}).get(task, ())):
            files |= {labels_file(task, seed, "test", test_set), predictions_file(task, seed, test_set)}
        files |= {filter_file(task, seed, method) for method in used}
    return files


def controls_of(method: str) -> tuple[str, ...]:
    """The names of the controls that are matched to a method, where there are any.

    >>> controls_of("filter-knn"), controls_of("gate-variance"), controls_of("two-stage-knn")[0]
    (('control-random:filter-knn',), ('control-gate-average:gate-variance', 'control-gate-shuffled:gate-variance'), \
'control-random-two-stage-knn')
    """
    if method.startswith(GOLD):
        return gold_controls(method)
    if method.startswith(TWO_STAGE):
        return (RANDOM_STAGES + method.removeprefix(TWO_STAGE),)
    if method == SMOOTHED:
        return (PERMUTED_GRAPH,)
    if not method.startswith(GATE):
        return (RANDOM + method,)
    named = tuple(f"{control}:{method}" for control in (AVERAGE, SHUFFLED))
    return (AVERAGE, SHUFFLED, *named) if method == ENTROPY_GATE else named


def kind_of_control(name: str) -> str:
    """A control's kind, without the method that it is matched to: controls of one kind are tested together."""
    return RANDOM_STAGES if name.startswith(RANDOM_STAGES) else name.partition(":")[0]


def is_matched_control(name: str) -> bool:
    """Whether this is the control of one method."""
    return name.startswith((RANDOM, AVERAGE, SHUFFLED, OF_WEAK, "control-gold-alone", RANDOM_STAGES, PERMUTED_GRAPH))


def own_ceiling(probe: str) -> str:
    """The name of a probe's ceiling."""
    return f"{CEILING}-{probe}"


def ceiling_of(method: str) -> str:
    """The name of the ceiling that a method's PGR is by: of a probe and its control the probe's own.

    >>> ceiling_of("probe-knn"), ceiling_of("gold-select-knn:25"), ceiling_of("student-xent")
    ('ceiling-knn', 'ceiling-knn', 'ceiling')
    """
    if method in PROBE_CONTROLLED:
        return own_ceiling(PROBE_CONTROLLED[method])
    of_probe = PROBE if method.startswith(PROBE) else SELECT
    base = method.removeprefix(OF_WEAK).partition(":")[0]
    if not base.startswith(of_probe) or base in (f"{SELECT}layer", f"{SELECT}checkpoint"):
        return CEILING
    return own_ceiling(base.removeprefix(of_probe))


def is_ceiling(name: str) -> bool:
    """Whether this is the students' ceiling, or a probe's."""
    return name.partition("-")[0] == CEILING


def is_reference(name: str) -> bool:
    """Whether this is the supervisor or a ceiling, of which there is no PGR."""
    return name == WEAK or is_ceiling(name)


def with_ceilings(methods: Iterable[str]) -> list[str]:
    """The methods, and the ceilings of those that have one of their own.

    >>> with_ceilings(["student-xent", "probe-knn"])
    ['student-xent', 'probe-knn', 'ceiling-knn']
    """
    named = list(methods)
    own = (ceiling_of(name) for name in named)
    return list(dict.fromkeys([*named, *(ceiling for ceiling in own if ceiling != CEILING)]))
