"""Files that are either whole or not there."""

import hashlib
import os
import re
import shlex
import shutil
import socket
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import InputError
from ..redaction import redacted


def _numberer() -> str:
    """A hash of the namespace of process numbers: the machine, or a container, whose numbers mean nothing outside."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux
        namespace = ""
    return hashlib.sha256(f"{socket.gethostname()} {namespace}".encode()).hexdigest()[:6]


HOST = _numberer()
PARTIAL = re.compile(r"\.[0-9a-f]{8}\.(?P<host>[0-9a-f]{6})-(?P<pid>\d+)\.partial\..*", re.DOTALL)


def partial(path: Path) -> Path:
    """A name beside `path` for what this process is writing, by which `remove_abandoned` knows whose it is."""
    return path.with_name(f".{uuid.uuid4().hex[:8]}.{HOST}-{os.getpid()}.partial.{path.name}")


@contextmanager
def replacing(path: Path, *, keep: bool = False, name: Callable[[Path], str] | None = None) -> Iterator[Path]:
    """A temporary path beside `path`, with the same suffixes, that takes its place when the block ends well.

    An exception, or a kill, leaves what stood at `path` before. With `keep`, a file that is there by then stays.
    `name` gives the last part of the path from the file as written. A file that is replaced keeps its mode; a new one
    has the umask's. What killed processes left in the folder is deleted when a process first writes there.
    """
    path = Path(path)
    if is_address(path) and not path.parent.exists():
        raise refused_target(path)
    temporary = partial(path)
    made: list[Path] = []
    try:
        made = [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_once(path.parent)
        mode = _begin(temporary, path)
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        target = path.with_name(name(temporary)) if name else path
        before = _mode(target)
        wanted = mode if before is None else before
        if _mode(temporary) != wanted:  # some libraries write to a file of their own, and rename it to this one
            with suppress(PermissionError):  # a file system without modes
                temporary.chmod(wanted)
        if keep:
            _put_if_none(temporary, target)
        else:
            temporary.replace(target)
        made = []
        _keep_name(path.parent)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # also where its folder could not be made
            temporary.unlink()
        for folder in made:
            with suppress(OSError):  # not empty: another process has put something there
                folder.rmdir()


def _begin(temporary: Path, path: Path) -> int:
    """Make an empty file that is readable only by those who may read the file it replaces; return a new file's mode."""
    before = _mode(path)
    mode = 0o666 if before is None else before | stat.S_IRUSR | stat.S_IWUSR  # we ourselves have to write it
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)


def _mode(path: Path) -> int | None:
    """The permission bits of a file; None where there is none."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def refuse_input(out: Path, *inputs: Path | None) -> None:
    """InputError where the output would take the place of an input."""
    for path in inputs:
        if path is not None and out.exists() and path.exists() and out.samefile(path):
            raise InputError(f"{out}: is read by this command, too: give another --out")


def refuse_no_place(path: Path) -> None:
    """InputError where nothing can be written at `path`: before anything is computed, not when it is written."""
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"cannot write {path}: {there} is not a folder that can be written in")


def refuse_no_file(path: Path) -> None:
    """InputError where no file can be written at `path`, before any work is done for it."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the name of a file")
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is a pipe or a device, in whose place a file would be put: give the name of a file")
    if not path.exists():
        refuse_no_place(path)


def is_address(path: Path | str) -> bool:
    """Whether a path is meant as an address, `s3://bucket/acts`, also where `Path` has taken one of its slashes."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(path)) is not None


def refused_address(path: Path | str) -> InputError:
    """The error where a place on this machine is to be read; of an address that may hold a secret it says the kind."""
    shown = _shown(path)
    words = ("w2s", "pull", shown, Path(path).name)
    command = "w2s pull" if shown.endswith("…") else shlex.join(words)
    return InputError(f"{shown}: is an address: bring it here first, by `{command}`")


def refused_target(path: Path | str) -> InputError:
    """The error where something is to be written on this machine."""
    return InputError(
        f"{_shown(path)}: is an address: give a place on this machine, and bring it there by `w2s push` afterwards"
    )


def _shown(path: Path | str) -> str:
    """An address as it was typed, with the slash that `Path` has taken; its kind alone where it may hold a secret."""
    kind, _, rest = str(path).partition(":")
    rest = rest.lstrip("/")
    secret = re.search(r"[?=:]", rest) or ("@" in rest and kind != "hf")
    return f"{kind}://…" if secret else redacted(f"{kind}://{'/' if kind in ('file', 'local') else ''}{rest}")


def is_plain(name: str) -> bool:
    """Whether a name that stands in a file may be a part of a path: it leads nowhere else."""
    return name not in ("", ".", "..") and not any(sign in name for sign in ("/", os.sep, "\0"))


def is_inside(name: str) -> bool:
    """Whether a path that stands in a file, with / between its parts, stays in the folder that it is read from."""
    return all(is_plain(part) for part in name.split("/"))


def _keep_name(folder: Path) -> None:
    """Flush a folder to disk, so that a new name outlives a power cut."""
    with suppress(OSError):  # some file systems have no such call for folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _put_if_none(temporary: Path, target: Path) -> None:
    try:
        target.hardlink_to(temporary)  # the one step that two processes cannot both do
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        if not target.exists():
            temporary.replace(target)


def remove_abandoned(folder: Path) -> None:
    """Delete the temporary files and folders that killed processes of this machine left in a folder.

    A link is deleted, never what it points at.
    """
    try:
        entries = list(os.scandir(folder))
    except OSError:  # not there, no folder, or not to be read
        return
    for entry in entries:
        match = PARTIAL.fullmatch(entry.name)
        if match and match["host"] == HOST and not is_alive(int(match["pid"])):
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    Path(entry.path).unlink()


_cleared: set[tuple[int, str]] = set()  # process and folder: a folder of many files is not listed for each of them


def _clear_once(folder: Path) -> None:
    """Delete what killed processes left in a folder, unless this process has done so."""
    key = (os.getpid(), str(folder.absolute()))
    if key not in _cleared:
        _cleared.add(key)
        remove_abandoned(folder)


def is_alive(pid: int) -> bool:
    """Whether there is a process of this number on this machine that does more than wait for its exit code be read."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (OSError, IndexError):  # not Linux
        return True


def sha256(path: Path) -> str:
    """The hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def last_part(name: str) -> str:
    """The last part of a path that begins at the root, at home or here; any other name, as of the hub, as it is.

    >>> last_part("/home/alice/llama"), last_part("org/llama")
    ('llama', 'org/llama')
    """
    path = Path(name)
    if not path.is_absolute() and not name.startswith(("~", "./", "../")) and name not in (".", ".."):
        return name
    return path.name if path.name not in ("", "..") else path.resolve().name
