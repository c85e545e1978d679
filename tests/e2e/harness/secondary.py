"""NSD as the secondary of one zone of a router that is tested."""

import shutil
import signal
import subprocess

import dns.exception
import dns.message
import dns.query
import pytest

from .ports import Reservation
from .scale import limit, wait_until

HOST = "127.0.0.1"


class Secondary:
    """KEY is (name, algorithm, secret in base64) of TSIG, or None."""

    def __init__(self, directory, zone="example.com", key=None):
        self.program = shutil.which("nsd") or pytest.skip("no nsd here")
        self.folder = directory / "nsd"
        self.folder.mkdir()
        self.zone, self.key, self.process = zone, key, None
        self.reservation = Reservation()
        self.port = self.reservation.port

    def __str__(self):
        return str(self.reservation)

    def start(self, primary):
        """PRIMARY is the router's port."""
        name = self.key[0] if self.key else "NOKEY"
        key = "key:\n  name: {}\n  algorithm: {}\n  secret: {}\n".format(*self.key) if self.key else ""
        folder = self.folder
        (folder / "conf").write_text(f"""server:
  ip-address: {HOST}@{self.port}
  do-ip6: no
  server-count: 1
  username: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: "{folder}/pid"
  xfrdfile: "{folder}/xfrd"
  zonelistfile: "{folder}/zones"
  xfrdir: "{folder}"
  xfrd-reload-timeout: 0
remote-control:
  control-enable: no
{key}zone:
  name: {self.zone}
  zonefile: {self.zone}.zone
  request-xfr: AXFR {HOST}@{primary} {name}
  allow-notify: {HOST} {name}
""")
        self.reservation.close()  # it binds without SO_REUSEPORT
        self.process = subprocess.Popen([self.program, "-d", "-c", str(folder / "conf")], stdout=subprocess.DEVNULL,
                                        stderr=open(folder / "log", "wb"))
        return self

    def ask(self, name, type_="A", timeout=None, **more):
        query = dns.message.make_query(name, type_, **more)
        return dns.query.udp_with_fallback(query, HOST, port=self.port, timeout=timeout or limit(5))[0]

    def serial(self):
        try:
            answer = self.ask(self.zone, "SOA", timeout=1)
        except (dns.exception.Timeout, OSError):
            return None
        return answer.answer[0][0].serial if answer.answer else None

    def wait_serial(self, serial, what):
        wait_until(lambda: self.serial() == serial, 20, what)

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(limit(15))
            self.process = None
