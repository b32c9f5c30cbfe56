"""What `w2s robust` answers in JSON."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from .json_answers import JsonAnswer

if TYPE_CHECKING:
    from analyses.robustness.robust_result import RobustResult


class RobustStudent(JsonAnswer):
    """A student beside all others."""

    student: str = Field(description="the method")
    mean: float = Field(description="mean payoff over attacks")
    worst: float = Field(description="its payoff under the attack that is worst for it")
    worst_at: str = Field(description="that attack")
    margin: float = Field(description="what no mixture of the others gives, at the attacks that show it best")
    low: float | None = Field(description="lower end of the margin's interval, by Student's t over seeds")
    high: float | None = Field(description="upper end of it")
    undominated: bool = Field(description="whether the margin is above what was asked for")
    best_at: str = Field(description="the mixture of attacks that shows it best")
    found: int | None = Field(description="its place on the greedy path; null where it is not on it")
    oracle: bool = Field(description="whether it reads the truth")


class RobustTask(JsonAnswer):
    """The students by the payoffs of one task, or by the mean over tasks."""

    task: str = Field(description="the task; (all) for the mean over tasks")
    undominated: list[str] = Field(description="students that no mixture of the others replaces")
    greedy: list[str] = Field(description="students in the order in which they are found")
    best_mean: str = Field(description="the student of the best mean over attacks")
    minimax: str = Field(description="the student whose worst attack is least bad")
    students: list[RobustStudent] = Field(description="every student")


class RobustReplay(JsonAnswer):
    """A learner's replays under one schedule of attacks."""

    schedule: str = Field(description="steady, switch, periods or random")
    learner: str = Field(description="the learner, or a choice made in advance")
    reward: float = Field(description="mean accuracy on audited rows")
    regret: float = Field(description="mean regret to the student that is best in hindsight")
    low: float = Field(description="the least regret of the replays")
    high: float = Field(description="the largest")
    bound: float | None = Field(description="of the expected regret; null where none is known")
    oracle: bool = Field(description="whether it knows what only hindsight or the truth tells")


class RobustAnswer(JsonAnswer):
    """What `w2s robust --json` prints."""

    out: str = Field(description="the folder with all files")
    finished: bool = Field(description="false with --dry-run")
    plan: list[str] = Field(description="with --dry-run what is to do and what is kept, a line each")
    tasks: list[RobustTask] = Field(description="each task, and at last the mean over several")
    replays: list[RobustReplay] = Field(description="learners and fixed choices under each schedule")
    arms: list[str] = Field(description="the students that learners choose among")
    left_out: dict[str, str] = Field(description="students that some attack leaves without a result, with the reason")

    @classmethod
    def planned(cls, out: Path, lines: list[str]) -> "RobustAnswer":
        return cls(out=str(out), finished=False, plan=lines, tasks=[], replays=[], arms=[], left_out={})

    @classmethod
    def of(cls, result: "RobustResult", out: Path) -> "RobustAnswer":
        tasks = []
        for choice in result.choices:
            names = choice.payoffs.students
            lines = choice.student_lines(result.oracles)
            own = [{name: line[name] for name in RobustStudent.model_fields} for line in lines]
            tasks.append(
                RobustTask(
                    task=choice.payoffs.task,
                    undominated=[names[k] for k in choice.found.kept],
                    greedy=[names[k] for k in choice.path.order],
                    best_mean=names[choice.best_mean],
                    minimax=names[choice.minimax],
                    students=[RobustStudent(**line) for line in own],
                )
            )
        replays = [one.line() for one in result.played]
        return cls(
            out=str(out),
            finished=True,
            plan=[],
            tasks=tasks,
            replays=[RobustReplay(**{name: line[name] for name in RobustReplay.model_fields}) for line in replays],
            arms=result.arms,
            left_out=result.left_out,
        )
