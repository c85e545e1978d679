"""dev/bench fleet: how long a purge takes from control's answer until it is in force on every edge of a fleet under load."""

import argparse
import contextlib
import datetime
import json
import pathlib
import shutil
import subprocess
import sys
import time

from lib.admin import HOST, PURGES, Admin
from lib.processes import Running, cpu_ns, free_port, wait_for_port, which, workdir
from lib.report import TOP, machine, publish, table

SKERRY = str(TOP / "build/release/skerry")
LOADCLIENT = str(TOP / "build/release/tests/tools/loadclient/loadclient")
ALL_CORES = "0-1023"
CONTROL = """
fleet: bench
listen: 127.0.0.1:{port}
admin: unix:{folder}/control.sock
state: {folder}/control
log_level: warn
"""
EDGE = """
listen: 127.0.0.1:{port}
admin: unix:{folder}/e{i}.sock
memory: {memory}MiB
threads: 1
log_level: warn
fleet: {{state: {folder}/n{i}, bus: "unix:{folder}/control/valkey/valkey.sock"}}
"""
SITES = """
sites:
  - {{name: bench, hosts: [{host}, none.{host}], origin: "http://127.0.0.1:{origin}"}}
  - {{name: none, hosts: [never.{host}], origin: "http://127.0.0.1:{origin}"}}
"""
ORIGIN = """
daemon off;
worker_processes 1;
error_log /dev/null;
pid {folder}/origin.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ add_header Cache-Control "max-age=86400"; add_header Surrogate-Key "all"; return 200 "{body}"; }}
  }}
}}
"""
KINDS = {
    "url": lambda i: {"url": f"http://{HOST}/o/{i % 100}"},
    **PURGES,
    "site": lambda i: {"site": "none"},
    "all, soft": lambda i: {"all": True, "soft": True},
}


def until(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"waited in vain for {what}")
        time.sleep(0.1)


def join(control, url, folder, i, pop):
    token = control.json("POST", f"/invitations?role=edge&pop={pop}")["token"]
    subprocess.run([SKERRY, "join", url, token, "--state", f"{folder}/n{i}", "--name", f"e{i}"], check=True,
                   stdout=subprocess.DEVNULL)


def start_edge(stack, args, folder, i):
    port = free_port()
    file = folder / f"e{i}.yaml"
    file.write_text(EDGE.format(port=port, folder=folder, i=i, memory=args.memory))
    edge = stack.enter_context(Running([SKERRY, "edge", "-c", str(file)], core=ALL_CORES, log=folder / f"e{i}.log"))
    return port, edge


@contextlib.contextmanager
def fleet(args, folder):
    with contextlib.ExitStack() as stack:
        origin_port, port = free_port(), free_port()
        (folder / "origin.conf").write_text(ORIGIN.format(folder=folder, port=origin_port, body="x" * 1000))
        origin = stack.enter_context(Running([which("nginx"), "-p", str(folder), "-c", str(folder / "origin.conf")],
                                             core=ALL_CORES))
        wait_for_port(origin_port, origin)
        (folder / "control.yaml").write_text(CONTROL.format(folder=folder, port=port))
        running = stack.enter_context(Running([SKERRY, "control", "-c", str(folder / "control.yaml")], core=ALL_CORES,
                                              log=folder / "control.log"))
        wait_for_port(port, running)
        control = Admin(folder / "control.sock")
        until("control", lambda: (folder / "control.log").read_text().count("ready"))
        control.ask("POST", "/configuration", SITES.format(host=HOST, origin=origin_port))
        edges = []
        for i in range(args.edges):
            join(control, f"https://127.0.0.1:{port}", folder, i, f"p{i % 5}")
            edges.append(start_edge(stack, args, folder, i))
        until("the configuration at all of them", lambda: sum(
            node["configuration"] for node in control.json("GET", "/nodes")["nodes"]) >= args.edges)
        until("all of them on the bus",
              lambda: control.json("POST", "/purge?wait_ms=5000", {"tag": "first"})["living"] == args.edges)
        yield control, running, edges


@contextlib.contextmanager
def load(args, folder, edges):
    """A share of the load for each edge; afterwards the list it gives holds what each of them says."""
    targets = folder / "targets"
    targets.write_text("".join(f"/o/{i}\n" for i in range(100)))
    clients, totals = [], []
    for port, _ in edges if args.rate else []:
        clients.append(subprocess.Popen([LOADCLIENT, "--connections=1", f"--rate={args.rate / len(edges)}", f"--host={HOST}",
                                         f"--file={targets}", "127.0.0.1", str(port)], stdout=subprocess.PIPE, text=True))
    try:
        yield totals
    finally:
        for client in clients:
            client.terminate()
        for client in clients:
            totals.extend(json.loads(line) for line in client.communicate()[0].splitlines() if '"total"' in line)


def purge_all_kinds(control, args):
    took = {}
    for kind, make in KINDS.items():
        took[kind] = times = []
        for i in range(args.purges):
            answer = control.json("POST", "/purge?wait_ms=10000", make(i))
            if answer["living"] != args.edges or answer["behind"]:
                sys.exit(f"not everywhere: {answer}")
            times.append(answer["applied_ms"])
            time.sleep(args.pause / 1000)
        times.sort()
        print(f"  {kind}: p50 {times[len(times) // 2]:.1f}, p99 {times[len(times) * 99 // 100]:.1f} ms", flush=True)
    return took


def measure(args, folder):
    with fleet(args, folder) as (control, running, edges):
        with load(args, folder, edges) as totals:
            time.sleep(1)
            before, began = [cpu_ns(edge.pid) for _, edge in edges], cpu_ns(running.pid)
            took = purge_all_kinds(control, args)
            count = args.purges * len(KINDS)
            cpu = [(cpu_ns(edge.pid) - was) / count / 1e3 for (_, edge), was in zip(edges, before)]
            of_control = (cpu_ns(running.pid) - began) / count / 1e3
        print(f"  CPU a purge: {sum(cpu) / len(cpu):.0f} us an edge (its load and what it tells each second too), "
              f"{of_control:.0f} us control with its Valkey", flush=True)
        return took, totals


def report(args, took, totals):
    rows = []
    for kind, times in [*took.items(), ("together", sorted(sum(took.values(), [])))]:
        rows.append([kind, len(times), *(f"{times[min(int(len(times) * part), len(times) - 1)]:.1f}"
                                         for part in (0.5, 0.9, 0.99, 1.0))])
    requests, failed = sum(total["ok"] for total in totals), sum(total["failed"] for total in totals)
    pause = f", {args.pause} ms between two" if args.pause else ", one after the other"
    return f"""## Purges of a fleet

`dev/bench fleet`, {datetime.date.today()}, {machine()}. {args.edges} edges, control and Valkey on one machine; clients
ask for {args.rate} requests a second meanwhile, spread over all edges ({requests:,} in all, {failed} failed). Milliseconds
from the moment that control answers until every edge has told that it has applied the purge{pause}.

{table(["kind", "purges", "p50 ms", "p90", "p99", "max"], rows)}
"""


def main():
    parser = argparse.ArgumentParser(prog="dev/bench fleet", description=__doc__)
    parser.add_argument("--edges", type=int, default=50)
    parser.add_argument("--purges", type=int, default=1000, help="of each kind (default 1000)")
    parser.add_argument("--rate", type=int, default=1000, help="requests a second over all edges (default 1000)")
    parser.add_argument("--memory", type=int, default=8, help="of each edge's cache in MiB (default 8)")
    parser.add_argument("--pause", type=int, default=0, help="milliseconds between two purges (default 0)")
    parser.add_argument("--no-publish", dest="publish", action="store_false", help="leave docs/benchmarks.md alone")
    args = parser.parse_args()
    folder = pathlib.Path(workdir())
    try:
        folder.chmod(0o700)
        text = report(args, *measure(args, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(text)
    if args.publish:
        publish("fleet", text)


if __name__ == "__main__":
    main()
