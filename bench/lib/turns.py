"""Servers measured one after the other, several times over, so that what the machine does meanwhile meets them all."""

import argparse
import shutil
import statistics

from lib.peers import origin
from lib.processes import free_port, workdir


def options(prog, text, servers):
    parser = argparse.ArgumentParser(prog=prog, description=text)
    parser.add_argument("--seconds", type=int, default=4, help="of each cell (default 4)")
    parser.add_argument("--turns", type=int, default=3, help="of all servers one after the other (default 3)")
    parser.add_argument("--servers", default=",".join(servers), help="comma-separated (default all)")
    parser.add_argument("--no-publish", dest="publish", action="store_false", help="leave docs/benchmarks.md alone")
    return parser


def medians(args, servers, objects, measure):
    """{(line, server): (median of CPU microseconds, median of the rate, ...)}. MEASURE gets a running server, its name
    and its port, and yields (line, microseconds, rate) with whatever else is to have a median, of which the first is
    the user space's part of the microseconds; OBJECTS are the origin's, names with their sizes."""
    turns = {}
    for _ in range(args.turns):
        for name in args.servers.split(","):
            folder = workdir()
            try:
                origin_port, port = free_port(), free_port()
                with origin(origin_port, folder, objects), servers[name](port, origin_port, folder) as server:
                    for line, cpu_us, rate, *more in measure(server, name, port):
                        turns.setdefault((line, name), []).append((cpu_us, rate, *more))
                        user = f" ({more[0]:.1f} in user space)" if more else ""
                        print(f"  {name:8} {line:36} {cpu_us:10.1f} us CPU{user}, {rate:9.1f}/s", flush=True)
            finally:
                shutil.rmtree(folder)
    return {key: tuple(statistics.median(column) for column in zip(*values)) for key, values in turns.items()}


def tell_behind(results):
    """Names each line on which Skerry costs more than a peer."""
    for (line, name), (cpu_us, *_) in results.items():
        ours = results.get((line, "skerry"))
        if name != "skerry" and ours and ours[0] >= cpu_us:
            print(f"  behind {name}: {line}, {ours[0]:.1f} to {cpu_us:.1f} us")
