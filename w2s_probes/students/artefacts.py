"""Saved students and probes: where they lie, and what they read."""

import errno
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

# Whatever loads torch is imported where it is used: a file is found, and refused, without it.
from ..errors import InputError
from ..io.files import HOST, remove_abandoned
from ..io.sealed import write_sealed
from ..probes.fitted_to import READS, reads_in, refuse_other_layer
from ..store.activation_store import ActivationStore
from ..store.read_again import SITE
from .finetuning.saved_files import is_saved_model, read_scoring
from .finetuning.settings import STUDENT_HEAD, STUDENT_MODEL, STUDENT_RECORD

if TYPE_CHECKING:
    from ..probes.base import Probe

AGAIN = 100  # times that a folder is put where other processes put the same one


def save_student(
    folder: Path,
    record: Mapping[str, Any],
    *,
    head: "Probe | None" = None,
    reads: Mapping[str, Any] | None = None,
    model: Path | None = None,
) -> None:
    """Write a student to a folder, whole or not at all, in place of one that is there: as `w2s student` writes it.

    `head` is a fitted head, which `reads` something (`reads_of`), or `model` the folder that `finetune(save=True)`
    wrote, whose files are linked where the disk can, else copied. `record` is put into student.json, which knows the
    checksums of all files.
    """
    temporary = folder.with_name(f".{uuid.uuid4().hex[:8]}.{HOST}-{os.getpid()}.partial.{folder.name}")
    remove_abandoned(folder.parent)
    try:
        temporary.mkdir(parents=True)
        if head is not None:
            from ..probes.saving import save_probe

            save_probe(head, temporary / STUDENT_HEAD, notes={**record, READS: reads})
        if model is not None:
            shutil.copytree(model, temporary / STUDENT_MODEL, copy_function=_link_or_copy)
        files = [file.relative_to(temporary).as_posix() for file in temporary.rglob("*") if file.is_file()]
        write_sealed(temporary / STUDENT_RECORD, record, files)
        _put(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put(temporary: Path, folder: Path) -> None:
    """Rename a folder into the place of another one, also while other processes do the same: the last one stays."""
    for last_try in [False] * AGAIN + [True]:
        shutil.rmtree(folder, ignore_errors=True)
        try:
            temporary.rename(folder)
        except OSError as error:  # another process was faster: its student has the same place
            if last_try or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copy2(source, target)


@dataclass(frozen=True)
class SavedStudent:
    """A student or probe on disk; nothing of it is loaded yet.

    >>> import tempfile
    >>> SavedStudent.find(Path(tempfile.mkdtemp()))
    Traceback (most recent call last):
    w2s_probes.errors.InputError: ...: holds no student: ...
    """

    path: Path  # of a head or probe its file, of a fine-tuned model its folder
    kind: str  # head or model; a probe is a head, too
    reads: Mapping[str, Any] | None = None  # of a head: `reads_of`; None: not recorded
    speaks: bool = False  # a model that says its labels as words

    @classmethod
    def find(cls, path: Path | str) -> Self:
        """What is at a path: a student's folder, a fine-tuned model's, or a head's or probe's file."""
        path = Path(path)
        if not path.exists():
            raise InputError(f"{path}: no such file or folder: give what `w2s student` wrote, or a saved probe")
        if path.is_dir() and (path / STUDENT_RECORD).is_file():
            inner = [path / name for name in (STUDENT_HEAD, STUDENT_MODEL) if (path / name).exists()]
            if not inner:
                raise InputError(
                    f"{path}: its student is gone: neither {STUDENT_HEAD} nor {STUDENT_MODEL}/ stands beside "
                    f"{STUDENT_RECORD}: train it again"
                )
            path = inner[0]
        if path.is_dir():
            if not is_saved_model(path):
                raise InputError(f"{path}: holds no student: give what `w2s student` wrote, or a saved probe's file")
            return cls(path, "model", speaks=read_scoring(path).says is not None)
        return cls(path, "head", reads_in(path))

    @property
    def extraction(self) -> tuple[str, dict[str, Any]]:
        """The model that a head reads, and the options of `extract.Extraction.plan` for its activations.

        InputError where they are not recorded, or were imported.
        """
        identity = (self.reads or {}).get("identity", {})
        model = (self.reads or {}).get("model")
        if self.reads is None or not model or "weights" not in identity:
            why = "its activations were imported" if self.reads else "it does not say which model it reads"
            raise InputError(f"{self.path}: {why}: give the rows' activations by --store")
        options = {name: identity.get(name) for name in ("position", "dtype", "max_length", "truncation")}
        options["site"] = identity.get(SITE, "residual")
        options |= {"quantization": identity.get("quantization"), "layers": [self.reads["layer"]]}
        # A template of a file is not kept there by its name: that of the model is another, which is found by the key.
        options["chat_template"] = None if identity.get("template") is None else "own"
        return str(model), options

    def layer_in(self, store: ActivationStore, layer: int | str | None = None) -> int:
        """The layer of a store that a head is to read: the one that it was fitted to.

        InputError where the store's activations are of another model, position or dtype, and for another layer.
        """
        if self.reads is None:
            if layer is None:
                raise InputError(f"{self.path}: it does not say which layer it reads: give --layer")
            return store.resolve(layer)
        fitted = int(self.reads["layer"])
        if layer is not None and store.resolve(layer) != fitted:
            raise InputError(f"{self.path}: it reads layer {fitted}, not {layer}: leave --layer out")
        index = store.resolve(fitted)
        refuse_other_layer(self.path, self.reads, store, index)
        return index
