"""Who writes to a place: one process at a time, or several that do the same work; any other is told who is there."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..io.files import HOST, is_address, is_alive, refused_target
from .claims import AGAIN, POLL, UNNAMED, Claim, Claims, Ticket, claim_file, keeping, last_number


@dataclass(frozen=True)
class Holder:
    """The process that has a claim, as it has noted itself there."""

    work: str
    machine: str
    pid: int
    number: int
    ticket: Ticket

    @classmethod
    def of(cls, path: Path) -> "Holder | None":
        """The holder of the claim on the result at `path`; None where there is none, or it is about to note itself."""
        number = last_number(path)
        try:
            text = claim_file(path, number).read_text(errors="replace")
        except OSError:  # released just now
            return None
        first, ended, _ = text.partition("\n")
        words = first.split()
        if not ended or len(words) != 5 or not words[4].isdecimal():
            return None
        return cls(words[1], words[2], int(words[4]), number, Ticket(claim_file(path, number), f"{first}\n"))


@contextmanager
def sole_writer(out: Path, result: Path, *, work: str = UNNAMED, instead: str = "another --out") -> Iterator[None]:
    """Keep all other processes from writing to `out` while the block lasts; InputError names the one that does.

    The claim is on `result`, the file within `out`, or `out` itself, that says that all is written. Processes of the
    same `work`, a hash of what is done there, write together. A process that was killed keeps nobody away: at once on
    its own machine, after a minute on others. `instead` is what the error says to give.
    """
    if is_address(out) and not out.parent.exists():
        raise refused_target(out)
    result = Path(result).absolute()
    made = [folder for folder in result.parents if not folder.exists()]
    try:
        with _taken(Path(out), result, work, instead):
            yield
    finally:
        for folder in made:
            with suppress(OSError):  # not empty: something was written
                folder.rmdir()


@contextmanager
def _taken(out: Path, result: Path, work: str, instead: str) -> Iterator[None]:
    with Claims() as claims:
        for _ in range(AGAIN):
            claim = _claimed(claims, out, result, work)
            if claim is not None:
                with _as_first(claim):
                    yield
                return
            holder = Holder.of(result)
            if holder is not None:
                if holder.work != work or work == UNNAMED:
                    raise _refused(out, holder, instead)
                with _beside(holder, result):
                    yield
                return
            time.sleep(POLL[0])
        raise InputError(f"{out}: another process is writing there: wait until it has ended, or give {instead}")


def _claimed(claims: Claims, out: Path, result: Path, work: str) -> Claim | None:
    """The claim on the result, if nobody has it; InputError about `out` where no claim can be written."""
    try:
        return claims.take(result, work)
    except InputError as error:
        if isinstance(cause := error.__cause__, OSError):
            raise InputError(f"cannot write {out}: {cause.strerror or cause}") from cause
        raise


@contextmanager
def _as_first(claim: Claim) -> Iterator[None]:
    """Have the claim while the block lasts; those who have joined have it afterwards."""
    try:
        yield
    finally:
        joined = _others(claim.ticket.file)
        claim.release(made=not joined, joined=joined)


@contextmanager
def _beside(holder: Holder, result: Path) -> Iterator[None]:
    """Join the holder of a claim while the block lasts."""
    try:
        with keeping([holder.ticket]):
            yield
    finally:
        if holder.pid != os.getpid():
            _clear(result, holder)


def _refused(out: Path, holder: Holder, instead: str) -> InputError:
    return InputError(
        f"{out}: process {holder.pid} on {holder.machine} is writing there: wait until it has ended, or give {instead}"
    )


def _others(file: Path) -> bool:
    """Whether another process that has noted itself in a claim's file may be at work."""
    try:
        words = [line.split()[-2:] for line in file.read_text(errors="replace").splitlines()]
    except OSError:
        return False
    signers = [(host, int(pid)) for host, pid in words if pid.isdecimal()]
    return any(host != HOST or (pid != os.getpid() and is_alive(pid)) for host, pid in signers)


def _clear(result: Path, holder: Holder) -> None:
    """Delete a claim that this process has joined, if it is the last to leave."""
    if _others(holder.ticket.file):
        return
    for number in range(1, holder.number + 1):
        with suppress(OSError):
            claim_file(result, number).unlink()
    with suppress(OSError):
        holder.ticket.file.parent.rmdir()
