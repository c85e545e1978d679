"""Certificates by ACME (RFC 8555): ordered from pebble with its faults on, renewed, and never worse than before."""

import json
import os
import signal
import stat
import time

import pytest
from harness.acme import BadAuthority, Pebble, names_of, shown, trusting_anybody, trusting_program
from harness.client import Conn
from harness.edge import run
from harness.origin import reply
from harness.ports import Reservation
from harness.router import Router
from harness.scale import wait_until

ZONE = "$TTL 60\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 127.0.0.1\nwww A 127.0.0.1\nalt A 127.0.0.1\n"
NAME = "www.acme.test"


class Place:
    """An edge with a plain and a TLS listener, a router that serves its names, and an authority."""

    def __init__(self, directory, new_edge, origin, authority):
        self.directory, self.authority, self.origin = directory, authority, origin
        self.program = trusting_program(directory, authority.certificate)
        if not self.program:
            pytest.skip("mount namespaces are not allowed here")
        self.router = Router(directory, {"acme.test": ZONE}, admin=f"unix:{directory}/route.sock").start()
        self.tls = Reservation()
        self.edge = new_edge(origin, start=False)
        self.edge.program = self.program
        self.certificates = [{"names": [NAME]}]
        self.more = {}
        self.ca = None

    def pebble(self, validity=7776000, **more):
        self.ca = Pebble(self.directory, self.authority, self.edge.address[1], self.router.port, validity, **more).start()
        return self.ca

    def bad(self, mischief):
        self.ca = BadAuthority(self.authority)
        self.ca.mischief = mischief
        return self.ca

    def configure(self, **more):
        self.more.update(more)
        self.edge.configuration.update(
            listeners=[{"address": str(self.tls)}],
            acme={"directory": self.ca.url, "email": "ops@acme.test", "agree_to_terms": True,
                  "state": str(self.directory / "acme"), "check": "1s", "retry": "1s", "timeout": "20s",
                  "certificates": self.certificates, **self.more})
        return self.edge.configuration

    def start(self, **more):
        self.configure(**more)
        self.edge.start()
        return self

    def shown(self, name=NAME):
        return shown(self.tls.address, name)

    def wait_shown(self, name=NAME, other_than=None, timeout=30):
        def there():
            found = self.shown(name)
            return found and (other_than is None or found.serial_number != other_than.serial_number)
        try:
            wait_until(there, timeout, "a certificate")
        except AssertionError:
            pytest.fail(f"no certificate came:\n{self.edge.log()[-3000:]}\n{getattr(self.ca, 'log', str)()[-3000:]}")
        return self.shown(name)

    def told(self):
        return json.loads(self.edge.admin("/certificates").text)["acme"][0]

    def wait_told(self, word, timeout=30):
        wait_until(lambda: self.told()["last"] == word, timeout, f"an order that is {word}: {self.told()}")
        return self.told()

    def stop(self):
        if self.ca:
            self.ca.stop()
        try:
            self.edge.stop()
        finally:  # an edge may end with a complaint
            self.router.stop()
        self.tls.close()


@pytest.fixture
def place(tmp_path, new_edge, origin, authority):
    made = Place(tmp_path, new_edge, origin, authority)
    yield made
    made.stop()


@pytest.mark.begins_first
def test_the_first_certificate_and_its_files(place):
    place.certificates = [{"names": [NAME, "alt.acme.test"]}]
    place.pebble()
    place.start()
    found = place.wait_shown()
    assert names_of(found) == ["alt.acme.test", NAME]
    state = place.directory / "acme"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / f"{NAME}.pem").stat().st_mode) == 0o600
    assert place.told()["usable"] and place.told()["failures"] == 0
    metrics = place.edge.metrics()
    assert metrics['skerry_acme_orders_total{result="issued"}'] == 1
    assert 89 < metrics[f'skerry_certificate_days_left{{name="{NAME}"}}'] <= 90
    page = run("certs", "--admin", f"unix:{place.edge.admin_path}").stdout
    assert NAME in page and "issued" in page
    # challenges go to the origin again, now that no order runs
    place.origin.on("/.well-known/acme-challenge/x", reply(body=b"the origin's"))
    assert place.edge.fetch("/.well-known/acme-challenge/x").body == b"the origin's"
    assert place.origin.count("/.well-known/acme-challenge/x") == 1
    # restarted, it is there at once, and nobody is asked for another one
    orders = place.ca.count("There are now")
    place.edge.stop()
    place.configure(check="1h")
    place.edge.start(wait=False).wait_ready(2)
    assert place.shown().serial_number == found.serial_number
    assert place.ca.count("There are now") == orders


@pytest.mark.begins_first
def test_renewed_under_load_without_a_lost_connection(place):
    place.pebble(validity=8)
    place.start()
    first = place.wait_shown()
    place.origin.on("/a", reply(body=b"a", fields=[("Cache-Control", "max-age=60")]))
    with Conn(place.tls.address, tls=trusting_anybody()) as conn:
        def renewed():
            assert conn.get("/a").body == b"a"
            return place.shown().serial_number != first.serial_number
        wait_until(renewed, 30, "a second certificate")
        second = place.shown()
        assert conn.get("/a").body == b"a"
    assert second.not_valid_after_utc > first.not_valid_after_utc
    assert second.public_key() == first.public_key()


def test_a_wildcard_by_dns_01(place):
    place.certificates = [{"names": ["*.acme.test", "acme.test"], "challenge": "dns-01"}]
    place.pebble()
    place.start(routers=[f"unix:{place.directory}/route.sock"])
    assert names_of(place.wait_shown()) == ["*.acme.test", "acme.test"]
    wait_until(lambda: not place.router.ask("_acme-challenge.acme.test", "TXT").answer, 10, "the records' end")


def test_killed_amid_an_order_the_next_start_ends_it(place):
    place.pebble()
    place.start()
    wait_until(lambda: place.ca.count("Attempting to validate"), 20, "an order")
    os.kill(place.edge.pid, signal.SIGKILL)
    place.edge.expected_codes = {0, -signal.SIGKILL, -signal.SIGPIPE}  # the client has nobody to talk to any more
    wait_until(lambda: not place.edge.alive(), 10, "the end")
    place.edge.start(wait=False).wait_ready(2)
    assert names_of(place.wait_shown()) == [NAME]


MISCHIEF = [
    ("wrong names", "refused", f"the certificate is not for {NAME}"),
    ("rate limit", "limited", "too many of them"),
    ("endless", "timed_out", ""),
]
# tests/unit/acme/test_held.c has these too, below the client
MORE_MISCHIEF = [
    ("another key", "refused", "the key does not belong to this certificate"),
    ("not yet valid", "refused", "the certificate is not valid yet"),
    ("expired", "refused", "the certificate has expired"),
    ("huge", "refused", "the certificate is too large"),
]


@pytest.mark.one_by_one
@pytest.mark.parametrize("mischief,word,why", MISCHIEF + (MORE_MISCHIEF if os.environ.get("SKERRY_TEST_LONG") else []))
def test_what_a_bad_authority_gives_replaces_nothing(place, mischief, word, why):
    place.bad("none")
    place.start(check="1h")
    first = place.wait_shown()
    place.ca.mischief = mischief
    (place.directory / "acme" / f"{NAME}.pem").rename(place.directory / "kept.pem")
    (place.directory / "acme" / f"{NAME}.pem.state").unlink()
    (place.directory / "acme" / "client" / NAME / "cert.pem").unlink()
    place.edge.reload(place.configure(timeout="2s" if mischief == "endless" else "20s"))
    told = place.wait_told(word)
    assert why in told["why"] and told["failures"] >= 1, told
    assert told["next"] - told["last_at"] >= (12 if word in ("refused", "limited") else 1)
    assert not (place.directory / "acme" / f"{NAME}.pem").exists()
    assert f"ERROR acme: {NAME}" in place.edge.log().replace("error", "ERROR")
    # what was there is used again, and mended authorities are asked again on request
    place.ca.mischief = "none"
    place.edge.reload(place.configure(timeout="20s"))
    assert place.edge.admin("/certificates/retry", "POST").status == 200
    second = place.wait_shown(other_than=first)
    assert names_of(second) == [NAME]
    assert place.told()["last"] == "issued" and place.told()["failures"] == 0


@pytest.mark.one_by_one
@pytest.mark.begins_first
def test_an_authority_that_is_away_leaves_the_old_one(place):
    place.bad("none")
    place.start()
    first = place.wait_shown()
    place.ca.stop()
    told = place.wait_told("failed")
    assert told["usable"] and place.shown().serial_number == first.serial_number
    assert 'the old certificate stays in force' in place.edge.log()
    assert place.edge.metrics()['skerry_acme_orders_total{result="failed"}'] >= 1


@pytest.mark.one_by_one
def test_no_client_is_told(place):
    place.bad("none")
    place.start(client="/nowhere/uacme")
    assert "/nowhere/uacme" in place.wait_told("no_client")["why"]
    assert place.shown() is None


def test_of_two_edges_with_one_folder_one_orders(place, new_edge):
    place.bad("none")
    place.start(check="1h")
    first = place.wait_shown()
    other = Reservation()
    second = new_edge(place.origin, start=False)
    second.program = place.program
    second.configuration.update(listeners=[{"address": str(other)}], acme=place.edge.configuration["acme"])
    second.admin_path += "2"
    second.start()
    assert shown(other.address, NAME).serial_number == first.serial_number
    time.sleep(0.5)
    assert place.ca.orders == 1
    second.stop()
    other.close()


@pytest.mark.one_by_one
@pytest.mark.parametrize("change,problem", [
    ({"agree_to_terms": False}, "acme.agree_to_terms"),
    ({"directory": "http://ca.test/dir"}, "acme.directory"),
    ({"email": "-x"}, "acme.email"),
    ({"certificates": []}, "acme.certificates"),
    ({"certificates": [{"names": []}]}, "at least one"),
    ({"certificates": [{"names": ["*.a.test"]}]}, "expected challenge: dns-01"),
    ({"certificates": [{"names": ["*"]}]}, "found *"),
    ({"certificates": [{"names": ["a.test", "a.test"]}]}, "twice"),
    ({"certificates": [{"names": ["a.test"]}, {"names": ["*.a.test"], "challenge": "dns-01"}]}, "files are called after it"),
    ({"certificates": [{"names": ["a.test"], "challenge": "dns-01"}]}, "found challenge dns-01 but no routers"),
])
def test_what_cannot_work_is_told_before(tmp_path, change, problem):
    acme = {"agree_to_terms": True, "certificates": [{"names": ["a.test"]}], **change}
    file = tmp_path / "edge.yaml"
    file.write_text(json.dumps({"listen": "https://127.0.0.1:8443", "acme": acme,
                                "sites": [{"origin": "http://127.0.0.1:1"}]}))
    done = run("check", file)
    assert done.returncode == 2 and problem in done.stderr, done.stderr
    acme = {"agree_to_terms": True, "certificates": [{"names": ["a.test"]}]}
    file.write_text(json.dumps({"listen": "https://127.0.0.1:8443", "acme": acme,
                                "sites": [{"origin": "http://127.0.0.1:1"}]}))
    assert run("check", file).returncode == 0
