"""Load: wrk, which asks as fast as answers come, and bench/steady.c, which asks at a steady rate."""

import bisect
import functools
import itertools
import json
import pathlib
import re
import subprocess
import tempfile

from lib.processes import LOAD_CORE, SERVER_CORE, TOP, cpu_ns, which

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


def seconds(text):
    number, unit = re.match(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * UNITS[unit]


BYTES = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}


# For scripts that want it: wrk itself ends at 99 %.
P999 = """
done = function(summary, latency) print("p99.9 us " .. latency:percentile(99.9)) end
"""


def wrk(url, connections, duration, script=None, pid=None):
    """One run. Gives requests, errors, rate, bytes, latency (p99.9 if SCRIPT has P999), and the CPU microseconds a request of process PID."""
    argv = ["taskset", "-c", LOAD_CORE, which("wrk"), "-t1", f"-c{connections}", f"-d{duration}s", "--latency",
            "--timeout", "10s"]
    if script:
        argv += ["-s", str(script)]
    before = cpu_ns(pid) if pid else 0
    text = subprocess.run([*argv, url], capture_output=True, text=True, check=True).stdout
    used = (cpu_ns(pid) if pid else 0) - before
    requests = int(re.search(r"(\d+) requests in", text).group(1))
    errors = sum(int(n) for n in re.findall(r"(?:connect|read|write|timeout) (\d+)", text))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors += int(bad.group(1)) if bad else 0
    size, unit = re.search(r"requests in \S+, ([\d.]+)([KMG]?B) read", text).groups()
    p999 = re.search(r"(?m)^p99\.9 us (\d+)", text)
    if requests == 0:
        raise RuntimeError(f"no request succeeded at {url}:\n{text}")
    return {
        "requests": requests,
        "errors": errors,
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)),
        "p50": seconds(re.search(r"(?m)^\s+50%\s+(\S+)", text).group(1)),
        "p99": seconds(re.search(r"(?m)^\s+99%\s+(\S+)", text).group(1)),
        "p999": float(p999.group(1)) / 1e6 if p999 else None,
        "bytes": float(size) * BYTES[unit],
        "cpu_us": used / 1000 / requests,
    }


@functools.cache
def steady_program():
    folder = tempfile.TemporaryDirectory(prefix="skerry-steady-")
    program = pathlib.Path(folder.name) / "steady"
    subprocess.run(["gcc", "-O2", "-o", program, TOP / "bench/steady.c", "-lm", "-lpthread"], check=True)
    return folder, program


def steady(port, host, path_format, objects, rate, connections, duration, seed=1):
    """RATE requests a second for DURATION, whatever the server does: seconds of latency from when each was due, without
    those in which the machine's host had a core ("excluded", their share); "all_p99" is with them."""
    _, program = steady_program()
    argv = [program, port, host, path_format, objects, rate, connections, duration, seed, LOAD_CORE, SERVER_CORE]
    result = json.loads(subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=True).stdout)
    return {**result, **{name: result[name] / 1e6 for name in ("p50", "p99", "p999", "max", "all_p99")}}


class HostWatch:
    """Knows, after it, when the machine's host had one of the two cores. A context."""

    def __enter__(self):
        _, program = steady_program()
        self.process = subprocess.Popen([program, "watch", LOAD_CORE, SERVER_CORE], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        lines, _ = self.process.communicate()
        self.spans = sorted(tuple(int(word) for word in line.split()) for line in lines.splitlines())
        self.ends = list(itertools.accumulate((end for _, end in self.spans), max))

    def disturbed(self, start_ns, end_ns):
        """Of a time by CLOCK_MONOTONIC."""
        first = bisect.bisect_left(self.ends, start_ns)
        return first < len(self.spans) and self.spans[first][0] <= end_ns
