"""dev/bench tls: TLS 1.3 in CPU microseconds of the server's own processes: full handshakes (ECDSA P-256, classical and
hybrid), resumed ones, and 1 KB hits over HTTP/1.1 and HTTP/2, for Skerry and its peers in one run."""

import datetime
import functools
import re
import subprocess
import sys

from lib import tls_peers
from lib.load import wrk
from lib.processes import LOAD_CORE, cpu_ns, which
from lib.report import machine, publish, table
from lib.turns import medians, options, tell_behind

SERVERS = {"skerry": tls_peers.skerry, "nginx": tls_peers.nginx, "haproxy": tls_peers.haproxy}
SHAKES = {"full handshake, X25519": ("X25519", "full"), "full handshake, X25519MLKEM768": ("X25519MLKEM768", "full"),
          "resumed handshake, X25519": ("X25519", "resumed"),
          "resumed handshake, X25519MLKEM768": ("X25519MLKEM768", "resumed")}
HITS = {"1 KB hit, HTTP/1.1": "h1", "1 KB hit, HTTP/2": "h2"}
PARALLEL, CONNECTIONS, STREAMS = 16, 64, 10


def shakes(server, port, groups, how, seconds):
    """CPU microseconds of one handshake, and how many there were in a second."""
    before = cpu_ns(server.pid)
    with tls_peers.clients("shake", port, seconds, PARALLEL, groups, how) as load:
        words = load.stdout.read().split()
    used = cpu_ns(server.pid) - before
    done, resumed, failed = int(words[1]), int(words[3]), int(words[5])
    if failed or not done or words[7].upper() != groups.upper() or resumed != (done if how == "resumed" else 0):
        raise RuntimeError("unexpected handshakes: " + " ".join(words))
    return used / 1000 / done, done / float(words[9])


def h2_hits(url, seconds, pid):
    argv = ["taskset", "-c", LOAD_CORE, which("h2load"), "-t1", f"-c{CONNECTIONS}", f"-m{STREAMS}", f"-D{seconds}",
            "--groups=X25519", url]
    before = cpu_ns(pid)
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    used = cpu_ns(pid) - before
    done = int(re.search(r"(\d+) succeeded", text).group(1))
    bad = [int(n) for n in re.findall(r"(\d+) (?:failed|errored|timeout)", text)]
    if not done or any(bad) or int(re.search(r"(\d+) 2xx", text).group(1)) < done or "h2" not in text:
        raise RuntimeError(f"unexpected answers from {url}:\n{text}")
    return used / 1000 / done, done / seconds


def hits(server, port, protocol, seconds):
    url = f"https://127.0.0.1:{port}/1k"
    if protocol == "h2":
        return h2_hits(url, seconds, server.pid)
    result = wrk(url, CONNECTIONS, seconds, pid=server.pid)
    if result["errors"]:
        raise RuntimeError(f"{result['errors']} errors from {url}")
    return result["cpu_us"], result["rate"]


def measure(args, server, _name, port):
    wrk(f"https://127.0.0.1:{port}/1k", 8, 1)
    for what, (groups, how) in SHAKES.items():
        if args.only in what:
            yield what, *shakes(server, port, groups, how, args.seconds)
    for what, protocol in HITS.items():
        if args.only in what:
            yield what, *hits(server, port, protocol, args.seconds)


def report(results, args):
    rows = []
    for (what, name), (cpu_us, rate) in sorted(results.items(), key=lambda item: list({**SHAKES, **HITS}).index(item[0][0])):
        ours = results[what, "skerry"][0]
        rows.append([what, name, f"{cpu_us:.1f}", f"{1e6 / cpu_us:.0f}", f"{ours / cpu_us:.2f}", f"{rate:.0f}"])
    text = f"""## TLS

`dev/bench tls`, {datetime.date.today()}, {machine()}. TLS 1.3 with one ECDSA P-256 certificate, OpenSSL of Debian 13
under all, one worker thread a server on one core, the clients on the other; the median of {args.turns} turns. CPU is user
and system time of the server's own processes. A handshake is a connection from accept to close: nothing is asked on
it. Hits: wrk with {CONNECTIONS} connections; h2load with {CONNECTIONS} of {STREAMS} streams. "Skerry / it" below 1 means
that Skerry costs less.

""" + table(["what", "server", "CPU us each", "a second and core", "Skerry / it", "seen a second"], rows)
    publish("tls", text)


def main():
    parser = options("dev/bench tls", __doc__, SERVERS)
    parser.add_argument("--only", default="", help="lines that contain this text")
    args = parser.parse_args()
    results = medians(args, SERVERS, {"1k": 1024}, functools.partial(measure, args))
    tell_behind(results)
    if args.publish:
        report(results, args)
        print("wrote docs/benchmarks.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
