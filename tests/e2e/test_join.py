"""`skerry edge --join URL TOKEN`: a machine becomes a node and serves, by one command; later starts need neither token nor
control."""

import signal

import pytest

from harness.client import fetch
from harness.control import SERVER, Control
from harness.edge import run
from harness.origin import reply
from harness.scale import wait_until

pytestmark = [pytest.mark.skipif(SERVER is None, reason="no valkey-server"), pytest.mark.h1_only]
SMALL = ("--memory", "16MiB", "--threads", "1")


@pytest.fixture
def control(tmp_path):
    control = Control(tmp_path / "c")
    control.start()
    yield control
    print(control.log()[-6000:])
    control.stop()


def ask(edge):
    return fetch(edge.address, "/", host="www.example.com")


def site(origin):
    origin.default = reply(b"body", fields=[("Cache-Control", "max-age=0")])
    return {"host": "www.example.com", "origin": origin.url}


def start_again(edge, times):
    edge.process.send_signal(signal.SIGKILL)
    edge.process.wait()
    edge.start(wait=False)
    edge.wait_ready(times)


def test_one_command(control, new_edge, origin):
    """It serves the fleet's configuration from its first request on; with control dead and its token used it starts from
    what is on disk, with a word about the token, and without one as well; and it is still the same node."""
    control.apply([site(origin)])
    state, token = control.directory / "a", control.invite()
    edge = new_edge.bare("--join", control.url, token, "--state", state, "--name", "a", *SMALL)
    assert ask(edge).status == 200
    assert "joined as spiffe://acme/fra/edge/a" in edge.log() and "configuration 1 is there" in edge.log()
    assert (state / "edge.yaml").stat().st_mode & 0o777 == 0o600
    edge.reload()
    control.kill()
    start_again(edge, 2)
    assert ask(edge).status == 200
    assert "is spiffe://acme/fra/edge/a already" in edge.log() and "the invitation is not used" in edge.log()
    edge.arguments.remove(token)
    start_again(edge, 3)
    assert ask(edge).status == 200
    control.start()
    control.apply([{**site(origin), "name": "second"}])
    wait_until(lambda: control.node("a")["configuration"] == 2, 30, "it takes the next one")
    assert list(control.nodes()) == ["spiffe://acme/fra/edge/a"]


def test_with_a_file_and_before_any_configuration(control, new_edge, origin):
    """The file's fleet.state is the folder; what the fleet agrees on later comes by itself."""
    edge = new_edge.text("listen: [LISTEN]\nadmin: unix:ADMIN\nmemory: 16MiB\nthreads: 1\nfleet: {state: node}\n", start=False)
    edge.configuration = edge.configuration.replace("LISTEN", edge.listen).replace("ADMIN", edge.admin_path)
    edge.arguments = ["--join", control.url, control.invite(), "--name", "b"]
    edge.start()
    assert "the fleet has no configuration yet" in edge.log() and (edge.directory / "node" / "node.pem").exists()
    assert ask(edge).status == 421
    control.apply([site(origin)])
    wait_until(lambda: ask(edge).status == 200, 15, "the configuration")


def test_refused(control, tmp_path):
    """Nothing is started that is not a node; and what stands beside --join must make sense."""
    used, state = control.invite(), tmp_path / "s"
    assert control.join(tmp_path / "other", "other", used).returncode == 0

    def refused(code, text, *arguments):
        done = run("edge", *arguments)
        assert done.returncode == code and text in done.stderr, done.stderr
    refused(1, "used before", "--join", control.url, used, "--state", state, "--name", "a")
    refused(2, "begins with skj1.", "--join", control.url, "ska1.x", "--state", state)
    refused(2, "holds no identity yet", "--join", control.url, "--state", state)
    refused(2, "unexpected", "--origin", "http://127.0.0.1:1", "skj1.x")
    refused(2, "belong to --join", "--origin", "http://127.0.0.1:1", "--state", state)
    refused(2, "sites come from the fleet", "--join", control.url, used, "--origin", "http://127.0.0.1:1")
    file = tmp_path / "edge.yaml"
    file.write_text("listen: 127.0.0.1:1\nsites: [{origin: 'http://127.0.0.1:1'}]\n")
    refused(2, "found no fleet.state", "--join", control.url, used, "-c", file)
    assert not (state / "node.pem").exists()
    state.chmod(0o755)
    refused(1, "mode 0700", "--join", control.url, control.invite(), "--state", state)
