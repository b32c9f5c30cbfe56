"""The students of a run in its folder, by task, seed and method: linked or written again from the cache."""

import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from w2s_probes.io.json_files import read_json
from w2s_probes.io.sealed import CHECKSUM, FILES
from w2s_probes.probes.saving import load_probe
from w2s_probes.students.artefacts import SavedStudent, save_student
from w2s_probes.students.finetuning.settings import STUDENT_HEAD, STUDENT_MODEL, STUDENT_RECORD

from ..lessons.clock import first_process
from ..lessons.engine import StepLessons
from ..lessons.lesson import Lesson
from .names import STUDENTS, labels_file, student_folder

METHOD = "method"  # in a student's record; one without is no run's


def put_students(out: Path, task: str, seed: int, taught: StepLessons) -> set[str]:
    """Put the students of one task and seed into a run's folder, by method; the names of their folders.

    A method with several students, as rounds and random controls have them, has them in folders 1, 2, ... of its own.
    """
    named: dict[str, tuple[str, Lesson]] = {}
    for method, lessons in taught.items():
        place = student_folder(task, seed, method)
        for number, lesson in enumerate(lessons, start=1):
            named[place if len(lessons) == 1 else f"{place}/{number}"] = method, lesson
    if not first_process():
        return set(named)
    for place in {student_folder(task, seed, method) for method in taught}:  # an earlier run may have had others there
        _remove_of_runs(out / place, keep={out / folder for folder in named})
    for folder, (method, lesson) in named.items():
        if not lesson.student.is_dir():  # what could not be taught
            continue
        about = {"task": task, "seed": seed, METHOD: method, "labels": labels_file(task, seed, "weak")}
        kept = SavedStudent.find(lesson.student)
        record = read_json(lesson.student / STUDENT_RECORD)
        unsealed = {name: value for name, value in record.items() if name not in (FILES, CHECKSUM)}
        record = unsealed | lesson.taught_by | about  # equal lessons share a student: these labels may be another's too
        if kept.kind == "model":
            save_student(out / folder, record, model=kept.path)
        else:
            save_student(out / folder, record, head=load_probe(kept.path), reads=kept.reads)
    return set(named)


def remove_other_students(out: Path, own: Collection[str]) -> None:
    """Delete the students that an earlier run put into the folder; what else stands there is left."""
    if not first_process():
        return
    _remove_of_runs(out / STUDENTS, keep={out / folder for folder in own})


def _remove_of_runs(within: Path, keep: Collection[Path]) -> None:
    """Delete students that a run put into a folder or one below it, but for those to keep."""
    for file in sorted(within.glob(f"**/{STUDENT_RECORD}")):
        if file.parent in keep or METHOD not in read_json(file):
            continue
        for name in (STUDENT_HEAD, STUDENT_MODEL, STUDENT_RECORD):
            if (one := file.parent / name).is_dir():
                shutil.rmtree(one)
            else:
                one.unlink(missing_ok=True)
        with suppress(OSError):  # students of a later run stand below
            file.parent.rmdir()
