"""Processes that share a folder make each result once; those that die lose their claims, those that are slow do not."""

import os
import pickle
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from w2s_probes.io.files import HOST
from w2s_probes.places import claims as claims_module
from w2s_probes.places.claims import CLAIMS, Claims, Ticket

CONTENDER = """
import os, sys, time
from pathlib import Path
from w2s_probes.places import claims as module
from w2s_probes.places.claims import Claims

module.POLL = 0.0005, 0.01
folder, number, lease, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
journal = os.open(folder / "journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def read(path):
    return path.read_text() if path.exists() else None

def make(path):
    os.write(journal, f"made {path.name} {os.getpid()}\\n".encode())
    time.sleep(seconds)
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(str(os.getpid()))
    temporary.rename(path)
    return str(os.getpid())

with Claims(lease) as claims:
    os.write(journal, f"ready {os.getpid()}\\n".encode())
    while not (folder / "go").exists():
        time.sleep(0.001)
    for i in range(number):
        path = folder / f"result-{i}"
        found = claims.made_once(path, lambda: read(path), lambda: make(path))
        os.write(journal, f"has {path.name} {found}\\n".encode())
"""


def contender(folder: Path, number: int, lease: float, seconds: float = 0.0) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", CONTENDER, str(folder), str(number), str(lease), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT)


def lines(folder: Path, what: str) -> list[str]:
    journal = folder / "journal"
    text = journal.read_text() if journal.exists() else ""
    return [line.partition(" ")[2] for line in text.splitlines() if line.startswith(what)]


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    waited = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < waited
        time.sleep(0.005)


def abandoned(path: Path, text: str, seconds_ago: float = 0.0) -> None:
    """A claim that somebody left."""
    (path.parent / CLAIMS).mkdir(exist_ok=True)
    file = path.parent / CLAIMS / f"{path.name}.1"
    file.write_text(text)
    os.utime(file, (time.time() - seconds_ago,) * 2)


def nobody() -> int:
    """The number of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_of_many_contenders_one_makes_each_result_also_where_dead_ones_have_left_their_claims(tmp_path: Path) -> None:
    number, contenders, gone = 60, 5, nobody()
    for i in range(0, number, 3):  # all see them dead at the same time
        abandoned(tmp_path / f"result-{i}", f"x another-host {gone}\n", seconds_ago=100)
        abandoned(tmp_path / f"result-{i + 1}", f"x {HOST} {gone}\n")
    running = [contender(tmp_path, number, 30, 0.005) for _ in range(contenders)]
    wait_for(lambda: len(lines(tmp_path, "ready")) == contenders)
    (tmp_path / "go").touch()
    assert [process.wait(60) for process in running] == [0] * contenders
    made = Counter(line.split()[0] for line in lines(tmp_path, "made"))
    assert made == {f"result-{i}": 1 for i in range(number)}
    assert len({line.split()[1] for line in lines(tmp_path, "made")}) > 1  # they did share
    assert Counter(line.split()[0] for line in lines(tmp_path, "has")) == dict.fromkeys(made, contenders)
    for line in lines(tmp_path, "has"):
        name, maker = line.split()
        assert f"{name} {maker}" in lines(tmp_path, "made")
    assert not (tmp_path / CLAIMS).exists()


@pytest.mark.parametrize("same_host", [True, False])
def test_a_killed_holder_loses_its_claim_and_one_of_the_waiting_takes_it(
    tmp_path: Path, same_host: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = 60.0 if same_host else 1.5  # of this machine one knows at once that it is dead
    holder = contender(tmp_path, 1, lease, seconds=999)
    (tmp_path / "go").touch()
    wait_for(lambda: len(lines(tmp_path, "made")) == 1)
    if not same_host:
        file = tmp_path / CLAIMS / "result-0.1"
        os.write(handle := os.open(file, os.O_WRONLY | os.O_TRUNC), b"x another-host 1\n")
        os.close(handle)
    waiting = [contender(tmp_path, 1, lease) for _ in range(3)]
    wait_for(lambda: len(lines(tmp_path, "ready")) == 4)
    time.sleep(1.2 * lease if not same_host else 0.3)
    assert len(lines(tmp_path, "made")) == 1  # slow, but alive
    holder.send_signal(SIGKILL)
    holder.wait()
    killed = time.monotonic()
    assert [process.wait(60) for process in waiting] == [0, 0, 0]
    assert time.monotonic() - killed < 20
    first, second = (line.split()[1] for line in lines(tmp_path, "made"))
    assert first == str(holder.pid)
    assert [line.split()[1] for line in lines(tmp_path, "has")] == [second] * 3
    assert not (tmp_path / CLAIMS).exists()


def test_a_holder_that_was_stopped_for_longer_than_its_lease_spoils_nothing(tmp_path: Path) -> None:
    holder = contender(tmp_path, 1, lease=0.5, seconds=1.0)
    (tmp_path / "go").touch()
    wait_for(lambda: len(lines(tmp_path, "made")) == 1)
    holder.send_signal(SIGSTOP)
    with Claims(0.5) as claims:
        path = tmp_path / "result-0"
        wait_for(lambda: claims.take(path) is not None)
        (claim,) = claims.held
        assert claim.number == 2
        holder.send_signal(SIGCONT)
        assert holder.wait(60) == 0  # it has made the result, and did not touch the claim that was not its own
        assert claim.ticket.file.exists()
        claim.release(made=True)
    assert not (tmp_path / CLAIMS).exists()


def test_an_error_lets_the_next_one_try(tmp_path: Path) -> None:
    path = tmp_path / "result"

    def fail() -> str:
        raise ZeroDivisionError

    with Claims() as first, Claims() as second:
        with pytest.raises(ZeroDivisionError):
            first.made_once(path, lambda: None, fail)
        assert second.take(path) is not None
        assert first.take(path) is None
    with Claims() as third:  # those that are closed hold nothing
        assert third.made_once(path, lambda: None, lambda: "made") == "made"
    assert not (tmp_path / CLAIMS).exists()


WORKER = """
import pickle, sys
from w2s_probes.places.claims import keeping

with keeping(pickle.loads(bytes.fromhex(sys.argv[1]))):
    print("kept", flush=True)
    sys.stdin.readline()
print("ended", flush=True)
"""


def worker(*tickets: Ticket) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WORKER, pickle.dumps(tickets).hex()]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_worker_keeps_the_claims_of_a_process_that_is_gone(tmp_path: Path) -> None:
    with Claims(lease=0.5) as holder, Claims(lease=0.5) as others:
        taken = [holder.take(tmp_path / name) for name in ("a", "b")]
        claims = [claim for claim in taken if claim is not None]
        process = worker(*(claim.ticket for claim in claims))
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "kept\n"
        holder.renewal.end()  # as if it were killed
        for claim in claims:
            mark, also = claim.ticket.file.read_text().splitlines()
            assert also == f"{HOST} {process.pid}"
            claim.ticket.file.write_text(f"{mark.split()[0]} another-host 1\n{also}\n")
        time.sleep(1.0)
        assert [others.take(claim.path) for claim in claims] == [None, None]
        print(file=process.stdin, flush=True)
        assert process.stdout.readline() == "ended\n"
        wait_for(lambda: all(others.take(claim.path) is not None for claim in claims), 5)
        process.communicate()
        late = worker(claims[0].ticket)  # of a claim that is no longer its own: nothing is written
        late.communicate("\n")
        assert str(late.pid) not in claims[0].ticket.file.read_text().split()


class World:
    """An operating system for several threads of which one at a time moves, by one call, and time is what we say."""

    def __init__(self) -> None:
        self.now = 10**9
        self.opened: dict[int, int] = {}  # when each file was
        self.back = threading.Semaphore(0)
        self.of_thread: dict[int, threading.Semaphore] = {}

    def calls(self) -> Any:
        names = ("open", "write", "read", "fsync", "close", "fstat", "stat", "unlink", "utime")
        shim = SimpleNamespace(**{name: self._stepped(name) for name in names})
        for name in ("O_RDWR", "O_CREAT", "O_EXCL", "O_RDONLY", "O_APPEND", "getpid"):
            setattr(shim, name, getattr(os, name))
        return shim

    def _stepped(self, name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*args: Any, **options: Any) -> Any:
            self.pause()
            if name == "utime":
                return real(args[0], ns=(0, 0) if len(args) > 1 else (self.now, self.now))
            made = real(*args, **options)
            if (name == "open" and args[1] & os.O_CREAT) or name == "write":
                os.utime(made if name == "open" else args[0], ns=(self.now, self.now))
            if name == "open":
                self.opened[made] = self.now
            return made

        return call

    def pause(self) -> None:
        """Wait until this thread may move."""
        mine = self.of_thread.get(threading.get_ident())
        if mine is not None:
            self.back.release()
            mine.acquire()


class Actor:
    """A process, as a thread: it takes the claim, works for some steps, and ends well or not."""

    def __init__(self, world: World, path: Path, name: int, works: bool) -> None:
        self.world, self.path, self.name, self.works = world, path, name, works
        self.working, self.done, self.made = False, False, 0
        self.claims = Claims(lease=1.0)
        self.claims.renewal = self  # type: ignore[assignment]
        self.descriptor, self.renewed, self.missed = -1, 0, False
        self.others: list[Actor] = []
        self.may = threading.Semaphore(0)
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def add(self, descriptor: int) -> None:
        self.descriptor, self.missed, self.renewed = descriptor, False, self.world.opened[descriptor]
        self.missed, self.renewed = self.late, self.world.now

    def remove(self, descriptor: int) -> None:
        self.descriptor = -1

    def end(self) -> None: ...

    def renew(self) -> None:
        """What the thread of renewals does."""
        if self.descriptor >= 0:
            os.utime(self.descriptor, ns=(self.world.now, self.world.now))
            self.missed = self.late
            self.renewed = self.world.now

    @property
    def late(self) -> bool:
        """Whether it has not renewed its claim in time, so that it may have lost it, and does not know."""
        return self.missed or self.world.now - self.renewed > 1e9

    def _run(self) -> None:
        self.world.of_thread[threading.get_ident()] = self.may
        self.may.acquire()
        try:
            for _ in range(6):
                claim = self.claims.take(self.path)
                if claim is not None:
                    made = self.path.exists() or self._work()
                    claim.release(made)
                if self.path.exists():
                    break
                self.world.pause()
        except BaseException as error:  # noqa: BLE001  # told to the test
            self.error = error
        self.done = True
        self.world.back.release()

    def _work(self) -> bool:
        self.working = True
        for other in self.others:
            assert not other.working or other.late or self.late, "two work at once"
        for _ in range(12):
            self.world.pause()
        self.made += 1
        if self.works:
            self.path.touch()
        self.working = False
        return self.works


MOVES = st.one_of(
    st.tuples(st.just("step"), st.integers(0, 2), st.integers(1, 14)),
    st.tuples(st.just("renew"), st.integers(0, 2), st.just(1)),
    st.tuples(st.just("wait"), st.just(0), st.sampled_from([6, 11])),  # in tenths of a lease
)


@settings(max_examples=120)
@given(moves=st.lists(MOVES, max_size=40), works=st.lists(st.booleans(), min_size=3, max_size=3),
       left=st.sampled_from([0, 1, 2]))  # fmt: skip
def test_however_their_steps_interleave_no_two_hold_it_who_renew_in_time(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, int, int]], works: list[bool], left: int
) -> None:
    folder = tmp_path_factory.mktemp("steps")
    world, path = World(), folder / "result"
    (folder / CLAIMS).mkdir()
    for number in range(1, left + 1):  # of dead ones
        (folder / CLAIMS / f"result.{number}").write_text("x another-host 1\n")
        os.utime(folder / CLAIMS / f"result.{number}", (0, 0))
    world.now = 5 * 10**9
    patch = pytest.MonkeyPatch()
    patch.setattr(claims_module, "os", world.calls())
    try:
        actors = [Actor(world, path, name, works[name]) for name in range(3)]
        for actor in actors:
            actor.others = [other for other in actors if other is not actor]
            actor.thread.start()
        for what, number, times in moves:
            for _ in range(times if what == "step" else 0):
                _step(world, actors[number])
            if what == "renew":
                actors[number].renew()
            elif what == "wait":
                world.now += times * 10**8
        for actor in actors:
            while not actor.done:
                _step(world, actor)
        for actor in actors:
            assert actor.error is None, actor.error
    finally:
        patch.undo()
        for actor in actors:
            actor.claims.close()
    made = sum(actor.made for actor in actors if actor.works)
    assert path.exists() == (made > 0)
    if path.exists() and world.now == 5 * 10**9:  # no lease can have run out
        assert made == 1
        assert not (folder / CLAIMS).exists()


def _step(world: World, actor: Actor) -> None:
    """Let an actor go on to its next call."""
    if not actor.done:
        actor.may.release()
        world.back.acquire()
