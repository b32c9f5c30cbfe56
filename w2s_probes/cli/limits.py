"""Refusals by the machine, or by a limit set on this process: one line in place of a traceback."""

import errno
from collections.abc import Iterator

MEMORY = "memory ran out: give fewer rows or layers, free some, or raise the limit (ulimit -v)"
GPU_MEMORY = (
    "the memory of the GPU ran out: lower batch_tokens (--batch-tokens), have fewer jobs share it, or free some "
    "(nvidia-smi says who holds it)"
)
REMEDIES = {
    errno.ENOMEM: MEMORY,
    errno.EMFILE: "too many open files: raise the limit (ulimit -n)",
    errno.ENFILE: "too many open files on this machine: close some",
    errno.EFBIG: "larger than files may be here: raise the limit (ulimit -f), or use another disk",
    errno.ENOSPC: "No space left on device",
    errno.EDQUOT: "the disk quota is used up: free some space, or use another disk",
    errno.EROFS: "Read-only file system",
    errno.EIO: "the disk cannot be read or written (Input/output error)",
    errno.ENAMETOOLONG: "File name too long",
    # A thread that finds no room for its stack is refused in the same words as one too many.
    errno.EAGAIN: "no more processes or threads may be started: raise the limit (ulimit -u, or -v where memory is "
    "limited), or give fewer --jobs",
}
# What libraries say in errors of other kinds, by which they pass on that the machine has refused something.
SAID = {
    "cannot allocate memory": errno.ENOMEM,
    "can't allocate memory": errno.ENOMEM,
    "not enough memory": errno.ENOMEM,
    "out of memory": errno.ENOMEM,
    "bad_alloc": errno.ENOMEM,
    "unable to allocate": errno.ENOMEM,
    "failed to map segment": errno.ENOMEM,
    "too many open files": errno.EMFILE,
    "file too large": errno.EFBIG,
    "no usable temporary directory": errno.ENOSPC,
    "no space left on device": errno.ENOSPC,
    "can't start new thread": errno.EAGAIN,
    "resource temporarily unavailable": errno.EAGAIN,
}
OF_GPU = ("CUDA out of memory", "HIP out of memory", "CUDA error: out of memory")  # as torch says it
OF_OUTPUT = (errno.ENOSPC, errno.EROFS, errno.EFBIG, errno.EDQUOT, errno.EIO)  # else named after no file
SHOWN = 80  # characters of a file's name
ABOUT_FILES = (PermissionError, FileNotFoundError, IsADirectoryError, NotADirectoryError)
DEEP = 10  # errors, each the cause of the one before


def refused(error: BaseException) -> str | None:
    """The refusal of the machine and its remedy; None for an error of another kind."""
    number, file = _number(error), getattr(error, "filename", None)
    if number == errno.ENOMEM and any(words in str(cause) for cause in _led_to(error) for words in OF_GPU):
        return GPU_MEMORY
    if number == errno.ENOMEM:
        return MEMORY
    if number is None:
        return f"{file}: {error.strerror}" if isinstance(error, ABOUT_FILES) and file is not None else None
    if file is None and "temporary directory" in str(error):
        file = "temporary files"
    return f"{str(file or ('the output' if number in OF_OUTPUT else 'this command'))[:SHOWN]}: {REMEDIES[number]}"


def _led_to(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what led to it."""
    for _ in range(DEEP):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _number(given: BaseException) -> int | None:
    """As the system numbers it, of the error or of what led to it."""
    for error in _led_to(given):
        if isinstance(error, MemoryError):
            return errno.ENOMEM
        if isinstance(error, OSError) and error.errno in REMEDIES:
            return error.errno
        message = str(error).lower()
        for words, meant in SAID.items():
            if words in message:
                return meant
    return None
