"""Processes of a test: found again by a mark in their environment, whoever started them and whatever their parent."""

import ctypes
import os
import signal
import uuid

from .scale import wait_until

PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Family:
    """All processes that descend from one that was started with .environment()."""

    def __init__(self):
        self.mark = f"SKERRY_TEST_FAMILY={uuid.uuid4()}"
        self.codes = {}  # pid -> exit code, of those that this process could wait for
        self.known = set()

    def environment(self, more=()):
        name, _, value = self.mark.partition("=")
        return {**os.environ, **dict(more), name: value}

    def pids(self):
        """The living ones. None is an answer only when a second look agrees: while the first one went through /proc, an old
        process may have started a new one and ended."""
        return self._look() or self._look()

    def gone(self):
        """Whether none is left. Goes through /proc, which takes its time, only when those that are known have ended."""
        return not any(self._lives(pid, self._is_ours(pid)) for pid in list(self.known)) and not self.pids()

    def _look(self):
        found = {int(entry) for entry in os.listdir("/proc") if entry.isdigit() and self._is_ours(int(entry))}
        self.known |= found
        return sorted(pid for pid in self.known if self._lives(pid, pid in found))

    def _is_ours(self, pid):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                return self.mark.encode() in file.read().split(b"\0")
        except OSError:
            return False

    def _lives(self, pid, marked):
        """Orphans come to us because we are their subreaper: we are told of their end, and keep their exit codes.
        A process amid its exec shows no environment, so the mark alone does not tell."""
        if pid in self.codes:
            return False
        try:
            done, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return marked
        if done:
            self.codes[pid] = os.waitstatus_to_exitcode(status)
        return not done

    def descendants(self, pid):
        """Children of PID and theirs, also such as hide their environment (nginx writes its title over it)."""
        parents = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/stat") as file:
                        parents[int(entry)] = int(file.read().rpartition(")")[2].split()[1])
                except OSError:
                    continue
        found = {pid}
        while more := {child for child, parent in parents.items() if parent in found} - found:
            found |= more
        return found - {pid}

    def kill(self):
        living = self.pids()
        if not living:
            return
        for pid in living:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            wait_until(self.gone, 10, "killed processes to go away")
        except AssertionError:
            pass


def status_field(pid, name):
    """A number of /proc/PID/status, such as VmRSS in KiB."""
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
    raise KeyError(name)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
