"""A running `skerry edge`: started on its own port, watched for crashes, leaks and sanitizer reports, stopped."""

import json
import os
import re
import signal
import subprocess
import time

from . import config, protocol
from .client import Conn, fetch
from .ports import Reservation
from .process import Family, cpu_seconds, descriptors, status_field
from .prometheus import Metrics
from .scale import limit, seconds, wait_until

TROUBLE = re.compile(
    r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehaviorSanitizer|MemorySanitizer|runtime error:|"
    r"assertion|SK_ASSERT|stack smashing|double free|corrupted|terminated by signal",
    re.IGNORECASE,
)
READY = re.compile(r"\bready\b", re.IGNORECASE)
EXECUTION = {
    "ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_stack_use_after_return=0:handle_abort=1",
    "LSAN_OPTIONS": "exitcode=99:report_objects=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    "TSAN_OPTIONS": "exitcode=99:halt_on_error=0:second_deadlock_stack=1:history_size=4",
}


def binary():
    path = os.environ.get("SKERRY_BIN")
    assert path and os.access(path, os.X_OK), "SKERRY_BIN must name the skerry program to test"
    return os.path.abspath(path)


def execution_environment():
    """Sanitizer options: the caller's own (suppressions, say) come after ours."""
    return {name: ":".join(filter(None, (value, os.environ.get(name)))) for name, value in EXECUTION.items()}


def run(*arguments, timeout=20, **more):
    """One run of the program to its end."""
    return subprocess.run([binary(), *map(str, arguments)], capture_output=True, text=True, timeout=limit(timeout),
                          env={**os.environ, **execution_environment()}, **more)


class Edge:
    """ARGUMENTS start it from the command line alone; otherwise CONFIGURATION (harness/config.py) is its file."""

    def __init__(self, directory, arguments=None, configuration=None, program=None):
        self.directory = directory
        self.program = program or binary()
        self.reservation = Reservation()
        self.address = self.reservation.address
        self.listen = str(self.reservation)
        self.other = Reservation() if protocol.NAME != "h1" else None  # the listener of that protocol
        self.admin_path = str(directory / "admin.sock")
        self.access_log_path = directory / "access.log"
        self.file = directory / "edge.yaml"
        self.log_path = directory / "edge.log"
        self.arguments = arguments
        self.configuration = configuration
        self.family = Family()
        self.process = None
        self.expected_codes = {0}
        self.environment = {}  # on top of ours
        self.forgiven = None  # a pattern: trouble that a test asks for

    # --- life

    def command(self):
        if self.configuration is None:
            return [self.program, "edge", "--listen", self.listen, "--admin", f"unix:{self.admin_path}", *self.arguments]
        self.write(self.configuration)
        return [self.program, "edge", "-c", str(self.file), *(self.arguments or ())]

    def write(self, configuration):
        """Puts CONFIGURATION (a dictionary or YAML text) in the file, without telling the edge."""
        self.configuration = configuration
        self.file.write_text(configuration if isinstance(configuration, str) else config.render(self, configuration))

    def start(self, wait=True):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                env=self.family.environment({**execution_environment(), **self.environment}))
        self.family.known.add(self.process.pid)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, times=1):
        """Until it has said TIMES times that it is ready (once for each program started)."""
        def ready():
            return len(READY.findall(self.log())) >= times or self._fail_without_process()
        wait_until(ready, 20, "the edge to be ready")

    def _fail_without_process(self):
        assert not self.family.gone(), f"the edge ended before it was ready:\n{self.log()}"

    @property
    def pid(self):
        """Of the process in service (an upgrade changes it), as it says itself; of the newest when it does not. A leak
        check at a process's end looks like one more process for a moment."""
        try:
            return self.health()["pid"]
        except (OSError, AssertionError, ValueError):
            pass
        pids = self.family.pids()
        assert pids, f"no edge is running:\n{self.log()[-4000:]}"
        return max(pids, key=_start_time)

    def alive(self):
        return bool(self.family.pids())

    def send_signal(self, number):
        os.kill(self.pid, number)

    def stop(self, number=signal.SIGTERM, timeout=15):
        """Ends it by a signal and checks how it ended. Safe to call again."""
        if self.process is None:
            return
        for pid in self.family.pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        try:
            wait_until(self.family.gone, timeout, "the edge to stop")
        finally:
            self.family.kill()
            self._reap()
            self.reservation.close()
            self.process = None
        self.check()

    def wait_end(self, timeout=15):
        """Until all of it has ended by itself; the exit code of the process started first."""
        wait_until(self.family.gone, timeout, "the edge to end")
        self._reap()
        return self.process.returncode

    def _reap(self):
        # Popen may find that the family has reaped its child already; it then makes up a code.
        code = self.process.poll()
        self.family.codes.setdefault(self.process.pid, code)
        self.process.returncode = self.family.codes[self.process.pid]

    def check(self):
        """Fails when a process crashed, leaked, or a sanitizer had something to say."""
        log = self.log()
        trouble = [line for line in log.splitlines()
                   if TROUBLE.search(line) and not (self.forgiven and re.search(self.forgiven, line))]
        assert not trouble, f"trouble in the edge's log:\n{log[-12000:]}"
        wrong = {pid: code for pid, code in self.family.codes.items() if code not in self.expected_codes}
        assert not wrong, f"exit codes {wrong}:\n{log[-4000:]}"

    # --- talking to it

    def connect(self, **more):
        if protocol.NAME == "h1" or more.get("tls"):
            return Conn(self.address, **more)
        if not isinstance(self.configuration, dict):
            protocol.only_h1("an edge without a configuration of the harness")
        return protocol.MUX(self.other.address, **more)

    def fetch(self, target="/", method="GET", fields=(), timeout=10, source=None, **more):
        with self.connect(timeout=timeout, source=source) as conn:
            return conn.request(method, target, fields, **more)

    def admin(self, target, method="GET", fields=(), **more):
        return fetch(self.admin_path, target, method, fields, host="localhost", **more)

    def metrics(self):
        response = self.admin("/metrics")
        assert response.status == 200, response
        return Metrics(response.text)

    def reload(self, configuration=None):
        """Over the admin socket; fails when it is refused. CONFIGURATION replaces the file first."""
        if configuration is not None:
            self.write(configuration)
        response = self.admin("/config/reload", "POST")
        assert response.status == 200, (response, response.text)
        return response

    def reload_by_signal(self, configuration=None):
        """By SIGHUP; waits until the edge has counted it, put in force or refused."""
        if configuration is not None:
            self.write(configuration)
        before = self._reloads()
        self.send_signal(signal.SIGHUP)
        wait_until(lambda: self._reloads() > before, what="the reload to be counted")

    def upgrade(self, wait_old=True):
        """Replaces the running program by itself; until the new one is ready and (WAIT_OLD) the old one has ended."""
        old, told = self.pid, len(READY.findall(self.log()))
        os.kill(old, signal.SIGUSR2)
        self.wait_ready(told + 1)
        wait_until(lambda: self.pid != old, what="a new process")
        if wait_old:
            wait_until(lambda: old not in self.family.pids(), 40, "the old process to end")

    def _reloads(self):
        metrics = self.metrics()
        return metrics["skerry_config_reloads_total"] + metrics["skerry_config_reloads_refused_total"]

    def health(self):
        return json.loads(self.admin("/health").text)

    # --- watching it

    def log(self):
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def access_log(self, count=0, path=None, timeout=10):
        """The entries of the JSON access log, once there are COUNT of them."""
        path = path or self.access_log_path

        def entries():
            lines = path.read_text("utf-8").split("\n")[:-1] if path.exists() else []
            return lines if len(lines) >= count else None

        wait_until(lambda: entries() is not None, timeout, f"{count} lines in {path.name}")
        return [json.loads(line) for line in entries()]

    def rss_kib(self):
        return status_field(self.pid, "VmRSS")

    def peak_rss_kib(self):
        return status_field(self.pid, "VmHWM")

    def cpu_seconds(self):
        return cpu_seconds(self.pid)

    def descriptors(self):
        return descriptors(self.pid)


def taken(*conns):
    """Waits until the edge has read what CONNS have sent, and a moment more, in which it sees what it means."""
    if protocol.NAME != "h1":
        return time.sleep(seconds(0.2))  # several requests share a connection there
    wait_until(lambda: not any(conn.unread() for conn in conns), 10, "the requests to be read")
    soon()


def _start_time(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[19]), pid
    except OSError:
        return 0, pid


def soon():
    """A moment in which a wrong byte, if one were on its way, would have come."""
    time.sleep(seconds(0.05))
