"""dev/bench tls: TLS 1.3 in CPU microseconds of the server's own processes: full handshakes (ECDSA P-256, classical and
hybrid), resumed ones, and 1 KB hits over HTTP/1.1 and HTTP/2, for Skerry and its peers in one run."""

import argparse
import datetime
import re
import shutil
import statistics
import subprocess
import sys

from lib import tls_peers
from lib.load import wrk
from lib.peers import origin
from lib.processes import LOAD_CORE, cpu_ns, free_port, which, workdir
from lib.report import machine, publish, table

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


def measure(name, origin_port, folder, args, turns):
    """Appends this turn's (microseconds, rate) of each line."""
    port = free_port()
    with SERVERS[name](port, origin_port, folder) as server:
        wrk(f"https://127.0.0.1:{port}/1k", 8, 1)
        for what, (groups, how) in SHAKES.items():
            if args.only in what:
                turns.setdefault((what, name), []).append(shakes(server, port, groups, how, args.seconds))
        for what, protocol in HITS.items():
            if args.only in what:
                turns.setdefault((what, name), []).append(hits(server, port, protocol, args.seconds))
    for (what, who), values in turns.items():
        if who == name:
            print(f"  {name:8} {what:36} {values[-1][0]:8.1f} us CPU, {values[-1][1]:8.0f}/s", flush=True)


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
    parser = argparse.ArgumentParser(prog="dev/bench tls", description=__doc__)
    parser.add_argument("--seconds", type=int, default=4, help="of each cell (default 4)")
    parser.add_argument("--turns", type=int, default=3, help="of all servers one after the other (default 3)")
    parser.add_argument("--servers", default=",".join(SERVERS), help="comma-separated (default all)")
    parser.add_argument("--only", default="", help="lines that contain this text")
    parser.add_argument("--no-publish", dest="publish", action="store_false", help="leave docs/benchmarks.md alone")
    args = parser.parse_args()
    turns = {}
    for _ in range(args.turns):
        for name in args.servers.split(","):
            folder = workdir()
            try:
                origin_port = free_port()
                with origin(origin_port, folder, {"1k": 1024}):
                    measure(name, origin_port, folder, args, turns)
            finally:
                shutil.rmtree(folder)
    results = {key: (statistics.median(v[0] for v in values), statistics.median(v[1] for v in values))
               for key, values in turns.items()}
    for (what, name), (cpu_us, _) in results.items():
        if name != "skerry" and (what, "skerry") in results and results[what, "skerry"][0] >= cpu_us:
            print(f"  behind {name}: {what}, {results[what, 'skerry'][0]:.1f} to {cpu_us:.1f} us")
    if args.publish:
        report(results, args)
        print("wrote docs/benchmarks.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
