"""A running `skerry route`: started on its own port, asked by dnspython, stopped; its end and its log are checked."""

import os
import signal
import socket
import subprocess

import dns.message
import dns.query
import yaml

from .edge import READY, TROUBLE, binary, execution_environment
from .ports import Reservation
from .scale import limit, wait_until

FREE = {"answers": 0, "no_data": 0, "no_name": 0, "referrals": 0, "errors": 0, "large": 0}


class Router:
    """ZONES are {name: text of the master file or None}; MORE are further keys of the configuration."""

    def __init__(self, directory, zones, listen="127.0.0.1", **more):
        self.directory = directory
        self.reservation = Reservation(listen)
        self.host, self.port = listen, self.reservation.port
        self.log_path = directory / "route.log"
        self.file = directory / "route.yaml"
        self.more = more
        self.zones = {}
        self.process = None
        for name, text in zones.items():
            self.write_zone(name, text)
            self.zones[name] = {"name": name, "file": f"{name}.zone"}

    def write_zone(self, name, text):
        (self.directory / f"{name}.zone").write_text(text)

    def write(self):
        configuration = {"listen": [str(self.reservation)], "rate_limit": FREE, "zones": list(self.zones.values())}
        configuration.update(self.more)
        self.file.write_text(yaml.safe_dump(configuration, sort_keys=False))

    def start(self):
        self.write()
        before = len(READY.findall(self.log())) if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([binary(), "route", "-c", str(self.file)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=self.directory,
                                            env={**os.environ, **execution_environment()})
        self.wait_log(READY.pattern, before + 1)
        return self

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_log(self, pattern, times=1):
        import re

        def seen():
            assert self.process.poll() is None, f"the router ended:\n{self.log()}"
            return len(re.findall(pattern, self.log(), re.IGNORECASE)) >= times
        wait_until(seen, 20, f"{pattern!r} in the log")

    def reload(self, expect="reloaded"):
        before = len(self.log().split(expect)) - 1
        self.process.send_signal(signal.SIGHUP)
        self.wait_log(expect, before + 1)

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(limit(15))
        self.process = None
        self.reservation.close()
        assert code == 0, f"exit code {code}:\n{self.log()}"
        assert not TROUBLE.search(self.log()), self.log()

    # --- asking

    def ask(self, name, type_="A", tcp=False, **more):
        return self.send(dns.message.make_query(name, type_, **more), tcp)

    def send(self, query, tcp=False):
        ask = dns.query.tcp if tcp else dns.query.udp
        return ask(query, self.host, port=self.port, timeout=limit(5))

    def raw(self, data, timeout=1.0):
        """The answer to a datagram, or None."""
        with socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(timeout)
            s.connect((self.host, self.port))
            s.send(data)
            try:
                return s.recv(65535)
            except (TimeoutError, ConnectionRefusedError):
                return None
