"""dev/bench policies: the cache's eviction policies on request traces, by object and byte misses, and their speed."""

import argparse
import datetime
import pathlib
import subprocess
import sys

from lib.report import TOP, machine, publish, table

PROGRAM = TOP / "build" / "release" / "bench" / "micro" / "bench_policies"
SHARES = {"1": "0.1 %", "10": "1 %", "100": "10 %"}  # per mille of the footprint


def replay(trace, shares):
    """Rows [policy, share in per mille, object misses, byte misses, decisions a second] of one trace."""
    unpacked = subprocess.Popen(["zstd", "-qdc", "--long=27", trace], stdout=subprocess.PIPE)
    text = subprocess.run([PROGRAM, "all", *shares], stdin=unpacked.stdout, capture_output=True, text=True,
                          check=True).stdout
    if unpacked.wait():
        sys.exit(f"cannot unpack {trace}")
    return [line.split() for line in text.splitlines()]


def main():
    parser = argparse.ArgumentParser(prog="dev/bench policies", description=__doc__)
    parser.add_argument("--traces", type=pathlib.Path, default=TOP.parent / "shared" / "traces",
                        help="folder of *.cdt.zst files (default %(default)s)")
    parser.add_argument("--no-publish", dest="publish", action="store_false", help="leave docs/benchmarks.md alone")
    args = parser.parse_args()
    traces = sorted(args.traces.glob("*.cdt.zst"))
    if not traces:
        sys.exit(f"no *.cdt.zst in {args.traces}; see --traces")
    subprocess.run(["ninja", "-C", TOP / "build" / "release", "bench/micro/bench_policies"], check=True,
                   stdout=subprocess.DEVNULL)
    rows = []
    for trace in traces:
        for policy, share, objects, size, rate in replay(trace, SHARES):
            rows.append([trace.name.removesuffix(".cdt.zst"), SHARES[share], policy, f"{float(objects):.3f}",
                         f"{float(size):.3f}", f"{float(rate) / 1e6:.1f}"])
            print("  ".join(f"{cell:>8}" for cell in rows[-1]), flush=True)
    if args.publish:
        publish("policies", f"""## Eviction policies

`dev/bench policies`, {datetime.date.today()}, {machine()}. The policies as the cache runs them, on request traces;
the cache holds a share of the trace's footprint. RAM is judged by object misses (latency); GDSF is what ships.

""" + table(["trace", "cache", "policy", "object misses", "byte misses", "million decisions/s"], rows))
        print("wrote docs/benchmarks.md")


if __name__ == "__main__":
    main()
