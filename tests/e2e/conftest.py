"""Fixtures: a running edge, scripted origins, certificates. Each test has its own unless it says otherwise."""

import os
import subprocess
import sys

import pytest

from harness import certs, protocol, scale
from harness.control import Control
from harness.edge import Edge
from harness.origin import Origin

sys.dont_write_bytecode = True


BUILD = os.environ.get("SKERRY_BUILD", "release")


def pytest_collection_modifyitems(items):
    marks = {"asan": ["release_only"], "tsan": ["release_only", "one_by_one"]}.get(BUILD, [])
    if not scale.LONG:
        items[:] = [item for item in items if not any(item.get_closest_marker(mark) for mark in marks)]
    items.sort(key=lambda item: item.get_closest_marker("begins_first") is None)
    for item in items:
        if protocol.NAME != "h1" and item.get_closest_marker("h1_only"):
            item.add_marker(pytest.mark.skip(reason="HTTP/1.1 only"))
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(scale.limit(scale.pick(60, 1200))))


@pytest.fixture
def new_origin():
    """Starts origins; stops them at the end and fails when a script found something wrong."""
    origins = []

    def make(**more):
        origins.append(Origin(**more))
        return origins[-1]

    yield make
    for origin in origins:
        origin.stop()
    assert not [error for origin in origins for error in origin.errors]


@pytest.fixture
def origin(new_origin):
    return new_origin()


@pytest.fixture
def new_edge(tmp_path):
    """Starts edges: new_edge(origin, ..., limits={...}) with a file, new_edge.bare(ARGUMENTS) without."""
    edges = EdgeMaker(tmp_path)
    yield edges
    edges.stop()


@pytest.fixture
def edge(new_edge, origin):
    """An edge with its defaults in front of `origin`."""
    return new_edge(origin)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """An edge and an origin for a whole table of cases: shared.edge, shared.origin."""
    origin = Origin()
    edges = EdgeMaker(tmp_path_factory.mktemp("shared"))

    class Pair:
        pass

    pair = Pair()
    pair.origin, pair.edges = origin, edges
    pair.edge = edges(origin)
    yield pair
    edges.stop()
    origin.stop()
    assert not origin.errors


@pytest.fixture
def new_control(tmp_path):
    """Makes controls: new_control(certificate_life="6s").start(). They and their Valkeys end with the test, whatever became
    of it."""
    controls = []

    def make(name="c", **more):
        controls.append(Control(tmp_path / name, **more))
        return controls[-1]

    yield make
    failures = []
    for control in reversed(controls):
        try:
            control.stop()
        except (AssertionError, subprocess.TimeoutExpired) as failure:
            failures.append(str(failure))
        print(f"--- {control.log_path}\n{control.log()[-6000:]}")
    assert not failures, "\n".join(failures)


@pytest.fixture
def control(new_control):
    """A control that runs, with a Valkey of its own."""
    return new_control().start()


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return certs.Authority(tmp_path_factory.mktemp("authority"))


class EdgeMaker:
    def __init__(self, directory):
        self.directory, self.edges = directory, []

    def __call__(self, *origins, start=True, arguments=None, **configuration):
        """A configuration of one site with these origins (Origin, URL or a dictionary); see harness/config.py."""
        return self._add(arguments, {"origins": list(origins), **configuration}, start)

    def bare(self, *arguments, start=True):
        return self._add([str(argument) for argument in arguments], None, start)

    def text(self, yaml, start=True):
        """From YAML text in which LISTEN, ADMIN and DIR stand for this edge's own."""
        return self._add(None, yaml, start)

    def _add(self, arguments, configuration, start):
        directory = self.directory / f"edge{len(self.edges)}"
        directory.mkdir()
        edge = Edge(directory, arguments, configuration)
        self.edges.append(edge)
        return edge.start() if start else edge

    def stop(self):
        failures = []
        protocol.leave()
        for edge in self.edges:
            try:
                edge.stop()
            except AssertionError as failure:
                failures.append(str(failure))
            print(f"--- {edge.log_path}\n{edge.log()[-6000:]}")
        assert not failures, "\n".join(failures)


@pytest.fixture
def new_https(new_edge, authority):
    """new_https(origin, listener={...}, site options...): an edge with one TLS listener, and so HTTP/1.1, 2 and 3."""
    cert, key = authority.files()

    def make(*origins, listener=None, **more):
        edge = new_edge(*origins, start=False, **more)
        edge.configuration.update(listen=None, certificates=[{"cert": str(cert), "key": str(key)}],
                                  listeners=[{"address": edge.listen, **(listener or {})}])
        return edge.start()
    return make
