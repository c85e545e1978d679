"""A running `skerry control` with its own Valkey, and what people do with one."""

import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import yaml

from .client import fetch
from .edge import READY, TROUBLE, binary, execution_environment, run
from .ports import Reservation
from .process import Family
from .prometheus import Metrics
from .scale import limit, wait_until

SERVER = shutil.which("valkey-server") or shutil.which("redis-server")
FOUND_AGAIN = Path(__file__).with_name("valkey-server")  # the same, as one of the family


class Control:
    def __init__(self, directory, **more):
        directory.mkdir(exist_ok=True)
        self.directory = directory
        reservation = Reservation()
        self.port = reservation.port
        reservation.close()  # it listens without SO_REUSEPORT
        self.url = f"https://127.0.0.1:{self.port}"
        self.admin = f"unix:{directory}/c.sock"
        self.log_path = directory / "control.log"
        self.more = more
        self.family = Family()
        self.process = None

    def start(self):
        ready = len(READY.findall(self.log()))
        self.launch()
        wait_until(lambda: len(READY.findall(self.log())) > ready or self.process.poll() is not None, 20, "control")
        assert self.process.poll() is None, self.log()
        wait_until(lambda: run("control", "nodes", "--control", self.admin).returncode == 0, 20, "the store")
        return self

    def launch(self):
        """Without waiting for anything."""
        file = self.directory / "control.yaml"
        file.write_text(yaml.safe_dump({"fleet": "acme", "listen": f"127.0.0.1:{self.port}", "admin": self.admin,
                                        "state": str(self.directory / "state"), "valkey_server": str(FOUND_AGAIN), **self.more}))
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([binary(), "control", "-c", str(file)], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=self.directory,
                                            env=self.family.environment(execution_environment()))
        self.family.known.add(self.process.pid)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_log(self, pattern, timeout=20):
        wait_until(lambda: re.search(pattern, self.log()), timeout, f"{pattern!r} in control's log")

    def kill(self, valkey=False):
        """It alone; its Valkey lives on, unless VALKEY says so."""
        self.process.kill()
        self.process.wait(limit(10))
        self.process = None
        if valkey:
            self.family.kill()

    def stop(self):
        """Ends it and looks how it ended. Whatever comes of that, nothing of it is left behind. Safe to call again."""
        process, self.process = self.process, None
        left = []
        try:
            if process:
                process.send_signal(signal.SIGTERM)
                process.wait(limit(15))
                left = self.family.pids()
        finally:
            self.family.kill()
        if process:
            assert process.returncode == 0, f"exit code {process.returncode}:\n{self.log()}"
        assert not left, "a Valkey was left behind"
        assert not TROUBLE.search(self.log()), self.log()

    # --- people

    def ask(self, *arguments, fails=None, token=None):
        """A command's answer; FAILS is what must be in its refusal."""
        where = ["--control", self.url, "--token-file", str(token)] if token else ["--control", self.admin]
        done = run(*arguments, *where)
        if fails is not None:
            assert done.returncode and fails in done.stderr, (done.returncode, done.stdout, done.stderr)
            return None
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout

    def invite(self, pop="fra", role="edge"):
        return self.ask("control", "invite", "--role", role, "--pop", pop)["token"]

    def join(self, folder, name, token=None, url=None):
        return run("join", url or self.url, token or self.invite(), "--state", str(folder), "--name", name)

    def token(self, name, rights):
        path = self.directory / f"{name}.token"
        path.write_text(self.ask("control", "token", "--name", name, "--rights", rights)["token"] + "\n")
        return path

    def apply(self, sites, *arguments, **more):
        path = self.directory / "sites.yaml"
        path.write_text(sites if isinstance(sites, str) else yaml.safe_dump({"sites": sites}))
        return self.ask("apply", str(path), *arguments, **more)

    def nodes(self):
        return {node["id"]: node for node in self.ask("control", "nodes")["nodes"]}

    def node(self, name, pop="fra", role="edge"):
        return self.nodes()[f"spiffe://acme/{pop}/{role}/{name}"]

    def audit(self):
        done = run("control", "audit", "--control", self.admin)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def figures(self):
        response = fetch(self.admin.removeprefix("unix:"), "/metrics", host="localhost")
        assert response.status == 200, response
        return Metrics(response.text)

    def has_done(self, what, about=""):
        return any(line["what"] == what and about in line["about"] for line in self.audit())
