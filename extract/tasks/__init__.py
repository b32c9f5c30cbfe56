"""Tasks: a TOML file says how a dataset's own fields become binary rows; adding a task needs no Python."""

from .definition import Task
from .load import TASKS, TaskRows, find_task, load_task, read_task
from .rules import Answer, Label, Part
from .sources import Hub, Local, Splits

__all__ = [
    "TASKS",
    "Answer",
    "Hub",
    "Label",
    "Local",
    "Part",
    "Splits",
    "Task",
    "TaskRows",
    "find_task",
    "load_task",
    "read_task",
]
