"""Tasks: a TOML file says how a dataset's own fields become binary rows; adding a task needs no Python."""

from .definition import Task
from .load import TASKS, TaskRows, TaskTest, find_task, load_task, load_test, load_test_file, read_task
from .rules import AnswerRule, FieldPart, LabelRule
from .sources import Hub, Local, SourceSplits

__all__ = [
    "TASKS",
    "AnswerRule",
    "FieldPart",
    "Hub",
    "LabelRule",
    "Local",
    "SourceSplits",
    "Task",
    "TaskRows",
    "TaskTest",
    "find_task",
    "load_task",
    "load_test",
    "load_test_file",
    "read_task",
]
