"""dev/bench idle: what a connection costs a server that has nothing to do with it: memory a connection, over TCP, TLS,
HTTP/2 and HTTP/3, after the handshake and after one request."""

import argparse
import datetime
import resource
import shutil
import time

from lib import tls_peers
from lib.peers import origin
from lib.processes import free_port, resident_bytes, workdir
from lib.report import machine, publish, table

SERVERS = {"skerry": tls_peers.skerry, "nginx": tls_peers.nginx, "haproxy": tls_peers.haproxy}
KINDS = {"HTTP/1.1": ("h1", False), "HTTP/1.1, after a request": ("h1", True), "HTTP/2": ("h2", False),
         "HTTP/2, after a request": ("h2", True)}
QUIC = {"HTTP/3": ("h3", False), "HTTP/3, after a request": ("h3", True)}
QUIC_SERVERS = {"skerry": tls_peers.skerry, "nginx": tls_peers.nginx_h3}
PLAIN = {"HTTP/1.1 without TLS": ("plain", False), "HTTP/1.1 without TLS, after a request": ("plain", True)}


def hold(port, count, protocol, asked):
    path = ["/1k"] if asked else []
    if protocol == "h3":
        return tls_peers.h3_clients("hold", port, count, *path)
    return tls_peers.clients("hold", port, count, protocol, *path)


def measure(start, origin_port, folder, kind, count):
    """Bytes of the server's memory a connection, and how many there were."""
    protocol, asked = kind
    port = free_port()
    with start(port, origin_port, folder) as server:
        with hold(port, 200, protocol, asked) as warm:  # what is set up once is no connection's
            warm.stdout.readline()
            warm.stdin.close()
        time.sleep(3)
        before = resident_bytes(server.pid)
        with hold(port, count, protocol, asked) as held:
            words = held.stdout.readline().split()
            time.sleep(3)
            after = resident_bytes(server.pid)
            held.stdin.close()
    there = int(words[1])
    if there < count or words[3] != "0":
        raise RuntimeError(f"{there} of {count} connections, {words[3]} failed")
    return (after - before) / there


def report(results, count):
    rows = [[name, what, f"{cost / 1024:.1f}"] for (name, what), cost in results.items()]
    text = f"""## Idle connections

`dev/bench idle`, {datetime.date.today()}, {machine()}. {count:,} connections that are open and say nothing; KiB are
the growth of the server's own memory (proportional set size) a connection, without the kernel's sockets. TLS 1.3
with X25519MLKEM768. "After a request": each has had one hit of 1 KB.

""" + table(["server", "connection", "KiB each"], rows)
    publish("idle", text)


def main():
    parser = argparse.ArgumentParser(prog="dev/bench idle", description=__doc__)
    parser.add_argument("--count", type=int, default=20000, help="connections (default 20000, less where the limit of "
                                                                 "open files is lower)")
    parser.add_argument("--servers", default=",".join(SERVERS))
    parser.add_argument("--only", default="", help="kinds that contain this text")
    parser.add_argument("--no-publish", dest="publish", action="store_false", help="leave docs/benchmarks.md alone")
    args = parser.parse_args()
    count = min(args.count, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 100)
    folder = workdir()
    results = {}
    try:
        origin_port = free_port()
        with origin(origin_port, folder, {"1k": 1024}):
            for name in args.servers.split(","):
                kinds = {what: (SERVERS[name], kind) for what, kind in KINDS.items()}
                kinds.update({what: (QUIC_SERVERS[name], kind) for what, kind in QUIC.items() if name in QUIC_SERVERS})
                if name == "skerry":
                    kinds.update({what: (tls_peers.skerry_plain, kind) for what, kind in PLAIN.items()})
                for what, (start, kind) in kinds.items():
                    if args.only not in what:
                        continue
                    results[name, what] = cost = measure(start, origin_port, folder, kind, count)
                    print(f"  {name:8} {what:40} {cost / 1024:7.1f} KiB a connection", flush=True)
    finally:
        shutil.rmtree(folder)
    if args.publish:
        report(results, count)
        print("wrote docs/benchmarks.md")


if __name__ == "__main__":
    main()
