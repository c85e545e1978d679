"""Attacks by means of HTTP/2, HTTP/3 and QUIC: each costs the edge and its origin little, and others are served
meanwhile. SKERRY_TEST_LONG=1 measures each of them by itself against the p99 of others (six minutes, then a table)."""

import os
import select
import socket
import subprocess
import threading
import time

import pytest
from harness import attacks, others
from harness.attacks import Attack
from harness.h2client import Raw
from harness.origin import cacheable
from harness.scale import LONG, SLOW, limit, pick, seconds, wait_until

CALM = 11


@pytest.fixture
def edge(new_https, origin):
    origin.default = cacheable(b"x" * 1000, 600)
    return new_https(origin, threads=1)


def observe(edge, origin):
    return edge.rss_kib(), edge.cpu_seconds(), origin.count()


ENDED = [name for name in attacks.NAMES if name not in attacks.STAYING]


@pytest.mark.parametrize("name", ENDED)
def test_an_attack_is_ended_and_costs_little(edge, origin, name):
    """Every connection of it is ended, for what an honest one may cost; nothing reaches the origin, nothing stays."""
    connections = pick(2, 20)
    Attack(name, edge.address).run(1)
    rss, cpu, asked = observe(edge, origin)
    result = Attack(name, edge.address).run(connections)
    after = observe(edge, origin)
    print(name, result, [b - a for a, b in zip((rss, cpu, asked), after)])
    assert result["ended"] == result["made"] == connections, result
    assert after[2] - asked <= 1
    assert (after[1] - cpu) / connections < 0.1 * SLOW
    assert SLOW > 1 or after[0] - rss < 2000 + 100 * connections
    wait_until(lambda: edge.metrics()["skerry_connections"] == 0)


@pytest.mark.parametrize("name", ["zero window", "h3 zero window"])
def test_windows_that_stay_closed_cost_little(new_https, origin, name):
    """2,000 answers that nobody takes: they cost what a stream costs, and end."""
    origin.default = cacheable(b"x" * 100_000, 600)
    edge = new_https(origin, threads=1, timeouts={"write": "1s", "keep_alive": "1s"})
    Attack(name, edge.address).run(1)
    rss, cpu, asked = observe(edge, origin)
    with Attack(name, edge.address):
        wait_until(lambda: edge.metrics()["skerry_requests_total"] >= 2000)
        during = observe(edge, origin)
    print([b - a for a, b in zip((rss, cpu, asked), during)])
    assert during[2] == asked
    assert SLOW > 1 or during[0] - rss < 30_000
    wait_until(lambda: edge.metrics()["skerry_connections"] == 0)


def test_pings_cost_what_their_packets_do(edge, origin):
    """QUIC's are answered within the acknowledgement that each packet gets: nothing waits, nothing is kept."""
    Attack("h3 pings", edge.address).run(1)
    rss, cpu, asked = observe(edge, origin)
    before = edge.metrics()['skerry_quic_datagrams_total{direction="received"}']
    Attack("h3 pings", edge.address).run(2)
    after, packets = observe(edge, origin), edge.metrics()['skerry_quic_datagrams_total{direction="received"}'] - before
    print(packets, [b - a for a, b in zip((rss, cpu, asked), after)])
    assert packets > 100 and (after[1] - cpu) / packets < 0.001 * SLOW
    assert SLOW > 1 or after[0] - rss < 2000
    assert after[2] == asked


def miss(s):
    return bytes.fromhex("8287") + b"\x04\x06/%05d\x41\x0cexample.test" % s


def test_rapid_reset_of_misses_reaches_the_origin_only_so_often(edge, origin, authority):
    """Each reset is charged, and the slot is held until its work has ended."""
    go = threading.Event()
    origin.default = lambda x: x.wait(go).reply(b"x", fields=[("Cache-Control", "no-store")])
    with Raw(edge.address, authority.client()) as raw:
        raw.socket.settimeout(limit(5))
        for i in range(20):
            raw.send(attacks.streams(i, lambda s: attacks.frame(attacks.HEADERS, 5, s, miss(s)), 50))
            time.sleep(seconds(0.02))  # so that they are begun
            if not raw.send(attacks.streams(i, lambda s: attacks.frame(attacks.RST, 0, s, bytes(4)), 50)):
                break
        assert raw.read_to_end() and raw.goaway_code == CALM
    asked = origin.count()
    go.set()
    print("requests of one connection that reached the origin:", asked)
    assert asked <= 600


def test_resets_are_charged_after_our_own_goaway(edge, origin, authority):
    """MadeYouReset: while the last answers of a connection that was told to go are on their way."""
    go = threading.Event()
    origin.on("/slow", lambda x: x.wait(go).reply(b"slow"))
    slow = bytes.fromhex("8287") + b"\x04\x05/slow\x41\x0cexample.test"
    with Raw(edge.address, authority.client()) as raw:
        raw.socket.settimeout(limit(5))
        raw.send(attacks.frame(attacks.HEADERS, 5, 1, slow))
        origin.wait_for("/slow")
        edge.send_signal(15)
        time.sleep(seconds(1.3))  # the first word, and a second later the last one
        for i in range(attacks.ROUNDS * 5):
            if not raw.send(attacks.streams(i, lambda s: attacks.frame(attacks.HEADERS, 5, s + 2, attacks.HEAD) +
                                            attacks.frame(attacks.WINDOW, 0, s + 2, bytes(4)))):
                break
        assert raw.read_to_end(), "the connection is still there"
        assert i < attacks.ROUNDS * 5 - 1 and raw.goaway_code == CALM
    go.set()
    assert origin.count() == 1


# --- QUIC before there is a connection


def test_initials_from_everywhere_cost_little(new_https, origin):
    """RFC 9000 8.1.2: beyond some hundred, who has proved nothing is asked to; one that does so is served."""
    from harness.h3client import Client as H3
    origin.default = cacheable(b"x" * 1000, 600)
    edge = new_https(origin, threads=1, timeouts={"header": "60s"})
    with H3(edge.address) as client:
        assert client.get("/").status == 200
    rss, cpu, asked = observe(edge, origin)
    count = pick(600, 20_000)
    Attack("initials", edge.address).run(count, timeout=120)
    after, metrics = observe(edge, origin), edge.metrics()
    print([b - a for a, b in zip((rss, cpu, asked), after)], metrics["skerry_quic_retries_total"])
    with H3(edge.address) as client:
        assert client.get("/").status == 200
    assert metrics["skerry_quic_retries_total"] >= count - 256 - 20
    assert (after[1] - cpu) / count < 0.003 * SLOW
    assert SLOW > 1 or after[0] - rss < 40_000
    assert after[2] == asked


def relayed(edge, seconds_):
    """curl (its hello has a share of X25519MLKEM768 and so takes two datagrams) asks, and hears nothing: what passed
    in each direction, as (from curl, from the edge), after each datagram."""
    inner, outer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    inner.bind(("127.0.0.1", 0))
    outer.connect(edge.address)
    curl = subprocess.Popen(["curl", "-sk", "--http3-only", "--max-time", str(seconds_), "-o", os.devnull,
                             f"https://127.0.0.1:{inner.getsockname()[1]}/"])
    counts, sent, received = [], 0, 0
    while curl.poll() is None:
        for ready in select.select([inner, outer], [], [], 0.05)[0]:
            data = ready.recv(65536)
            if ready is inner:
                sent += len(data)
                outer.send(data)
            else:
                received += len(data)
            counts.append((sent, received))
    inner.close()
    outer.close()
    return counts


def test_rfc9000_8_1_a_hybrid_handshake_is_no_amplifier(edge):
    counts = relayed(edge, pick(2, 8))
    sent, received = counts[-1]
    worst = max(received / sent for sent, received in counts)
    print(f"{sent} bytes in, {received} out; at most {worst:.2f} times")
    assert sent > 2400 and received > 1200 and worst <= 3
    subprocess.run(["curl", "-sk", "--http3-only", "-o", os.devnull, f"https://127.0.0.1:{edge.address[1]}/"], check=True)
    assert edge.access_log(1)[0]["tls_group"] == "X25519MLKEM768"


# --- others meanwhile

MEASURED = []  # by the long form, for its table


@pytest.fixture(scope="module")
def table(request):
    """Printed when all is measured, also where output is captured."""
    yield MEASURED
    if LONG and MEASURED:
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(others.table(MEASURED))


@pytest.mark.parametrize("name", attacks.NAMES if LONG else ["all of h2", "all of h3"])
def test_others_are_served_as_fast_during(edge, tmp_path, table, name):
    """The short form only sees that nobody starves."""
    result = others.measure(name, edge, tmp_path, pick(1, 5))
    table.append(result)
    print(result)
    assert result.made
    assert result.during <= max(2 * result.alone, pick(0.25 * SLOW, 0))
