"""A world in a box: PoPs on all continents as real edges, real routers, clients that come over ways as long as in the real
world. See dev/demo --help."""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "dev/lib/demo"))

import net  # noqa: E402
import parts  # noqa: E402
import phases  # noqa: E402
from geography import World  # noqa: E402
from nodes import Nodes  # noqa: E402


def read_arguments():
    parser = argparse.ArgumentParser(prog="dev/demo --world", description="A world in a box.")
    parser.add_argument("--once", action="store_true", help="short; exit code 0 when the report is as it should be")
    parser.add_argument("--minutes", type=float, help="how long in all (with --once 4, else 20)")
    parser.add_argument("--pops", type=int, default=52, help="edges (52)")
    parser.add_argument("--networks", type=int, default=200, help="networks of clients (200)")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is diced (1)")
    parser.add_argument("--rate", type=float, default=400, help="requests a second (400)")
    parser.add_argument("--only", choices=["policies", "availability"], help="only this half")
    parser.add_argument("--report", type=Path, help="a file that gets the report too")
    options = parser.parse_args()
    options.minutes = options.minutes or (4 if options.once else 20)
    return options


def run(options, directory):
    """Complaints about what was seen; the report is printed."""
    build = TOP / "build" / os.environ.get("SKERRY_BUILD", "release")
    world = World(options.pops, options.networks, options.seed, options.rate)
    side = net.Net(world, build / "tests/tools/wan/wan", directory)
    nodes = Nodes(side, world, build, directory)
    try:
        nodes.start_edges()
        report, wrong = asyncio.run(phases.run_all(world, nodes, options))
    finally:
        ended = nodes.stop()
    print(report, flush=True)
    if options.report:
        options.report.write_text(report + "\n")
    return wrong + ended


def main():
    options = read_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = Path(tempfile.mkdtemp(prefix="skerry-world-"))
    wrong = []
    try:
        net.enter(directory)
        wrong = run(options, directory)
    except net.Unavailable as reason:
        print(f"dev/demo --world: {reason}; it needs network namespaces and /dev/net/tun", file=sys.stderr)
        return 77
    except KeyboardInterrupt:
        print()
    except parts.Failed as failure:
        wrong = [str(failure)]
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    for line in wrong:
        print(f"dev/demo --world: {line}", file=sys.stderr)
    if options.once and not wrong:
        print("dev/demo --world: all as it should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
