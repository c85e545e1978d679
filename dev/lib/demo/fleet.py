"""The demonstration of a fleet: three PoPs of two edges, a control with its own Valkey, one origin. One key purges all, one
kills an edge, one brings it back. See dev/demo --help."""

import http.client
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
import tty
from pathlib import Path

import pages
import parts
import pictures

TOP = Path(__file__).resolve().parents[3]
POPS = ("ams", "fra", "nyc")
HOST = "demo.example"
CONTROL = """
fleet: demo
listen: 127.0.0.1:{port}
admin: unix:{folder}/control.sock
state: {folder}/control
log_level: warn
"""
EDGE = """
listen: 127.0.0.1:{port}
admin: unix:{folder}/{name}.sock
memory: 64MiB
threads: 1
log_level: warn
fleet: {{state: {folder}/{name}, bus: "unix:{folder}/control/valkey/valkey.sock", silence: 5s}}
"""
SITES = "sites: [{{name: demo, hosts: [{host}], origin: 'http://127.0.0.1:{origin}'}}]\n"


def until(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise parts.Failed(f"waited {seconds} s in vain for {what}")
        time.sleep(0.05)


class Node:
    """An edge of the fleet; `process` is None while it is dead."""

    def __init__(self, fleet, pop, name):
        self.fleet, self.pop, self.name, self.port = fleet, pop, name, parts.free_port()
        self.process = self.load = None
        self.file, self.admin = fleet.directory / f"{name}.yaml", fleet.directory / f"{name}.sock"
        self.file.write_text(EDGE.format(port=self.port, folder=fleet.directory, name=name))
        self.log = fleet.directory / f"{name}.log"

    def join(self):
        token = self.fleet.control("control", "invite", "--role", "edge", "--pop", self.pop)["token"]
        self.fleet.run("join", self.fleet.url, token, "--state", self.fleet.directory / self.name, "--name", self.name)

    def start(self):
        with open(self.log, "ab") as out:
            self.process = parts.start([self.fleet.program, "edge", "-c", self.file], stdout=out, stderr=out)
        parts.wait_for_port(self.port, self.process, self.log)

    def start_load(self):
        self.load = parts.LoadClient(self.fleet.load_program, self.port, self.fleet.targets, 2, self.fleet.rate, HOST)

    def kill(self):
        if self.load:
            self.load.stop()
            self.load = None
        self.process.kill()
        self.process.wait()
        self.process = None

    def get(self, target):
        """(status, Cache-Status, body)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", target, headers={"Host": HOST})
            answer = connection.getresponse()
            return answer.status, answer.getheader("Cache-Status") or "", answer.read()
        finally:
            connection.close()

    def row(self):
        if not self.process:
            return f"  {self.pop}  {self.name}  killed"
        values = parts.metrics(self.admin)
        lines = self.load.lines if self.load else []
        last = lines[-1] if lines else {"ok": 0, "seconds": 1, "p50_us": 0, "p99_us": 0}
        requests, hits = values["skerry_requests_total"], values["skerry_cache_hits_total"]
        return (f"  {self.pop}  {self.name}  127.0.0.1:{self.port:<6} {last['ok'] / last['seconds']:6.0f}/s  "
                f"{100 * hits / max(requests, 1):6.2f} % hits  p50 {last['p50_us'] / 1000:5.2f} ms  "
                f"configuration {values['skerry_fleet_configuration']:.0f}  "
                f"{values['skerry_bus_entries_total']:.0f} entries of the bus")


class Fleet:
    def __init__(self, options):
        build = TOP / "build" / os.environ.get("SKERRY_BUILD", "release")
        self.program, self.load_program = build / "skerry", build / "tests/tools/loadclient/loadclient"
        self.rate = options.rate / (2 * len(POPS))
        self.directory = Path(tempfile.mkdtemp(prefix="skerry-demo-"))
        self.nodes, self.origin, self.control_process, self.said = [], None, None, ""

    def run(self, *arguments):
        done = subprocess.run([self.program, *map(str, arguments)], capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise parts.Failed(f"skerry {arguments[0]}: {done.stderr or done.stdout}")
        return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout

    def control(self, *arguments):
        return self.run(*arguments, "--control", f"unix:{self.directory}/control.sock")

    def start_control(self):
        log = self.directory / "control.log"
        with open(log, "ab") as out:
            self.control_process = parts.start([self.program, "control", "-c", self.directory / "control.yaml"],
                                               stdout=out, stderr=out)
        parts.wait_for_port(self.port, self.control_process, log)
        until("control", lambda: "ready" in log.read_text())

    def start(self):
        root = self.directory / "site"
        root.mkdir()
        pages.make_site(TOP, root, pictures.draw_all(root, 12))
        self.root, self.targets = root, self.directory / "targets"
        self.files = sorted(path.name for path in root.iterdir())
        self.targets.write_text("".join(f"/{name}\n" for name in self.files))
        self.origin, origin_port = parts.start_origin(self.directory, root)
        self.port = parts.free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        (self.directory / "control.yaml").write_text(CONTROL.format(port=self.port, folder=self.directory))
        self.start_control()
        sites = self.directory / "sites.yaml"
        sites.write_text(SITES.format(host=HOST, origin=origin_port))
        self.control("apply", sites)
        for pop in POPS:
            for i in (1, 2):
                node = Node(self, pop, f"{pop}-{i}")
                self.nodes.append(node)
                node.join()
                node.start()
        for node in self.nodes:
            until("the configuration", lambda node=node: node.get("/index.html")[0] == 200)
        until("all edges on the bus", lambda: self.purge("--tag", "none")["living"] == len(self.nodes))

    def living(self):
        return [node for node in self.nodes if node.process]

    def purge(self, *what):
        return self.control("purge", "--wait", *what)

    def stop(self):
        codes = []
        for node in self.living():
            if node.load:
                node.load.stop()
            codes.append(parts.end(node.process))
        if self.control_process:
            codes.append(parts.end(self.control_process))
        if self.origin:
            parts.end(self.origin, signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)
        return next((code for code in codes if code), 0)


# --- live


def purge_all(fleet):
    answer = fleet.purge("--all")
    fleet.said = f"purged everywhere: {answer['living']} edges had applied it after {answer['applied_ms']:.1f} ms"


def kill_one(fleet):
    if len(fleet.living()) > 1:
        node = fleet.living()[-1]
        node.kill()
        fleet.said = f"{node.name} is killed"


def bring_back(fleet):
    for node in fleet.nodes:
        if not node.process:
            node.start()
            node.start_load()
            fleet.said = f"{node.name} is back, with the configuration that it keeps"
            return


KEYS = {"p": purge_all, "k": kill_one, "b": bring_back}


def invite(fleet):
    socket_, first = f"unix:{fleet.directory}/control.sock", fleet.nodes[0]
    lines = [(f"curl -sI -H 'Host: {HOST}' http://127.0.0.1:{first.port}/ | grep -i cache-status", "a page from an edge"),
             (f"dev/skerry purge --control {socket_} --wait --all", "away with all of it, everywhere"),
             (f"dev/skerry control nodes --control {socket_}", "who is in the fleet"),
             (f"dev/skerry history --control {socket_}", "configurations"),
             (f"dev/skerry control audit --control {socket_}", "who did what")]
    print(f"\n{len(fleet.nodes)} edges in {len(POPS)} PoPs, control at {fleet.url}. Try:\n")
    for command, comment in lines:
        print(f"  {command:<84} # {comment}")
    print("\nKeys: p purges all, k kills an edge, b brings it back, q or Ctrl-C ends all of it.\n", flush=True)


def show(fleet, first):
    rows = [node.row() for node in fleet.nodes] + [f"  {fleet.said}"]
    if sys.stdout.isatty():
        print("".join(["" if first else f"\033[{len(rows)}A", *(f"\033[K{row}\r\n" for row in rows)]), end="", flush=True)
    else:
        print("\n".join(rows), flush=True)


def key_within(seconds):
    if not sys.stdin.isatty():
        time.sleep(seconds)
        return ""
    return sys.stdin.read(1) if select.select([sys.stdin], [], [], seconds)[0] else ""


def watch(fleet):
    for node in fleet.nodes:
        node.start_load()
    kept = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
    first = True
    try:
        if kept:
            tty.setcbreak(sys.stdin)
        while True:
            show(fleet, first)
            first = False
            key = key_within(1)
            if key == "q":
                return 0
            if key in KEYS and key:
                KEYS[key](fleet)
    finally:
        if kept:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, kept)


# --- once


def all_serve(fleet, what, wrong):
    for node in fleet.living():
        for name in fleet.files:
            status, _, body = node.get(f"/{name}")
            if status != 200 or body != (fleet.root / name).read_bytes():
                wrong.append(f"{what}: {node.name} answered /{name} with {status}, {len(body)} bytes, not those of the file")


def kill_control(fleet):
    """And its Valkey, without a word."""
    valkey = int((fleet.directory / "control/valkey/valkey.log").read_text().split(":", 1)[0])
    fleet.control_process.kill()
    fleet.control_process.wait()
    fleet.control_process = None
    os.kill(valkey, signal.SIGKILL)


def once(fleet):
    wrong = []
    all_serve(fleet, "at first", wrong)
    for node in fleet.nodes:
        if "; hit" not in node.get("/index.html")[1]:
            wrong.append(f"{node.name}: the second answer was no hit")
    (fleet.root / "index.html").write_text("<p>another page</p>\n")
    answer = fleet.purge("--all")
    print(f"a purge was in force at {answer['living']} edges after {answer['applied_ms']:.1f} ms")
    if answer["living"] != len(fleet.nodes) or answer["behind"]:
        wrong.append(f"the purge is not everywhere: {answer}")
    all_serve(fleet, "after the purge", wrong)
    kill_one(fleet)
    all_serve(fleet, "with an edge killed", wrong)
    until("the dead edge to be given up", lambda: fleet.purge("--tag", "none")["living"] == len(fleet.nodes) - 1)
    bring_back(fleet)
    until("it to be back", lambda: fleet.purge("--tag", "none")["living"] == len(fleet.nodes))
    kill_control(fleet)
    all_serve(fleet, "with control and Valkey dead", wrong)
    fleet.nodes[0].kill()
    fleet.nodes[0].start()
    all_serve(fleet, "and an edge restarted then", wrong)
    print(f"{len(fleet.files)} files compared at each of {len(fleet.nodes)} edges: at first, after the purge, with an edge killed, "
          "with control and Valkey dead")
    return wrong


def main(options):
    fleet, wrong, code, ended = Fleet(options), [], 0, 0
    try:
        fleet.start()
        if options.once:
            wrong = once(fleet)
        else:
            invite(fleet)
            code = watch(fleet)
    except KeyboardInterrupt:
        print()
    except (parts.Failed, subprocess.TimeoutExpired, OSError) as failure:
        wrong = [str(failure)]
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ended = fleet.stop()
    if ended:
        wrong.append(f"one of them ended with {ended}")
    for line in wrong:
        print(f"dev/demo: {line}", file=sys.stderr)
    if options.once and not wrong:
        print("dev/demo: all as it should be")
    return 1 if wrong else code
