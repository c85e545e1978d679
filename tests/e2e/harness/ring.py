"""Edges that share their caches: a fleet's authority, a certificate for each node, and the list of all of them."""

from .certs import Authority
from .ports import Reservation
from .scale import duration

FLEET = "acme"


class Node:
    def __init__(self, name, pop):
        self.name, self.pop, self.edge = name, pop, None
        self.reservation = Reservation()
        self.address = str(self.reservation)

    @property
    def label(self):
        return f"{self.pop}/{self.name}"


class Ring:
    """new_edge is the fixture; NODES are names, or POP/NAME. What is not `sites` goes to each edge's file."""

    def __init__(self, directory, new_edge, nodes):
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.authority = Authority(directory, "Nodes of acme")
        self.new_edge = new_edge
        self.nodes = [Node(name.split("/")[-1], name.split("/")[0] if "/" in name else "home") for name in nodes]

    def certificate(self, name, pop="home", role="edge", fleet=FLEET, label="node"):
        return self.authority.files(names=(f"URI:spiffe://{fleet}/{pop}/{role}/{name}",), label=f"{label}-{pop}-{name}")

    def peers(self, node, **more):
        cert, key = self.certificate(node.name, node.pop)
        words = {"listen": node.address, "ca": str(self.authority.certificate), "cert": str(cert), "key": str(key),
                "warm_up": "0s", "state": str(self.directory / f"{node.pop}-{node.name}"),
                "patience": duration(5),  # who is slow in a test under load is not gone
                "nodes": [{"name": each.name, "pop": each.pop, "address": each.address} for each in self.nodes], **more}
        return {key: value for key, value in words.items() if value is not None}

    def start(self, *origins, nodes=None, peers=None, **more):
        for node in nodes or self.nodes:
            node.edge = self.new_edge(*origins, peers=self.peers(node, **(peers or {})),
                                      server_name=f"{node.pop}-{node.name}", **{"threads": 1, "memory": "16MiB", **more})
        return self

    @property
    def edges(self):
        return [node.edge for node in self.nodes]

    def total(self, metric):
        return sum(edge.metrics()[metric] for edge in self.edges if edge.alive())
