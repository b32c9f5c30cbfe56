"""Memory that this process may still take."""

import os
from contextlib import suppress
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")  # where Slurm and containers say what a job may have
MEMINFO = Path("/proc/meminfo")


def free_memory() -> int | None:
    """Bytes that the machine, and the limits set to this job, can still give; None where the system does not tell.

    What the system holds only to be quick, such as files that were read, counts as free.
    """
    known = [free for free in (_of_machine(), _of_job()) if free is not None]
    return min(known, default=None)


def _of_machine() -> int | None:
    with suppress(OSError, ValueError, KeyError):
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines() if ":" in line)
        return int(lines["MemAvailable"].split()[0]) * 1024
    with suppress(OSError, ValueError, AttributeError):  # not Linux
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _of_job() -> int | None:
    """The rest of the tightest limit (version 2 of control groups) on this process, in bytes; None without one."""
    left: list[int] = []
    with suppress(OSError, StopIteration):
        path = next(line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
        group = CGROUP / path.strip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(CGROUP):
                break
            with suppress(OSError, ValueError, KeyError):  # no such limit, or none set
                limit = int((folder / "memory.max").read_text())
                used = int((folder / "memory.current").read_text())
                fields = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                left.append(max(limit - used + int(fields["inactive_file"]), 0))
    return min(left, default=None)
