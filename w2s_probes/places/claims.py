"""Claims: processes that share a folder do no piece of work twice, and a process that dies loses what it had claimed.

The claims on a result are numbered files in a folder beside it. The highest number is the one that counts; its holder
renews it, by touching it, as long as it lives. One that has not been renewed for a lease is dead, and whoever makes the
file of the next number has the claim: the file system lets one process alone make it. Until the result is there no file
is deleted, renamed, or made twice, so a late contender cannot take the claim of another for the dead one that it saw.
Times are those of the file system (each compared with that of a file touched now), whose clock is one for all machines.
"""

import os
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, TypeVar

from ..errors import InputError
from ..io.files import HOST, is_alive
from .open_files import allow_open_files
from .renewal import Renewal

CLAIMS = "claims"  # the folder
LEASE = 60.0  # seconds: longer than any pause of a process that lives, caches of network disks included
POLL = 0.05, 1.0  # seconds between looks of one that waits, at first and in the end
AGAIN = 100  # times that a claim is tried while others delete its folder
LONGEST = 4096  # bytes of a claim's file that are read: who has renewed it
UNNAMED = "-"  # work that is told apart by its result alone
Made = TypeVar("Made")


@dataclass(frozen=True)
class Ticket:
    """A claim as it is sent to the process that does the work, which keeps it alive as well.

    So it stays held while either lives: a worker may die and the work be handed out again, or the process that handed
    it out be killed while the worker, on a cluster, goes on.
    """

    file: Path
    mark: str  # which its holder wrote there
    lease: float = LEASE

    def opened(self) -> int | None:
        """The open file, in which this process is noted; None for the holder itself, or where it is held no more."""
        if self.mark.endswith(f" {_signature()}"):
            return None
        try:
            descriptor = os.open(self.file, os.O_RDWR | os.O_APPEND)
        except OSError:
            return None
        if os.read(descriptor, LONGEST).decode(errors="replace").startswith(self.mark):
            os.write(descriptor, _signature().encode())
            return descriptor
        os.close(descriptor)
        return None


@contextmanager
def keeping(tickets: Iterable[Ticket]) -> Iterator[None]:
    """Renew claims that another process holds while the block lasts."""
    opened: list[int] = []
    allow_open_files()
    try:
        leases = []
        for ticket in tickets:
            if (descriptor := ticket.opened()) is not None:
                opened.append(descriptor)
                leases.append(ticket.lease)
        with Renewal(min(leases, default=LEASE)) as renewal:
            for descriptor in opened:
                renewal.add(descriptor)
            yield
    finally:
        for descriptor in opened:
            os.close(descriptor)


@dataclass(eq=False)
class Claim:
    """The right to make one result. Release it when the result is there, or cannot be made."""

    path: Path  # of the result
    number: int
    ticket: Ticket
    _descriptor: int = field(repr=False)
    _claims: "Claims" = field(repr=False)

    def release(self, made: bool = False, *, joined: bool = False) -> None:
        """Let others have it. Where the result was `made` nobody needs it: its files are deleted.

        One that others have `joined`, and keep, stays theirs.
        """
        if self not in self._claims.held:
            return
        self._claims.held.discard(self)
        self._claims.renewal.remove(self._descriptor)
        if made:
            for number in range(1, self.number + 1):
                _unlink(claim_file(self.path, number))
            with suppress(OSError):  # others are in it
                self.ticket.file.parent.rmdir()
        elif not joined:
            with suppress(OSError):
                os.utime(self._descriptor, (0, 0))  # dead at once
        os.close(self._descriptor)

    def __enter__(self) -> "Claim":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release(made=error is None)


class Claims:
    """The claims of this process, renewed by a thread until they are released.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Claims() as mine, Claims() as others:
    ...     claim = mine.take(Path(folder) / "result")
    ...     print(others.take(Path(folder) / "result"))
    ...     claim.release()
    ...     print(others.take(Path(folder) / "result").number)
    None
    2
    """

    def __init__(self, lease: float = LEASE) -> None:
        allow_open_files()
        self.lease = lease
        self.held: set[Claim] = set()
        self.renewal = Renewal(lease)
        self._clocks: dict[Path, IO[bytes]] = {}

    def take(self, path: Path, work: str = UNNAMED) -> Claim | None:
        """The claim on the result at `path`; None while another process has it.

        Look then whether the result is there by now: the last holder may just have made it. `work`, one word, is noted
        for those who read the `holder`.
        """
        path = Path(path).absolute()
        for last_try in [False] * AGAIN + [True]:
            try:
                (path.parent / CLAIMS).mkdir(parents=True, exist_ok=True)
                return self._take(path, work)
            except FileNotFoundError as error:  # the folder, empty for a moment, has been deleted
                if last_try:
                    raise _no_claim(path, error) from error
            except OSError as error:
                raise _no_claim(path, error) from error
        raise AssertionError

    def made_once(self, path: Path, read: Callable[[], Made | None], make: Callable[[], Made]) -> Made:
        """The result at `path`: read, or made by this process if no other one makes it, or waited for."""
        pause, longest = POLL
        while (result := read()) is None:
            if (claim := self.take(path)) is None:
                time.sleep(pause)
                pause = min(longest, 1.5 * pause)
                continue
            with claim:
                result = read()
                return make() if result is None else result
        return result

    def close(self) -> None:
        """Release every claim."""
        for claim in list(self.held):
            claim.release()
        self.renewal.end()
        for clock in self._clocks.values():
            clock.close()
        self._clocks.clear()

    def __enter__(self) -> "Claims":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, path: Path, work: str) -> Claim | None:
        last = last_number(path)
        if last and not self._is_dead(claim_file(path, last)):
            return None
        mine = claim_file(path, last + 1)
        try:
            descriptor = os.open(mine, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return None
        mark = f"{uuid.uuid4().hex} {work} {_name()} {_signature()}"
        claim = Claim(path, last + 1, Ticket(mine, mark, self.lease), descriptor, self)
        self.held.add(claim)
        try:
            os.write(descriptor, mark.encode())
            os.utime(descriptor)
        except BaseException:
            claim.release()
            raise
        self.renewal.add(descriptor)
        return claim

    def _is_dead(self, file: Path) -> bool:
        """Whether nobody has renewed a claim for a lease, or all who did were of this machine and are gone.

        The file is opened, as network disks then ask how it is by now. One that is gone, as its result has been made,
        is not dead.
        """
        try:
            descriptor = os.open(file, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            renewed = os.fstat(descriptor).st_mtime_ns
            text = os.read(descriptor, LONGEST).decode(errors="replace")
        finally:
            os.close(descriptor)
        holders = [line.split()[-2:] for line in text.splitlines() if len(line.split()) >= 2]
        if holders and all(host == HOST and pid.isdecimal() and not is_alive(int(pid)) for host, pid in holders):
            return True
        return self._now(file.parent) - renewed > self.lease * 1e9

    def _now(self, folder: Path) -> int:
        """The file system's time in nanoseconds."""
        clock = self._clocks.get(folder)
        if clock is None:
            clock = self._clocks[folder] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by `close`
        os.utime(clock.fileno())
        return os.fstat(clock.fileno()).st_mtime_ns


def _signature() -> str:
    """This process, as a line of a claim's file names it."""
    return f"{HOST} {os.getpid()}\n"


def claim_file(path: Path, number: int) -> Path:
    return path.parent / CLAIMS / f"{path.name}.{number}"


def _no_claim(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot claim {path}: {error.strerror or error}")


def last_number(path: Path) -> int:
    """The highest number of a claim on a result; 0 where there is none."""
    last = 0
    while _there(claim_file(path, last + 1)):
        last += 1
    return last


def _name() -> str:
    """The name of this machine, in one word."""
    return "".join(socket.gethostname().split()) or "?"


def _there(file: Path) -> bool:
    try:
        os.stat(file)  # noqa: PTH116  # all calls by one name, as a test lets processes take turns at them
    except FileNotFoundError:
        return False
    return True


def _unlink(file: Path) -> None:
    with suppress(FileNotFoundError):
        os.unlink(file)  # noqa: PTH108
