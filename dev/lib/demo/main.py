"""A running CDN on this machine, with something to look at: an origin with this project's own pages, an edge before it,
a small load, and live numbers. See dev/demo --help."""

import argparse
import hashlib
import http.client
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import fleet
import pages
import parts
import pictures

TOP = Path(__file__).resolve().parents[3]
LARGE = "large.bin"
LARGE_MIB = 100
PICTURES = 60
MEMORY = "512MiB"  # room for the large file, which may take a half of it at most


class Demo:
    def __init__(self, options):
        self.options = options
        self.directory = Path(tempfile.mkdtemp(prefix="skerry-demo-"))
        self.origin = self.edge = self.load = None

    def prepare(self):
        root = self.directory / "site"
        root.mkdir()
        self.root = root
        gallery = pictures.draw_all(root, PICTURES)
        pages.make_site(TOP, root, gallery)
        pictures.write_large(root / LARGE, LARGE_MIB)
        self.files = sorted(path.name for path in root.iterdir() if path.name != LARGE)
        # The load's favourites come first: pages, then the rest.
        self.files.sort(key=lambda name: (not name.endswith((".html", ".css")), name))
        targets = self.directory / "targets"
        targets.write_text("".join(f"/{name}\n" for name in self.files))
        return targets

    def start(self):
        targets = self.prepare()
        build = TOP / "build" / os.environ.get("SKERRY_BUILD", "release")
        self.origin, origin_port = parts.start_origin(self.directory, self.root)
        self.port = parts.free_port(self.options.port)
        self.edge, self.admin, self.log = parts.start_edge(build / "skerry", self.directory, origin_port, self.port, MEMORY)
        self.origin_port = origin_port
        self.load = parts.LoadClient(build / "tests/tools/loadclient/loadclient", self.port, targets, 16, self.options.rate)

    def stop(self):
        """All of it, in the order of a request's way; returns the edge's exit code."""
        if self.load:
            self.load.stop()
        code = parts.end(self.edge) if self.edge else None
        if self.origin:
            parts.end(self.origin, signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)
        return code

    def get(self, name, headers=None):
        """One request through the edge."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", f"/{name}", headers=headers or {})
            response = connection.getresponse()
            return response.status, response.getheader("Cache-Status") or "", response.read()
        finally:
            connection.close()


# --- numbers


def size(count):
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000


def share(part, whole):
    return 100 * part / whole if whole else 0.0


def figures(demo, entry):
    """What there is to tell now, as (name, text) pairs."""
    values = parts.metrics(demo.admin)
    requests, hits = values["skerry_requests_total"], values["skerry_cache_hits_total"]
    sent, fetched = values["skerry_client_sent_bytes_total"], values["skerry_origin_received_bytes_total"]
    return [
        ("requests", f"{entry['ok'] / entry['seconds']:6.0f}/s   {requests:.0f} in all, {entry['failed']} failed"),
        ("hit ratio", f"{share(hits, requests):6.2f} %   "
                      f"{values['skerry_origin_requests_total']:.0f} requests reached the origin"),
        ("latency", f"{entry['p50_us'] / 1000:6.2f} ms p50   {entry['p99_us'] / 1000:.2f} ms p99"),
        ("bytes", f"{size(sent):>9} sent, {size(fetched)} fetched: {share(sent - fetched, sent):.1f} % saved"),
        ("memory", f"{size(values['skerry_cache_used_bytes']):>9} of {size(values['skerry_cache_budget_bytes'])} hold "
                   f"{values['skerry_cache_objects']:.0f} objects"),
    ]


def show(demo, entry, first):
    rows = figures(demo, entry)
    if sys.stdout.isatty():
        if not first:
            print(f"\033[{len(rows)}A", end="")
        for name, text in rows:
            print(f"\033[K  {name:<10}{text}")
    else:
        print("  ".join(f"{name}: {' '.join(text.split())};" for name, text in rows))
    sys.stdout.flush()


def invite(demo):
    base, admin = f"http://127.0.0.1:{demo.port}", f"curl -s --unix-socket {demo.admin} http://localhost"
    lines = [
        (f"curl -sI {base}/ | grep -i -E 'cache-status|age'", "a hit, and how old it is"),
        (f"curl -s -o /dev/null -w '%{{time_total}} s\\n' {base}/{LARGE}", f"{LARGE_MIB} MiB: from memory the second time"),
        (f"curl -s -r 0-99 {base}/{LARGE} | wc -c", "a part of it"),
        (f"{admin}/health", "what it says of itself and its origin"),
        (f"{admin}/metrics | grep cache", "its counters"),
    ]
    print(f"\nSkerry is serving its own documentation at {base}/ (origin: nginx, port {demo.origin_port}). Try:\n")
    for command, comment in lines:
        print(f"  {command:<76} # {comment}")
    print("\nCtrl-C ends all of it.\n", flush=True)


def watch(demo):
    shown = 0
    while demo.edge.poll() is None:
        if len(demo.load.lines) > shown:
            show(demo, demo.load.lines[-1], shown == 0)
            shown = len(demo.load.lines)
        time.sleep(0.1)
    print(f"the edge ended by itself:\n{demo.log.read_text()[-3000:]}", file=sys.stderr)
    return 1


# --- once


def check(demo):
    """What a visitor would see, compared with the files. Returns a list of complaints."""
    wrong = []
    for name in [*demo.files, LARGE]:
        wanted = hashlib.sha256((demo.root / name).read_bytes()).hexdigest()
        for time_ in ("first", "second"):
            status, cached, body = demo.get(name)
            if status != 200 or hashlib.sha256(body).hexdigest() != wanted:
                wrong.append(f"/{name}: status {status}, {len(body)} bytes, not those of the file")
        if "; hit" not in cached:
            wrong.append(f"/{name}: the second answer was no hit: {cached}")
    status, _, body = demo.get(LARGE, {"Range": "bytes=50000000-50000099"})
    with open(demo.root / LARGE, "rb") as file:
        file.seek(50_000_000)
        if status != 206 or body != file.read(100):
            wrong.append(f"a range of /{LARGE}: status {status}, {len(body)} bytes, not those of the file")
    return wrong


def once(demo, seconds):
    wrong = check(demo)
    until = time.monotonic() + seconds
    while time.monotonic() < until or not demo.load.lines:
        time.sleep(0.1)
    total, values = demo.load.stop(), parts.metrics(demo.admin)
    ratio = share(values["skerry_cache_hits_total"], values["skerry_requests_total"])
    print(f"{len(demo.files) + 1} files compared; {total['ok']} requests by the load, {total['failed']} failed, "
          f"p50 {total['p50_us'] / 1000:.2f} ms, p99 {total['p99_us'] / 1000:.2f} ms")
    print(f"hit ratio {ratio:.1f} %, {values['skerry_origin_requests_total']:.0f} of {values['skerry_requests_total']:.0f} "
          "requests reached the origin")
    if total["failed"] or total["ok"] < 100:
        wrong.append(f"of the load's requests {total['ok']} succeeded, {total['failed']} failed: {total['failures']}")
    if ratio < 80:
        wrong.append(f"a hit ratio of {ratio:.1f} % is below 80 %")
    return wrong


def main():
    parser = argparse.ArgumentParser(prog="dev/demo", description="A running CDN on this machine, with something to look at.")
    parser.add_argument("--once", action="store_true", help="a few seconds only; exit code 0 if what was seen was right")
    parser.add_argument("--port", type=int, default=8080, help="where the edge listens (8080, or any free one)")
    parser.add_argument("--rate", type=int, default=500, help="requests a second of the load (500)")
    parser.add_argument("--seconds", type=float, default=4, help="with --once: how long the load runs (4)")
    parser.add_argument("--fleet", action="store_true", help="three PoPs of two edges, and a control")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.fleet:
        return fleet.main(options)
    demo, wrong, code = Demo(options), [], 0
    try:
        demo.start()
        if options.once:
            wrong = once(demo, options.seconds)
        else:
            invite(demo)
            code = watch(demo)
    except KeyboardInterrupt:
        print()
    except parts.Failed as failure:
        wrong = [str(failure)]
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ended = demo.stop()
    if ended not in (0, None):
        wrong.append(f"the edge ended with {ended}")
    for line in wrong:
        print(f"dev/demo: {line}", file=sys.stderr)
    if options.once and not wrong:
        print("dev/demo: all as it should be")
    return 1 if wrong else code


if __name__ == "__main__":
    sys.exit(main())
