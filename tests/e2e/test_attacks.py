"""Attacks by means of HTTP/2, HTTP/3 and QUIC: each costs the edge and its origin little, and others are served
meanwhile. SKERRY_TEST_LONG=1 measures each of them by itself against the p99 of others."""

import os
import select
import socket
import statistics
import subprocess
import threading
import time

import pytest
from harness import attacks
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


ENDED = [name for name in attacks.NAMES if name not in ("zero window", "initials")]


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


def test_windows_that_stay_closed_cost_little(new_https, origin):
    """2,000 answers that nobody takes: they cost what a stream costs, and end."""
    origin.default = cacheable(b"x" * 100_000, 600)
    edge = new_https(origin, threads=1, timeouts={"write": "1s"})
    Attack("zero window", edge.address).run(1)
    rss, cpu, asked = observe(edge, origin)
    with Attack("zero window", edge.address):
        wait_until(lambda: edge.metrics()["skerry_requests_total"] >= 2000)
        during = observe(edge, origin)
    print([b - a for a, b in zip((rss, cpu, asked), during)])
    assert during[2] == asked
    assert SLOW > 1 or during[0] - rss < 30_000
    wait_until(lambda: edge.metrics()["skerry_connections"] == 0)


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

TURNS = pick(1, 5)  # pairs; each turn takes half a second
WORST = []  # what the long form has measured, for its table


def keep_apart(edge):
    """The edge has a core to itself, so that whoever attacks and whoever measures takes nothing from it but by what it
    does for them; those two share the rest, and the attacker runs only when nobody else wants to (SCHED_IDLE): it stands
    for another machine. The cores that are left; None in the short form, which may run beside anything."""
    cores = sorted(os.sched_getaffinity(0))
    if not LONG or len(cores) < 2:
        return None
    for task in os.listdir(f"/proc/{edge.pid}/task"):
        os.sched_setaffinity(int(task), cores[:1])
    return cores[1:]


def p99(edge, directory, cores, connections=40):
    """Of requests over HTTP/2 by clients that come 80 a second, ten requests each; in seconds."""
    log = directory / "h2load.log"
    log.unlink(missing_ok=True)
    where = ["taskset", "-c", ",".join(map(str, cores))] if cores else []
    out = subprocess.run([*where, "h2load", f"-n{10 * connections}",
                          f"-c{connections}", "-m2", "-r2", "--rate-period=25ms", f"--log-file={log}",
                          f"https://127.0.0.1:{edge.address[1]}/"],
                         capture_output=True, text=True, timeout=limit(60))
    assert f"{10 * connections} succeeded, 0 failed" in out.stdout, out
    times = sorted(int(line.split()[2]) for line in log.read_text().splitlines())
    return times[len(times) * 99 // 100] / 1e6


@pytest.fixture(scope="module")
def table(request):
    """Printed when all is measured, also where output is captured."""
    yield WORST
    if LONG and WORST:
        lines = ["", f"p99 of others, medians of {TURNS} turns without and with the attack", "",
                 "| attack | alone, ms | during, ms | | connections |", "|---|---|---|---|---|"]
        lines += [f"| {name} | {before * 1000:.2f} | {after * 1000:.2f} | x{after / before:.2f} | {made} |"
                  for name, before, after, made in WORST]
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print("\n".join(lines))


@pytest.mark.parametrize("name", attacks.NAMES if LONG else ["all of h2", "all of h3"])
def test_others_are_served_as_fast_during(edge, tmp_path, table, name):
    """Turns with and without the attack, in pairs. The short form only sees that nobody starves."""
    cores = keep_apart(edge)
    p99(edge, tmp_path, cores)
    alone, during = [], []
    for _ in range(TURNS):
        alone.append(p99(edge, tmp_path, cores))
        with Attack(name, edge.address, cores=cores) as attack:
            time.sleep(0.2)
            during.append(p99(edge, tmp_path, cores))
    before, after = statistics.median(alone), statistics.median(during)
    table.append((name, before, after, attack.result["made"]))
    print(f"{name}: p99 {before * 1000:.2f} ms alone, {after * 1000:.2f} ms during ({after / before:.2f}); {attack.result}")
    assert attack.result["made"]
    assert after <= max(2 * before, pick(1 * SLOW, 0))
