"""Issue 6, line 4: with control and Valkey both dead, edges serve every request; killed, restarted and upgraded too."""

import os
import signal
import time

import pytest

from harness import scale
from harness.control import SERVER
from harness.load import Load
from harness.scale import wait_until

pytestmark = pytest.mark.skipif(SERVER is None, reason="no valkey-server")

HOST = "www.example.com"
EDGE = """
listen: [LISTEN]
admin: unix:ADMIN
memory: 64MiB
threads: 1
fleet: {state: DIR/node, bus: "unix:BUS", silence: 2s}
"""


def new_node(new_edge, control, name):
    edge = new_edge.text(EDGE, start=False)
    bus = control.directory / "state/valkey/valkey.sock"
    edge.write(EDGE.replace("LISTEN", edge.listen).replace("ADMIN", edge.admin_path)
               .replace("DIR", str(edge.directory)).replace("BUS", str(bus)))
    edge.expected_codes = {0, -signal.SIGKILL}
    done = control.join(edge.directory / "node", name)
    assert done.returncode == 0, done.stderr
    return edge.start()


@pytest.mark.begins_first
def test_every_request_is_served_with_control_and_valkey_dead(control, new_edge, origin):
    origin.default = lambda x: x.reply(b"body", fields=[("Cache-Control", "max-age=3600"), ("ETag", '"v"')])
    edges = [new_node(new_edge, control, name) for name in ("a", "b", "c")]
    control.apply([{"host": HOST, "origin": origin.url}])
    for edge in edges:
        wait_until(lambda edge=edge: edge.fetch("/a", host=HOST).status == 200, 15, "the configuration")
    steady, upgraded, restarted = edges
    targets = [f"/{i}" for i in range(20)]
    control.kill(valkey=True)
    with Load(steady.address, targets, connections=4, rate=200, host=HOST) as one, \
            Load(upgraded.address, targets, connections=4, rate=200, host=HOST) as two:
        wait_until(lambda: steady.metrics()["skerry_bus_silent"] == 1, 15, "the silence to be noticed")
        upgraded.upgrade()
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in restarted.family.pids():
                os.kill(pid, number)
            restarted.wait_end()
            ready = restarted.log().count("ready in")
            restarted.start(wait=False)
            restarted.wait_ready(ready + 1)
            assert all(restarted.fetch(target, host=HOST).status == 200 for target in targets)
        time.sleep(scale.pick(2, 60))
    for load in (one, two):
        assert load.result["failed"] == 0 and load.result["ok"] > 200, load.result
    assert all(edge.metrics()["skerry_fleet_configuration"] == 1 for edge in edges)
