"""What the kernel says: CPU time and memory by process, and what others took meanwhile."""

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")


@dataclass(frozen=True)
class Moment:
    """A reading: milliseconds of CPU by process name, and of the whole machine."""

    at: float
    by_name: Mapping[str, float]
    busy: float
    steal: float
    waiting: float


@dataclass(frozen=True)
class Span:
    """Between two readings; shares of the whole machine, 0 to 1.

    `used` by the processes that were read, `foreign` by others, `steal` by the hypervisor;
    `waiting` idle while a disk had something to do.
    """

    seconds: float
    by_name: Mapping[str, float]
    used: float
    foreign: float
    steal: float
    waiting: float


def read(processes: Mapping[str, int]) -> Moment:
    """One reading of these processes, each with its descendants."""
    families = _families(processes)
    by_name = {name: sum(map(_cpu_ms, pids)) for name, pids in families.items()}
    return Moment(time.monotonic(), by_name, *_machine())


def between(before: Moment, after: Moment) -> Span:
    """What happened from one reading to the other."""
    seconds = after.at - before.at
    ours = {name: after.by_name[name] - before.by_name.get(name, 0.0) for name in after.by_name}
    capacity = seconds * 1000 * (os.cpu_count() or 1)
    foreign = after.busy - before.busy - sum(ours.values())
    return Span(
        seconds=seconds,
        by_name=ours,
        used=sum(ours.values()) / capacity,
        foreign=max(foreign / capacity, 0.0),
        steal=(after.steal - before.steal) / capacity,
        waiting=(after.waiting - before.waiting) / capacity,
    )


def memory_mb(processes: Mapping[str, int]) -> dict[str, float]:
    """Proportional memory (shared pages counted once) by process name, in MB."""
    families = _families(processes)
    return {name: sum(map(_memory, pids)) / 1e6 for name, pids in families.items()}


def commit() -> str:
    """The commit that is measured, as git names it."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    command = [
        git,
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--dirty",
        "--exclude=*",
    ]
    done = subprocess.run(  # noqa: S603 - git
        command, capture_output=True, text=True, check=False, timeout=10
    )
    return done.stdout.strip() or "unknown"


def describe() -> str:
    """The processor and the Python."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{model}, Python {platform.python_version()}"


def _families(processes: Mapping[str, int]) -> dict[str, list[int]]:
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    own = set(processes.values())
    return {name: list(_tree(pid, children, own - {pid})) for name, pid in processes.items()}


def _tree(pid: int, children: Mapping[int, list[int]], apart: set[int]) -> Iterable[int]:
    """A process and its descendants, except those that are counted by a name of their own."""
    yield pid
    for child in children.get(pid, []):
        if child not in apart:
            yield from _tree(child, children, apart)


def _stat(pid: int) -> list[str]:
    """From the state on: the name before it may hold anything."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _cpu_ms(pid: int) -> float:
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) * TICK_MS if fields else 0.0


def _memory(pid: int) -> float:
    try:
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return float(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        pass
    fields = _stat(pid)
    return float(fields[21]) * PAGE if fields else 0.0


def _machine() -> tuple[float, float, float]:
    """Busy, stolen and waiting, in ms."""
    user, nice, system, _idle, wait, irq, soft, steal, *_ = map(
        int, (_PROC / "stat").read_text().splitlines()[0].split()[1:]
    )
    return (user + nice + system + irq + soft) * TICK_MS, steal * TICK_MS, wait * TICK_MS
