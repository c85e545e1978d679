"""Writes a benchmark's table into docs/benchmarks.md, between its two marks, and leaves the rest alone."""

import os
import pathlib
import platform
import re

TOP = pathlib.Path(__file__).resolve().parents[2]
PAGE = TOP / "docs" / "benchmarks.md"


def processor_times():
    """Clock ticks of the whole machine since its start: all of them, and those that its host gave to others."""
    times = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(times), times[7]


STARTED = processor_times()


def machine():
    """What the figures are of. Time stolen by the machine's host shows in latencies, not in CPU figures."""
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    total, stolen = (now - then for now, then in zip(processor_times(), STARTED))
    text = f"{os.cpu_count()} cores of {model.group(1) if model else platform.machine()}, Linux {platform.release()}"
    share = 100 * stolen / max(total, 1)
    return text + (f", {share:.1f} % of their time taken by the host" if share >= 0.5 else "")


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def publish(name, text):
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    page = PAGE.read_text() if PAGE.exists() else "# Benchmarks\n"
    if begin not in page:
        page = f"{page.rstrip()}\n\n{begin}\n{end}\n"
    head, rest = page.split(begin, 1)
    tail = rest.split(end, 1)[1]
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(f"{head}{begin}\n{text.strip()}\n{end}{tail}")
