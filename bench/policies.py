"""dev/bench policies: the cache's eviction policies on request traces, one tier and both, by misses and speed."""

import argparse
import datetime
import pathlib
import re
import subprocess
import sys

from lib.processes import micro
from lib.report import TOP, machine, publish, table

SHARES = {"1": "0.1 %", "10": "1 %", "100": "10 %"}  # per mille of the footprint


# What the best of the simple policies (LRU, SIEVE, S3-FIFO, W-TinyLFU, GDSF, LHD) misses with 1 % of the footprint, as
# the traces' own README tells: of objects, of bytes.
BEST = {"w1h": (0.162, 0.287), "d1": (0.500, 0.618), "v": (0.427, 0.254), "bu98": (0.712, 0.742),
        "nasa0709": (0.297, 0.780), "web12": (0.567, None)}
ADMIT = re.search(r"DISK_ADMIT_DEFAULT (\d+)", (TOP / "src/cache/disk_policy.h").read_text()).group(1)


def replay(trace, program, *arguments):
    """The rows of figures that a program has for one trace."""
    unpacked = subprocess.Popen(["zstd", "-qdc", "--long=27", trace], stdout=subprocess.PIPE)
    text = subprocess.run([micro(program), *arguments], stdin=unpacked.stdout, capture_output=True, text=True,
                          check=True).stdout
    if unpacked.wait():
        sys.exit(f"cannot unpack {trace}")
    return [line.split() for line in text.splitlines()]


def show(rows):
    print("  ".join(f"{cell:>8}" for cell in rows[-1]), flush=True)


def compared(share, value, best):
    """VALUE beside the best simple policy's, where that is known."""
    return f"{float(value) / best:.2f}" if share == "10" and best else ""


def one_tier(traces):
    rows = []
    for trace in traces:
        name = trace.name.removesuffix(".cdt.zst")
        for policy, share, objects, size, rate in replay(trace, "policies", "all", *SHARES):
            rows.append([name, SHARES[share], policy, f"{float(objects):.3f}", compared(share, objects, BEST[name][0]),
                         f"{float(size):.3f}", f"{float(rate) / 1e6:.1f}"])
            show(rows)
    return table(["trace", "cache", "policy", "object misses", "x best", "byte misses", "million decisions/s"], rows)


def two_tiers(traces):
    rows = []
    for trace in traces:
        name = trace.name.removesuffix(".cdt.zst")
        for admit in (ADMIT, "0"):
            for share, ram, size, written, rate in replay(trace, "tiers", admit, *SHARES):
                rows.append([name, SHARES[share], admit, f"{float(size):.3f}", compared(share, size, BEST[name][1]),
                             f"{float(ram):.3f}", f"{float(written):.3f}", f"{float(rate) / 1e6:.1f}"])
                show(rows)
    return table(["trace", "SSD", "admit", "byte misses", "x best", "RAM's object misses", "bytes written/served",
                  "million decisions/s"], rows)


def main():
    parser = argparse.ArgumentParser(prog="dev/bench policies", description=__doc__)
    parser.add_argument("--traces", type=pathlib.Path, default=TOP.parent / "shared" / "traces",
                        help="folder of *.cdt.zst files (default %(default)s)")
    parser.add_argument("--no-publish", dest="publish", action="store_false", help="leave docs/benchmarks.md alone")
    args = parser.parse_args()
    traces = sorted(args.traces.glob("*.cdt.zst"))
    if not traces:
        sys.exit(f"no *.cdt.zst in {args.traces}; see --traces")
    text = f"""## Eviction policies

`dev/bench policies`, {datetime.date.today()}, {machine()}. The policies as the cache runs them, on request traces; the
cache holds a share of the trace's footprint; what is larger than half of it passes through, as by default. "x best" is the multiple of what the best simple policy misses with 1 %
of it. Decisions a second are of processor time. RAM is judged by object misses (latency); GDSF is what ships.

{one_tier(traces)}

Both tiers: the SSD holds that share and RAM a tenth of it. The SSD is judged by byte misses (origin traffic). "admit" is
the share of what was asked for once that is stored (`disk.admit`, {ADMIT} by default); 0 writes least.

{two_tiers(traces)}
"""
    if args.publish:
        publish("policies", text)
        print("wrote docs/benchmarks.md")


if __name__ == "__main__":
    main()
