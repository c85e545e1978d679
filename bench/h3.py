"""dev/bench h3: HTTP/3 in CPU microseconds of the server's own processes: hits of 1 KB and transfers of 1 MB and 16 MB,
for Skerry, nginx and Caddy in one run."""

import datetime
import functools
import sys

from lib import tls_peers
from lib.processes import cpu_ns, cpu_shares_ns
from lib.report import machine, publish, table
from lib.turns import medians, options, tell_behind

SERVERS = {"skerry": tls_peers.skerry, "nginx": tls_peers.nginx_h3, "caddy": tls_peers.caddy}
# What: path, size, connections, streams on each at a time.
LINES = {"1 KB": ("/1k", 1024, 16, 10), "1 MB": ("/1m", 1 << 20, 4, 2), "16 MB": ("/16m", 16 << 20, 2, 1)}


def load(port, seconds, what):
    """Requests done, and the seconds they took."""
    path, size, connections, streams = LINES[what]
    with tls_peers.h3_clients("hits", port, seconds, connections, streams, path) as clients:
        words = clients.stdout.read().split()
    done, failed, received = int(words[1]), int(words[3]), int(words[5])
    if failed or not done or received < done * size:
        raise RuntimeError(f"unexpected answers for {path}: " + " ".join(words))
    return done, float(words[7])


def measure(args, server, _name, port):
    for what in LINES:
        if args.only and args.only != what:
            continue
        load(port, 1, what)
        before, parts = cpu_ns(server.pid), cpu_shares_ns(server.pid)
        done, seconds = load(port, args.seconds, what)
        cpu_us = (cpu_ns(server.pid) - before) / 1000 / done
        user, system = (after - then for after, then in zip(cpu_shares_ns(server.pid), parts))
        yield what, cpu_us, done / seconds, cpu_us * user / (user + system)


def report(results, args):
    rows = []
    for (what, name), (cpu_us, rate, user_us) in sorted(results.items(), key=lambda item: list(LINES).index(item[0][0])):
        path, size, connections, streams = LINES[what]
        rows.append([what, f"{connections} x {streams}", name, f"{cpu_us:.1f}", f"{user_us:.1f}",
                     f"{results[what, 'skerry'][0] / cpu_us:.2f}", f"{rate:.1f}", f"{size * rate / 1e6:.0f}"])
    text = f"""## HTTP/3

`dev/bench h3`, {datetime.date.today()}, {machine()}. One worker thread a server on one core, own clients (ngtcp2) on
the other, over loopback; the median of {args.turns} turns. CPU is user and system time of the server's own processes.
Skerry and nginx answer from their caches; Caddy, which has none, from files in memory. All use TLS_AES_128_GCM_SHA256,
datagrams of at most 1,452 bytes and trains of them (GSO). Congestion is each server's own: Skerry's is CUBIC with pacing,
nginx's and Caddy's are NewReno's kind. "Skerry / it" below 1 means that Skerry costs less.

""" + table(["object", "connections x streams", "server", "CPU us/request", "of it in user space",
             "Skerry / it", "requests/s", "MB/s"], rows)
    publish("h3", text)


def main():
    parser = options("dev/bench h3", __doc__, SERVERS)
    parser.add_argument("--only", default="", choices=["", *LINES])
    args = parser.parse_args()
    objects = {path[1:]: size for path, size, _, _ in LINES.values()}
    results = medians(args, SERVERS, objects, functools.partial(measure, args))
    tell_behind(results)
    if args.publish:
        report(results, args)
        print("wrote docs/benchmarks.md")


if __name__ == "__main__":
    sys.exit(main())
