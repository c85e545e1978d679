"""The load client (tests/tools/loadclient) as a context: started, left running while the test does things, judged."""

import json
import os
import signal
import subprocess
from pathlib import Path

from .edge import binary
from .scale import limit


def program():
    """SKERRY_LOADCLIENT, or the one built beside the program under test."""
    named = os.environ.get("SKERRY_LOADCLIENT")
    path = Path(named) if named else Path(binary()).parent / "tests/tools/loadclient/loadclient"
    assert path.exists(), f"{path} is not built (and SKERRY_LOADCLIENT does not name another)"
    return str(path)


def body_sum(data):
    """FNV-1a, 64 bits, as the load client computes it."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


class Load:
    """`with Load(edge.address, ["/a", "/b"], connections=64) as load: ...`, then load.result."""

    def __init__(self, address, targets=(), connections=64, bodies=None, directory=None, timeout=20, **options):
        command = [program(), f"--connections={connections}", f"--timeout={int(limit(timeout) * 1000)}"]
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            command += [flag] if value is True else [f"{flag}={value}"]
        if bodies:
            file = Path(directory) / "targets"
            file.write_text("".join(f"{path} {len(body)} {body_sum(body):x}\n" for path, body in bodies.items()))
            command.append(f"--file={file}")
        self.command = [*command, address[0], str(address[1]), *targets]
        self.result = None

    def __enter__(self):
        # Its own leaks are looked for elsewhere (test_demo.py): here a leak check would only take time.
        environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                        env=environment)
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.finish()
        else:  # what went wrong is told by the exception
            self.process.kill()
            self.process.communicate()

    def finish(self, timeout=60):
        """Asks it to end (requests under way are finished) and reads its result."""
        if self.result is None:
            self.process.send_signal(signal.SIGTERM)
            self._read(timeout)
        return self.result

    def wait(self, timeout=60):
        """Until it ends by itself."""
        if self.result is None:
            self._read(timeout)
        return self.result

    def stay_closed(self):
        """From now on a connection that is told to close is not opened again. Returns when that is in force."""
        self.process.send_signal(signal.SIGUSR1)
        line = self.process.stdout.readline()
        assert "staying-closed" in line, line

    def running(self):
        return self.process.poll() is None

    def _read(self, timeout):
        try:
            output, _ = self.process.communicate(timeout=limit(timeout))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise AssertionError("the load client did not end") from None
        self.result = json.loads(output.splitlines()[-1])

    def assert_no_failure(self):
        result = self.finish()
        assert result["ok"] > 0 and result["failed"] == 0, result
        return result


def run(address, targets=(), patience=60, **options):
    """A whole run, of PATIENCE seconds at most."""
    with Load(address, targets, **options) as load:
        return load.wait(patience)
