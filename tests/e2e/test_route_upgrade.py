"""A new program takes over from the running router: no query over UDP or TCP is lost, and what lives in memory goes along."""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import threading

import dns.edns
import dns.message
import dns.query
import pytest

from harness.client import fetch
from harness.edge import binary, execution_environment
from harness.process import Family
from harness.router import Router
from harness.scale import limit, pick, wait_until

ZONE = "$TTL 60\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.1\n"


class UpgradedRouter(Router):
    def __init__(self, directory, **more):
        super().__init__(directory, {"example.com": ZONE}, admin=f"unix:{directory}/route.sock", **more)
        self.family = Family()

    def start(self):
        self.write()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([binary(), "route", "-c", str(self.file)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=self.directory,
                                            env=self.family.environment(execution_environment()))
        self.family.known.add(self.process.pid)
        wait_until(lambda: "ready" in self.log(), 20, "the router")
        return self

    @property
    def pid(self):
        return json.loads(fetch(f"{self.directory}/route.sock", "/health").body)["pid"]

    def upgrade(self):
        old = self.pid
        os.kill(old, signal.SIGUSR2)

        def changed():
            try:
                return self.pid != old
            except OSError:
                return False
        wait_until(changed, 20, "a new process")
        return old

    def stop(self):
        for pid in self.family.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not self.family.pids(), 40, "all processes to end")
        self.process.returncode = 0
        self.process = None
        self.reservation.close()
        assert set(self.family.codes.values()) <= {0}, (self.family.codes, self.log())
        assert "Sanitizer" not in self.log() and "leak" not in self.log(), self.log()


@pytest.fixture
def new_router(tmp_path):
    routers = []

    def make(**more):
        routers.append(UpgradedRouter(tmp_path, **more))
        return routers[-1].start()
    yield make
    for router in routers:
        router.stop()


class Stream(threading.Thread):
    """Asks one query after the other, each from a new UDP socket or on one TCP connection, until it is told to end."""

    def __init__(self, router, tcp):
        super().__init__(daemon=True)
        self.router, self.tcp = router, tcp
        self.done, self.failures, self.ended = 0, [], threading.Event()
        self.query = dns.message.make_query("www.example.com", "A").to_wire()

    def connect(self):
        kind = socket.SOCK_STREAM if self.tcp else socket.SOCK_DGRAM
        s = socket.socket(socket.AF_INET, kind)
        s.settimeout(limit(5))
        s.connect((self.router.host, self.router.port))
        return s

    def ask(self, s):
        if not self.tcp:
            s.send(self.query)
            return s.recv(4096)
        s.sendall(struct.pack("!H", len(self.query)) + self.query)
        data = b""
        while len(data) < 2 or len(data) < 2 + struct.unpack("!H", data[:2])[0]:
            more = s.recv(4096)
            if not more:
                raise ConnectionError("closed")
            data += more
        return data[2:]

    def run(self):
        kept = self.connect() if self.tcp else None
        while not self.ended.is_set():
            try:
                with contextlib.nullcontext(kept) if kept else self.connect() as s:
                    assert bytes([192, 0, 2, 1]) in self.ask(s)
                self.done += 1
            except (OSError, AssertionError) as e:
                self.failures.append(repr(e))
                if kept:
                    return
        if kept:
            kept.close()


def test_upgrades_lose_no_query(new_router):
    """Over UDP from ever new ports, on new TCP connections, and on one that is kept through all of it."""
    router = new_router(threads=2)
    streams = [Stream(router, False), Stream(router, False), Stream(router, True)]
    for stream in streams:
        stream.start()
    for _ in range(pick(5, 20)):
        before = [stream.done for stream in streams]
        router.upgrade()
        wait_until(lambda: all(s.done > b + 20 for s, b in zip(streams, before)), 20, "answers")
        assert router.ask("www.example.com", tcp=True).answer
    for stream in streams:
        stream.ended.set()
    for stream in streams:
        stream.join(limit(10))
        assert not stream.failures and stream.done > 100, (stream.tcp, stream.done, stream.failures)
    wait_until(lambda: router.family.pids() == [router.pid], 40, "one process to be left")


def test_what_lives_in_memory_goes_along(new_router):
    router = new_router(http={"listen": "127.0.0.1:0"})
    name = "_acme-challenge.www.example.com"
    body = json.dumps({"name": name, "value": "token", "ttl": 60}).encode()
    assert fetch(f"{router.directory}/route.sock", "/acme-challenge", "POST", body=body).status == 200
    query = dns.message.make_query("www.example.com", "A", use_edns=0,
                                   options=[dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"c" * 8)])
    cookie = router.send(query).options[0].to_wire()
    router.upgrade()
    for _ in range(10):  # whichever of the two processes answers
        assert router.ask(name, "TXT").answer[0][0].strings == (b"token",)
    query = dns.message.make_query("www.example.com", "A", use_edns=0,
                                   options=[dns.edns.GenericOption(dns.edns.OptionType.COOKIE, cookie)])
    assert router.send(query).options[0].to_wire() == cookie  # a cookie that was made anew would differ
    wait_until(lambda: router.family.pids() == [router.pid], 40, "one process to be left")


def test_a_configuration_that_is_wrong_leaves_the_old_process_in_place(new_router):
    router = new_router()
    old = router.pid
    router.write_zone("example.com", "nonsense")
    os.kill(old, signal.SIGUSR2)
    wait_until(lambda: "stays in service" in router.log(), 20, "the old process to say so")
    assert router.ask("www.example.com").answer and router.pid == old
    router.write_zone("example.com", ZONE.replace("192.0.2.1", "192.0.2.7"))
    router.upgrade()
    wait_until(lambda: router.ask("www.example.com").answer[0][0].address == "192.0.2.7", 10, "the new zone")


def test_a_new_number_of_threads_or_addresses_is_taken(new_router):
    router = new_router(threads=3)
    router.more["threads"] = 1
    router.write()
    router.upgrade()
    assert all(router.ask("www.example.com").answer for _ in range(40))  # each socket of before is still read
    router.more["threads"] = 4
    router.write()
    router.upgrade()
    assert all(router.ask("www.example.com", tcp=i % 2).answer for i in range(40))
