"""dev/bench dns: what a query costs, in CPU microseconds of the server's own processes, for Skerry and other name
servers: the same zone, static and routed, with and without client subnet, signed; one run, one core each."""

import argparse
import contextlib
import datetime
import random
import re
import shutil
import struct
import subprocess
import sys

from lib.dns_peers import DNS_PEERS, NAMES, SITES, ZONE, networks
from lib.processes import LOAD_CORE, cpu_ns, free_port, workdir, which
from lib.report import machine, publish, table

A, IN, OPT, ECS = 1, 1, 41, 8
QUERIES = 20_000
# What is asked, and who can answer it.
SCENARIOS = {
    "static": {"skerry", "gdnsd", "knot", "nsd", "powerdns"},
    "missing": {"skerry", "gdnsd", "knot", "nsd", "powerdns"},
    "routed": {"skerry", "gdnsd", "knot", "powerdns"},
    "routed-ecs": {"skerry", "gdnsd", "knot", "powerdns"},
    "static-do": {"skerry", "skerry-signed"},
    "routed-do": {"skerry", "skerry-signed"},
}


def wire_name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


def query(name, option=b"", edns=False, dnssec_ok=False):
    data = struct.pack("!6H", 0, 0x0100, 1, 0, 0, 1 if edns else 0) + wire_name(name) + struct.pack("!2H", A, IN)
    if edns:
        data += b"\0" + struct.pack("!2HIH", OPT, 1232, 0x8000 if dnssec_ok else 0, len(option)) + option
    return data


def subnet(rng):
    """A /24 of one of the networks, as RFC 7871 writes it."""
    first, second = 20 + rng.randrange(16), rng.randrange(256)
    return struct.pack("!HHHBB", ECS, 7, 1, 24, 0) + bytes([first, second, rng.randrange(256)])


def queries(scenario, rng):
    do = scenario.endswith("-do")
    for _ in range(QUERIES):
        if scenario.startswith("static"):
            yield query(f"h{rng.randrange(NAMES)}.{ZONE}", edns=do, dnssec_ok=do)
        elif scenario == "missing":
            yield query(f"x{rng.randrange(10**9)}.{ZONE}")
        elif scenario == "routed-ecs":
            yield query(f"www.{ZONE}", subnet(rng), edns=True)
        else:
            yield query(f"www.{ZONE}", edns=do, dnssec_ok=do)


def dnsperf(file, port, seconds, pid, clients, outstanding):
    before = cpu_ns(pid)
    out = subprocess.run(["taskset", "-c", LOAD_CORE, which("dnsperf"), "-B", "-d", str(file), "-s", "127.0.0.1",
                          "-p", str(port), "-l", str(seconds), "-c", str(clients), "-q", str(outstanding), "-T", "1"],
                         capture_output=True, text=True, timeout=seconds + 30, check=True).stdout
    used = cpu_ns(pid) - before

    def number(pattern):
        return float(re.search(pattern, out).group(1))
    done = number(r"Queries completed:\s+(\d+)")
    return {"cpu_us": used / 1e3 / max(done, 1), "rate": number(r"Queries per second:\s+([\d.]+)"),
            "lost": number(r"Queries lost:\s+(\d+)"), "latency_ms": number(r"Average Latency \(s\):\s+([\d.]+)") * 1e3}


def check(port, routed):
    """A server that answers something else is not compared."""
    def ask(name, option=b""):
        import socket
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            s.sendto(query(name, option, edns=bool(option)), ("127.0.0.1", port))
            return s.recv(4096)
    assert bytes([192, 0, 2, 8]) in ask(f"h7.{ZONE}"), "wrong static answer"
    if not routed:
        return
    for net, code in list(networks().items())[:8]:
        ip = bytes(map(int, net.split("/")[0].split(".")))
        option = struct.pack("!HHHBB", ECS, 7, 1, 24, 0) + ip[:3]
        expected = bytes(map(int, SITES[code].split(".")))
        assert expected in ask(f"www.{ZONE}", option), f"wrong routed answer for {net}"


def start(name, folder, stack):
    port = free_port()
    server = stack.enter_context(DNS_PEERS[name](port, folder))
    check(port, name in SCENARIOS["routed"])
    return server.pid, port


def measure(scenario, servers, args, file):
    """{name: its median round}. The servers take turns, so that what the machine does meanwhile meets all of them."""
    rounds = {name: [] for name in servers if name in SCENARIOS[scenario]}
    for number in range(args.rounds + 1):  # the first one warms up
        for name, done in rounds.items():
            pid, port = servers[name]
            result = dnsperf(file, port, args.seconds if number else 1, pid, args.clients, args.outstanding)
            if number:
                done.append(result)
    for name, done in rounds.items():
        done.sort(key=lambda result: result["cpu_us"])
        result = rounds[name] = done[len(done) // 2]
        print(f"  {scenario:11} {name:14} {result['cpu_us']:7.2f} us CPU ({done[0]['cpu_us']:.2f} to "
              f"{done[-1]['cpu_us']:.2f}), {result['rate']:8.0f}/s, {result['latency_ms']:.2f} ms, "
              f"{result['lost']:.0f} lost", flush=True)
    return rounds


def report(results, args):
    rows = []
    for scenario in args.scenarios:
        for name, r in results[scenario].items():
            own = results[scenario].get("skerry")
            rows.append([scenario, name, f"{r['cpu_us']:.2f}", f"{own['cpu_us'] / r['cpu_us']:.2f}" if own else "",
                         f"{r['rate']:.0f}", f"{r['latency_ms']:.2f}", f"{r['lost']:.0f}"])
    text = f"""## DNS queries

`dev/bench dns`, {datetime.date.today()}, {machine()}. One thread a server on one core, dnsperf on the other
({args.clients} clients, {args.outstanding} queries outstanding), UDP over loopback, no rate limits; the servers
take turns, {args.rounds} rounds of {args.seconds} s each, and the median counts. CPU is user and system
time of the server's own processes. "Skerry / it" below 1 means that Skerry costs less. `static`: 1,000 names; `missing`:
names that do not exist; `routed`: a name whose answer follows the client's network (1,024 networks, 4 sites), by the
resolver's address and with `-ecs` by client subnet; `-do`: with DNSSEC asked for.

""" + table(["what", "server", "CPU us/query", "Skerry / it", "queries/s", "mean ms", "lost"], rows)
    publish("dns", text)


def main():
    parser = argparse.ArgumentParser(prog="dev/bench dns", description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="of each round (default 5)")
    parser.add_argument("--rounds", type=int, default=5, help="of each server and question (default 5)")
    parser.add_argument("--servers", default=",".join(DNS_PEERS), help="comma-separated (default all)")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="comma-separated (default all)")
    parser.add_argument("--clients", type=int, default=16, help="sockets (default 16)")
    parser.add_argument("--outstanding", type=int, default=200, help="queries under way (default 200)")
    parser.add_argument("--no-publish", dest="publish", action="store_false", help="leave docs/benchmarks.md alone")
    args = parser.parse_args()
    args.scenarios = args.scenarios.split(",")
    folder, results = workdir(), {}
    try:
        files = {}
        for scenario in args.scenarios:
            files[scenario] = folder / f"{scenario}.queries"
            rng = random.Random(scenario)
            files[scenario].write_bytes(b"".join(struct.pack("!H", len(q)) + q for q in queries(scenario, rng)))
        with contextlib.ExitStack() as stack:
            servers = {name: start(name, folder, stack) for name in args.servers.split(",")}
            for scenario in args.scenarios:
                results[scenario] = measure(scenario, servers, args, files[scenario])
    finally:
        shutil.rmtree(folder)
    if args.publish and "skerry" in servers:
        report(results, args)
        print("wrote docs/benchmarks.md")
    if any(r["rate"] == 0 for cells in results.values() for r in cells.values()):
        sys.exit("a server did not answer: see above")


if __name__ == "__main__":
    main()
