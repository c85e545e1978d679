"""Edges that are killed and started again on one store in a fraction of a second, and a store's device that fails
when a test says so (tests/tools/faultdevice)."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from .edge import binary, execution_environment
from .scale import limit, wait_until

UNAVAILABLE = 77


class Mortal:
    """Lives of EDGE, which has a configuration and is not started. STORE: under a device that can fail."""

    def __init__(self, edge, store=None, seed=1):
        self.edge, self.store, self.seed = edge, store, seed
        self.fifo = edge.directory / "device"
        self.process = None
        edge.write(edge.configuration)
        if store:
            os.mkfifo(self.fifo)

    def _wrapped(self, command, new_boot):
        if not self.store:
            return command
        self.seed += 1
        return [str(Path(binary()).parent / "tests/tools/faultdevice/faultdevice"), "--store", str(self.store), "--log",
                f"{self.store}.state", "--seed", str(self.seed), "--control", str(self.fifo),
                *(["--new-boot"] if new_boot else []), "--", *command]

    def start(self, wait=True, new_boot=False):
        command = [self.edge.program, "edge", "-c", str(self.edge.file)]
        with open(self.edge.log_path, "ab") as log:
            self.process = subprocess.Popen(self._wrapped(command, new_boot), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=self.edge.directory,
                                            env={**os.environ, **execution_environment()})
        if wait:
            wait_until(self._answers, 20, "the edge to answer")
        return self

    def _answers(self):
        if self.process.poll() == UNAVAILABLE:
            pytest.skip("no notifications of system calls here")
        assert self.process.poll() is None, f"the edge ended: {self.process.returncode}:\n{self.edge.log()[-4000:]}"
        try:
            socket.create_connection(self.edge.address, 1).close()
            self.edge.admin("/health", timeout=5)
            return True
        except OSError:
            return False

    @property
    def pid(self):
        """Of the edge itself."""
        if not self.store:
            return self.process.pid
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            return int(file.read().split()[0])

    def tell(self, line):
        with open(self.fifo, "w") as fifo:
            fifo.write(line + "\n")

    def end(self, how):
        """HOW: "kill", "stop" or, with a device, "cut"."""
        assert self.process.poll() is None, f"the edge ended: {self.process.returncode}:\n{self.edge.log()[-4000:]}"
        if how == "cut":
            self.tell("cut")
        else:
            os.kill(self.pid, signal.SIGKILL if how == "kill" else signal.SIGTERM)
        code = self.process.wait(60)
        assert code == (0 if how == "stop" else 128 + signal.SIGKILL if self.store else -signal.SIGKILL), code

    def die(self):
        """At once, also amid its start. What has not ended by then is not waited for: its end is nobody's question."""
        end = time.monotonic() + limit(10)
        while self.process.poll() is None:
            if time.monotonic() > end:
                self.process.kill()  # the edge, its child, ends with it
            try:
                os.kill(self.pid, signal.SIGKILL)
            except (OSError, IndexError):
                time.sleep(0.001)  # it has not begun, or has ended
            try:
                self.process.wait(0.05)
            except subprocess.TimeoutExpired:
                pass
