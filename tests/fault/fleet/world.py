"""The parts of a fleet that can be hurt: two Valkeys, links that can be cut, a control, edges, and wall clocks that step."""

import asyncio
import contextlib
import json
import mmap
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

from harness.control import SERVER, Control
from harness.edge import Edge, binary
from harness.scale import seconds, wait_until

SILENCE_S = 3
EDGE = """
listen: [LISTEN]
admin: unix:ADMIN
memory: 16MiB
threads: 2
fleet: {state: DIR/node, bus: "valkey://127.0.0.1:BUS", silence: 3s}
"""
DISK = "disk: {path: DIR/store, size: 64MiB}\n"


# --- links


class Links:
    """Loopback proxies on one thread of their own."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def add(self, upstream):
        return Link(self, upstream)

    def stop(self):
        self.run(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    async def _end(self):
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class Link:
    """Listens, and leads to whatever UPSTREAM() gives at that moment; open, cut (closed and refused) or held (bytes wait)."""

    def __init__(self, links, upstream):
        self.links, self.upstream, self.state, self.writers = links, upstream, "open", set()
        self.may_flow = None
        self.server = links.run(self._listen())
        self.port = self.server.sockets[0].getsockname()[1]

    async def _listen(self):
        self.may_flow = asyncio.Event()
        self.may_flow.set()
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _serve(self, reader, writer):
        self.writers.add(writer)
        far_writer = None
        try:
            if self.state != "cut":
                far, far_writer = await asyncio.open_connection("127.0.0.1", self.upstream())
                self.writers.add(far_writer)
                await asyncio.wait([asyncio.ensure_future(self._pump(reader, far_writer)),
                                    asyncio.ensure_future(self._pump(far, writer))],
                                   return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass
        finally:
            for each in (writer, far_writer):
                if each:
                    self.writers.discard(each)
                    each.close()

    async def _pump(self, reader, writer):
        with contextlib.suppress(OSError, ConnectionError):
            while data := await reader.read(65536):
                await self.may_flow.wait()
                writer.write(data)
                await writer.drain()

    async def _set(self, state):
        self.state = state
        if state == "held":
            self.may_flow.clear()
        else:
            self.may_flow.set()
        if state == "cut":
            for writer in list(self.writers):
                writer.close()

    def set(self, state):
        self.links.run(self._set(state))

    def break_all(self):
        """What is open ends; new connections go where UPSTREAM leads now."""
        state = self.state
        self.set("cut")
        self.set(state)


# --- Valkey


class Server:
    """A valkey-server on a loopback port that keeps nothing on disk."""

    def __init__(self, directory, replica_of=None):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.directory = directory / f"valkey-{self.port}"
        self.directory.mkdir(exist_ok=True)  # one before may have had the port; nothing is kept there
        more = ["--replicaof", f"127.0.0.1 {replica_of}"] if replica_of else []
        self.process = subprocess.Popen(
            [SERVER, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory), "--save", "",
             "--repl-diskless-sync-delay", "0", "--repl-timeout", "3", *more],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: self.try_ask("PING") == "PONG", 20, "Valkey")

    def ask(self, *words):
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(b"*%d\r\n" % len(words) + b"".join(
                b"$%d\r\n%s\r\n" % (len(word), word) for word in (str(w).encode() for w in words)))
            return read_reply(connection.makefile("rb"))

    def try_ask(self, *words):
        with contextlib.suppress(OSError, ValueError):
            return self.ask(*words)
        return None

    def in_step(self):
        return "master_link_status:up" in (self.try_ask("INFO", "replication") or "")

    def end(self):
        self.process.kill()
        self.process.wait()


def read_reply(file):
    line = file.readline()
    if not line.endswith(b"\r\n"):
        raise OSError("the server closed")
    kind, rest = line[:1], line[1:-2].decode()
    if kind == b"$":
        return None if rest == "-1" else file.read(int(rest) + 2)[:-2].decode(errors="replace")
    if kind == b"*":
        return [read_reply(file) for _ in range(int(rest))]
    if kind == b"-":
        raise ValueError(rest)
    return int(rest) if kind == b":" else rest


# --- clocks


class Clock:
    """The wall clock of one process: started with `environment`, stepped at any time."""

    def __init__(self, path):
        path.write_bytes(bytes(8))
        self.path = path
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 8)

    def environment(self):
        module = Path(binary()).parent / "tests/tools/clockstep/libclockstep.so"
        return {"LD_PRELOAD": str(module), "CLOCKSTEP_FILE": str(self.path)} if module.exists() else {}

    def step(self, seconds_):
        self.memory[:] = struct.pack("=q", int(seconds_ * 1e9))


# --- all of it


class World:
    def __init__(self, directory, edges, origin):
        self.directory, self.links = directory, Links()
        self.primary = Server(directory)
        self.to_primary = self.links.add(lambda: self.primary.port)  # the replica's
        self.replica = Server(directory, self.to_primary.port)
        self.control_bus = self.links.add(lambda: self.primary.port)
        self.control = Control(directory / "control", valkey=f"valkey://127.0.0.1:{self.control_bus.port}")
        self.control.start()
        self.edges, self.bus, self.down = [], [], []
        self.clocks = []
        self.applied_configurations = 0
        self.origin = origin
        self.apply()
        for i in range(edges):
            self._add_edge(i)
        wait_until(lambda: sum(node["configuration"] >= 1 for node in self.control.nodes().values()) == edges, 30,
                   "the configuration everywhere")

    def _add_edge(self, i):
        folder = self.directory / f"e{i}"
        folder.mkdir()
        bus = self.links.add(lambda: self.primary.port)
        edge = Edge(folder, configuration="")
        text = EDGE + (DISK if i % 2 else "")
        edge.configuration = (text.replace("LISTEN", edge.listen).replace("ADMIN", edge.admin_path)
                              .replace("DIR", str(folder)).replace("BUS", str(bus.port)))
        edge.expected_codes = {0, -signal.SIGKILL}
        done = self.control.join(folder / "node", f"e{i}", self.control.invite(f"p{i % 2}"))
        assert done.returncode == 0, done.stderr
        clock = Clock(folder / "clock")
        self.clocks.append(clock)
        if os.environ.get("SKERRY_BUILD", "release") == "release":  # a sanitizer wants to be loaded first itself
            edge.environment = clock.environment()
        self.edges.append(edge)
        self.bus.append(bus)
        edge.start()

    def apply(self):
        """Another configuration, which changes nothing that clients see. Its number, or None when control could not."""
        self.applied_configurations += 1
        text = (f"sites: [{{name: main, hosts: [h.example], origin: '{self.origin.url}'}},"
                f" {{name: s{self.applied_configurations}, hosts: [s{self.applied_configurations}.example], origin: '{self.origin.url}'}}]\n")
        status, answer = ask_control(self.control, "POST", "/configuration", text.encode(), timeout=5)
        return answer["number"] if status == 200 else None

    # --- what happens to them

    def kill_edge(self, i):
        edge = self.edges[i]
        for pid in edge.family.pids():
            os.kill(pid, signal.SIGKILL)
        edge.wait_end()

    def start_edge(self, i):
        edge = self.edges[i]
        ready = edge.log().count("ready in")
        edge.start(wait=False)
        edge.wait_ready(ready + 1)

    def signal_edge(self, i, number):
        for pid in self.edges[i].family.pids():
            os.kill(pid, number)

    def fail_over(self, future, wait_s, deaf):
        """The replica, which has not heard the last of it, becomes the primary. FUTURE: the lost one's ids were ahead. The
        edges DEAF have not heard it either: purges that control has acknowledged are nowhere any more."""
        for link in (self.to_primary, *(self.bus[i] for i in deaf)):
            link.set("cut")
        if future:
            ahead = int(time.time() * 1000) + 3600_000
            self.primary.try_ask("XADD", "skerry:purges", f"{ahead}-0", "from", "a clock that went ahead")
        time.sleep(wait_s)
        lost, self.primary = self.primary, self.replica
        lost.end()
        self.primary.ask("REPLICAOF", "NO", "ONE")
        for link in (self.to_primary, *(self.bus[i] for i in deaf)):
            link.set("open")
        for link in (self.control_bus, *self.bus):
            link.break_all()
        self.replica = Server(self.directory, self.to_primary.port)

    def positions(self):
        """{edge number: (epoch, sequence)}, as the server has them."""
        pairs = self.primary.try_ask("HGETALL", "skerry:applied:spiffe://acme/home/control/control") or []
        found = {}
        for name, text in zip(pairs[::2], pairs[1::2]):
            epoch, sequence, _ = text.split(":")
            found[int(name.rpartition("/e")[2])] = (int(epoch), int(sequence))
        return found

    def stop(self):
        """All of it, also when one of them complains of itself: that is raised then."""
        with contextlib.ExitStack() as stack:  # the last one first
            stack.callback(self.links.stop)
            for server in (self.primary, self.replica):
                stack.callback(server.end)
            stack.callback(self.control.stop)
            for edge in self.edges:
                stack.callback(edge.stop)


def number_of(edge):
    """The configuration in force, as the edge says; None when it says nothing."""
    with contextlib.suppress(OSError, AssertionError, KeyError, ValueError):
        return int(edge.metrics()["skerry_fleet_configuration"])
    return None


def ask_control(control, method, target, body, timeout=15):
    """(status, JSON) of one call on control's socket; (None, None) when there was no answer. BODY: bytes, or what becomes
    JSON."""
    from harness.client import fetch
    with contextlib.suppress(OSError, AssertionError, ValueError):
        answer = fetch(control.admin.removeprefix("unix:"), target, method, [("Content-Type", "application/json")],
                       body=body if isinstance(body, bytes) else json.dumps(body).encode(), host="localhost",
                       timeout=seconds(timeout))
        return answer.status, json.loads(answer.body) if answer.status == 200 else None
    return None, None
