"""The processes of the world: an origin, an edge for each PoP, routers."""

import json
import os
import signal
import time

import mmdb
import parts
import yaml
from net import ROUTER_ADDRESSES
from traffic import BODY, NAME, TARGETS

TOKEN = "a-world-in-a-box"
EDGE_MEMORY = "8MiB"
WEIGHTS_OF_GEOGRAPHY = {"distance": 1, "load": 0, "hit_ratio": 0}


class Edge:
    def __init__(self, nodes, pop):
        self.nodes, self.pop, self.process, self.pid = nodes, pop, None, None
        self.directory = nodes.directory / pop.name
        self.directory.mkdir()
        self.log = self.directory / "log"
        self.admin = self.directory / "admin.sock"
        self.state = "up"
        document = {"listen": f"{pop.address}:80", "admin": pop.admin, "admin_token": TOKEN, "threads": 1, "memory": EDGE_MEMORY,
                    "capacity": pop.capacity, "server_name": pop.name, "log_level": "info",
                    "sites": [{"origins": [{"url": f"http://127.0.0.1:{nodes.origin_port}"}]}]}
        (self.directory / "edge.yaml").write_text(yaml.safe_dump(document))

    def start(self):
        self.process = self.nodes.net.start([self.nodes.program, "edge", "-c", self.directory / "edge.yaml"], self.log)
        self.pid, self.state = self.process.pid, "up"

    def ready(self):
        return self.process.poll() is None and b"ready" in self.log.read_bytes()

    def ask(self, method, target):
        """Over its admin address."""
        def connect():
            import http.client
            host, _, port = self.pop.admin.rpartition(":")
            connection = http.client.HTTPConnection(host, int(port), timeout=3)
            connection.connect()
            return connection
        connection = self.nodes.net.on_pops_side(connect)
        try:
            connection.request(method, target, headers={"Authorization": f"Bearer {TOKEN}"})
            return connection.getresponse().read()
        finally:
            connection.close()

    def signal(self, number):
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass

    def current_pid(self):
        return json.loads(self.ask("GET", "/health"))["pid"]


class Nodes:
    def __init__(self, net, world, build, directory):
        self.net, self.world, self.directory = net, world, directory
        self.program = build / "skerry"
        root = directory / "root"
        root.mkdir()
        for target in TARGETS:
            (root / target[1:]).write_bytes(BODY)
        os.chmod(directory, 0o755)
        self.origin, self.origin_port = net.on_pops_side(lambda: parts.start_origin(directory, root))
        mmdb.write(directory / "world.mmdb", {client.prefix: {
            "country": {"iso_code": client.country}, "autonomous_system_number": client.as_number,
            "location": {"latitude": float(client.latitude), "longitude": float(client.longitude)}} for client in world.clients})
        (directory / "zone").write_text("$TTL 60\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 198.18.1.1\n")
        self.edges = [Edge(self, pop) for pop in world.pops]
        self.routers = {}

    def start_edges(self):
        for edge in self.edges:
            edge.start()
        until = time.monotonic() + 60
        for edge in self.edges:
            while not edge.ready():
                if time.monotonic() > until or edge.process.poll() is not None:
                    raise parts.Failed(f"the edge {edge.pop.name} did not start:\n{edge.log.read_text()[-2000:]}")
                time.sleep(0.02)

    def start_router(self, name, ttl_s, reports=None, weights=None):
        """Gives its address."""
        address = ROUTER_ADDRESSES[len(self.routers)]
        directory = self.directory / name
        directory.mkdir()
        sites = [{"name": pop.name, "latitude": pop.latitude, "longitude": pop.longitude, "capacity": pop.size,
                  "edges": [f"{pop.address}:80"], **({"reports": [pop.admin]} if reports else {})} for pop in self.world.pops]
        document = {"listen": [f"{address}:53"], "threads": 1, "admin": f"unix:{directory}/admin.sock", "health": {"check": "http"},
                    "databases": [str(self.directory / "world.mmdb")], "sites": sites,
                    "zones": [{"name": "world.example", "file": str(self.directory / "zone")}],
                    "names": [{"name": NAME, "ttl": f"{ttl_s}s"}], "rate_limit": {"answers": 0}, "weights": weights or {}}
        if reports:
            document["reports"] = {"token": TOKEN, **reports}
        (directory / "route.yaml").write_text(yaml.safe_dump(document))
        process = self.net.start([self.program, "route", "-c", directory / "route.yaml"], directory / "log")
        until = time.monotonic() + 30
        while b"ready" not in (directory / "log").read_bytes():
            if process.poll() is not None or time.monotonic() > until:
                raise parts.Failed(f"the router {name} did not start:\n{(directory / 'log').read_text()[-2000:]}")
            time.sleep(0.02)
        self.routers[name] = (process, directory / "admin.sock")
        return address

    def stop_router(self, name):
        parts.end(self.routers[name][0])

    def sites_of(self, name):
        return json.loads(parts.admin_get(self.routers[name][1], "/sites"))

    def explain(self, name, client):
        return json.loads(parts.admin_get(self.routers[name][1], f"/route?client={client.prefix.split('/')[0]}&name={NAME}"))

    def stop(self):
        """A list of complaints."""
        wrong = []
        for name, (process, _) in self.routers.items():
            code = parts.end(process)
            if code:
                wrong.append(f"the router {name} ended with {code}")
        for edge in self.edges:
            edge.signal(signal.SIGKILL)
        parts.end(self.origin, signal.SIGQUIT)
        return wrong
