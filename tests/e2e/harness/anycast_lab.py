"""Three PoPs, each in a network namespace with an edge, `skerry anycast` and BIRD, announce one address to a fourth namespace,
which prefers the first over the second over the third. A program of its own: run in fresh network and process namespaces
(LAUNCH), so that its end is the end of all it started. Tells what it sees in a line of JSON each."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ADDRESS = "192.0.2.53"
LAUNCH = ["unshare", *([] if os.getuid() == 0 else ["--user", "--map-root-user"]), "--net", "--pid", "--fork", "--kill-child"]

HUB = """
router id 10.0.0.1;
log stderr all;
protocol device {{ }}
protocol kernel {{ ipv4 {{ export where source = RTS_BGP; }}; }}
{peers}
"""
PEER = """
protocol bgp pop{i} {{
    local 10.0.{i}.1 as 65000; neighbor 10.0.{i}.2 as 6500{i};
    connect delay time 1; connect retry time 1; error wait time 1, 2;
    ipv4 {{ import filter {{ bgp_local_pref = 400 - {i}; accept; }}; export none; }};
}}
"""
POP = """
router id 10.0.{i}.2;
log stderr all;
protocol device {{ }}
protocol static anycast {{
    ipv4;
    include "{file}";
}}
protocol bgp hub {{
    local 10.0.{i}.2 as 6500{i}; neighbor 10.0.{i}.1 as 65000;
    connect delay time 1; connect retry time 1; error wait time 1, 2;
    ipv4 {{ import none; export where source = RTS_STATIC; }};
}}
"""


def run(*words, **more):
    subprocess.run(words, check=True, **more)


def new_namespace():
    """A descriptor of a new network namespace; the caller stays where it is."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    os.unshare(os.CLONE_NEWNET)
    made = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    os.setns(here, os.CLONE_NEWNET)
    os.close(here)
    return made


class Pop:
    def __init__(self, skerry, directory, i):
        self.i, self.directory, self.skerry = i, directory / f"pop{i}", skerry
        self.directory.mkdir()
        self.file = self.directory / "anycast.conf"
        self.file.write_text("")
        self.namespace = new_namespace()
        run("ip", "link", "add", "name", f"pop{i}", "type", "veth", "peer", "name", "hub", "netns",
            f"/proc/self/fd/{self.namespace}", pass_fds=[self.namespace])
        run("ip", "addr", "add", f"10.0.{i}.1/30", "dev", f"pop{i}")
        run("ip", "link", "set", f"pop{i}", "up")
        self.inside("ip", "addr", "add", f"10.0.{i}.2/30", "dev", "hub")
        self.inside("ip", "addr", "add", f"{ADDRESS}/32", "dev", "lo")
        self.inside("ip", "link", "set", "lo", "up")
        self.inside("ip", "link", "set", "hub", "up")

    def enter(self):
        os.setns(self.namespace, os.CLONE_NEWNET)

    def inside(self, *words):
        run(*words, preexec_fn=self.enter)

    def start(self, name, *words):
        with open(self.directory / f"{name}.log", "ab") as log:
            return subprocess.Popen(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    preexec_fn=self.enter)

    def start_edge(self):
        file = self.directory / "edge.yaml"
        file.write_text(f"listen: {ADDRESS}:80\nthreads: 1\nmemory: 8MiB\n"
                        f"admin: unix:{self.directory}/admin.sock\nsites: [{{origins: [{{url: 'http://127.0.0.1:8000'}}]}}]\n")
        self.edge = self.start("edge", self.skerry, "edge", "-c", file)

    def start_all(self):
        root = self.directory / "root"
        root.mkdir()
        (root / "index.html").write_text(f"served by pop{self.i}")
        self.start("origin", sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "-d", root, "8000")
        self.start_edge()
        conf, control = self.directory / "bird.conf", self.directory / "bird.ctl"
        conf.write_text(POP.format(i=self.i, file=self.file))
        self.anycast = self.start("anycast", self.skerry, "anycast", "--file", self.file, "--prefix", f"{ADDRESS}/32", "--edge",
                                  f"{ADDRESS}:80", "--command", f"birdc -s {control} configure", "--interval", "250",
                                  "--timeout", "500")
        self.bird = self.start("bird", "bird", "-f", "-c", conf, "-s", control)


def serving():
    """Which PoP answers at the address now; None: none."""
    try:
        with socket.create_connection((ADDRESS, 80), timeout=1) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b""
            while piece := s.recv(4096):
                answer += piece
    except OSError:
        return None
    return next((i for i in (1, 2, 3) if b"served by pop%d" % i in answer), None)


def until(what, wanted, seconds):
    began = time.monotonic()
    while (seen := serving()) != wanted:
        if time.monotonic() - began > seconds:
            print(json.dumps({"what": what, "wanted": wanted, "seen": seen}), flush=True)
            sys.exit(1)
        time.sleep(0.05)
    print(json.dumps({"what": what, "pop": seen, "seconds": round(time.monotonic() - began, 2)}), flush=True)


def main():
    skerry, directory, patience = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    run("ip", "link", "set", "lo", "up")
    pops = [Pop(skerry, directory, i) for i in (1, 2, 3)]
    (directory / "hub.conf").write_text(HUB.format(peers="".join(PEER.format(i=i) for i in (1, 2, 3))))
    with open(directory / "hub.log", "ab") as log:
        subprocess.Popen(["bird", "-f", "-c", directory / "hub.conf", "-s", directory / "hub.ctl"], stdout=log, stderr=log)
    for pop in pops:
        pop.start_all()
    until("all announce", 1, 30 * patience)
    pops[0].edge.kill()
    until("an edge was killed", 2, 10 * patience)
    pops[1].anycast.send_signal(signal.SIGTERM)
    until("a helper was stopped", 3, 10 * patience)
    if pops[1].anycast.wait(10) != 0 or "withdrawn: stopped" not in pops[1].file.read_text():
        sys.exit("the helper did not withdraw")
    pops[0].edge.wait()
    pops[0].start_edge()
    until("the edge is back", 1, 30 * patience)


if __name__ == "__main__":
    main()
