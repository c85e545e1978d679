"""OCSP stapling: what the authority says of a certificate is asked for, judged, shown, kept, and gone when it is over."""

import json
import os
import re
import subprocess

import pytest
from harness.certs import Authority
from harness.edge import run
from harness.ocsp import Answer, Responder
from harness.scale import LONG, seconds, wait_until


@pytest.fixture
def responder(authority):
    made = Responder(authority)
    yield made
    made.stop()


@pytest.fixture
def new_stapler(new_edge, origin):
    """An edge whose one listener shows CERTIFICATES."""
    def make(*certificates, **listener):
        edge = new_edge(origin, start=False)
        edge.configuration.update(listen=None, certificates=list(certificates),
                                  listeners=[{"address": edge.listen, **listener}])
        return edge.start()
    return make


def shown(edge, *arguments, name="localhost"):
    """What a client is shown beside the certificate: "good", "revoked" or None."""
    done = subprocess.run(["openssl", "s_client", "-connect", edge.listen, "-servername", name, "-status", *arguments],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds(20))
    text = (done.stdout + done.stderr).decode(errors="replace")
    found = re.search(r"Cert Status: (\w+)", text)
    assert found or "OCSP response: no response sent" in text, text
    return found and found[1]


def told(edge, index=0):
    return json.loads(edge.admin("/certificates").text)["certificates"][index]["ocsp"]


def wait_told(edge, word, index=0):
    wait_until(lambda: told(edge, index)["status"] == word, what=f"a status that is {word}: {told(edge, index)}")
    return told(edge, index)


def answers(edge, word):
    return edge.metrics()[f'skerry_ocsp_answers_total{{status="{word}"}}']


def test_a_good_status_is_shown_by_every_protocol(new_stapler, responder):
    edge = new_stapler(responder.certificate("good"))
    found = wait_told(edge, "good")
    assert found["next_update"] - found["this_update"] == 3660 and found["failures"] == 0
    assert found["this_update"] + 1830 <= found["next"] < found["next_update"]
    assert shown(edge, "-tls1_3") == "good" and shown(edge, "-tls1_2") == "good"
    assert shown(edge, "-quic", "-alpn", "h3") == "good"  # RFC 9001 section 4: the handshake is TLS's
    metrics = edge.metrics()
    ages = [value for name, value in metrics.items() if name.startswith("skerry_ocsp_age_seconds")]
    assert len(ages) == 1 and 60 <= ages[0] < 300
    assert metrics['skerry_ocsp_answers_total{status="good"}'] == 1 == responder.count("good")
    page = run("certs", "--admin", f"unix:{edge.admin_path}").stdout
    assert "good" in page and "STATUS" in page
    # a reload does not ask again, and shows it from its first connection on
    for _ in range(3):
        edge.reload()
        assert shown(edge) == "good"
    assert responder.count("good") == 1


def test_each_kind_of_key_has_its_own(new_stapler, responder):
    edge = new_stapler(responder.certificate("ecdsa"), responder.certificate("rsa", Answer("revoked"), rsa=True))
    wait_told(edge, "good", 0)
    wait_told(edge, "revoked", 1)
    assert shown(edge, "-tls1_3") == "good"
    assert shown(edge, "-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256") == "revoked"


def test_revoked_is_shown_and_cried_out(new_stapler, responder):
    edge = new_stapler(responder.certificate("revoked", Answer("revoked")))
    wait_told(edge, "revoked")
    assert shown(edge) == "revoked"
    assert "THE CERTIFICATE IS REVOKED" in edge.log() and answers(edge, "revoked") == 1


def test_what_may_not_be_shown(new_stapler, responder, authority, tmp_path):
    other, _ = authority.files(label="somebody-else")
    cases = {
        "expired": (Answer(life=-30, age=3600), "the response has expired"),
        "future": (Answer(age=-3000), "not valid yet"),
        "foreign": (Answer(authority=Authority(tmp_path, "Another authority")), "not signed by the issuer"),
        "serial": (Answer(about=other), "about another certificate"),
        "unknown": (Answer("unknown"), "does not know the certificate"),
        "large": (Answer(junk=b"x" * 70_000), "over a limit"),
        "junk": (Answer(junk=b"nonsense"), "no OCSP response"),
        "empty": (Answer(junk=b""), "no OCSP response"),
        "error": (Answer(junk=b"", http=500), "answers 500"),
        "moved": (Answer(junk=b"", http=302), "answers 302"),
    }
    if LONG:
        cases["slow"] = (Answer(wait=15), "timed out")
    given = [responder.certificate(label, answer, names=[f"DNS:{label}.test"]) for label, (answer, _) in cases.items()]
    edge = new_stapler(*given)
    wait_until(lambda: answers(edge, "failed") == len(cases), 30, "every answer to be refused")
    for i, (label, (_, said)) in enumerate(cases.items()):
        found = told(edge, i)
        assert found["status"] == "none" and found["failures"] == 1 and said in found["why"], (label, found)
        assert shown(edge, name=f"{label}.test") is None
        assert responder.count(label) == 1  # it is not asked again at once
        assert re.search(rf"ocsp-{label}.pem: no new status: .*{said}", edge.log()), label
    assert answers(edge, "good") == 0


def test_after_a_failure_it_is_asked_again(new_stapler, responder):
    edge = new_stapler(responder.certificate("late", Answer(junk=b"", http=503)))
    wait_until(lambda: answers(edge, "failed") == 1, what="a failure")
    responder.answers["/late"] = Answer()
    assert b"1" in edge.admin("/certificates/retry", "POST").body
    assert wait_told(edge, "good")["failures"] == 0
    assert shown(edge) == "good"


def start_again(edge):
    before = edge.log().count("ready in")
    edge.start()
    wait_until(lambda: edge.log().count("ready in") > before, what="the next process")


def test_it_outlives_the_process(new_stapler, responder):
    given = responder.certificate("kept")
    edge = new_stapler(given)
    wait_told(edge, "good")
    wait_until(lambda: os.path.exists(given["cert"] + ".ocsp"), what="the file")
    responder.answers["/kept"] = Answer(junk=b"", http=500)
    edge.upgrade()
    assert shown(edge) == "good"
    edge.stop()
    start_again(edge)
    assert shown(edge) == "good" and told(edge)["failures"] == 0
    assert responder.count("kept") == 1
    # what is kept is judged like what comes
    edge.stop()
    with open(given["cert"] + ".ocsp", "r+b") as file:
        file.seek(-10, os.SEEK_END)
        file.write(b"0123456789")
    start_again(edge)
    wait_until(lambda: answers(edge, "failed") == 1, what="another try")
    assert shown(edge) is None


def test_a_newer_one_comes_at_half_of_its_life(new_stapler, responder):
    edge = new_stapler(responder.certificate("short", Answer(life=6, age=0)))
    first = wait_told(edge, "good")
    wait_until(lambda: told(edge)["this_update"] > first["this_update"], 20, "a newer one")
    assert shown(edge) == "good" and responder.count("short") >= 2


def test_an_expired_one_is_shown_no_more(new_stapler, responder):
    given = responder.certificate("brief", Answer(life=6, age=0))
    edge = new_stapler(given)
    wait_told(edge, "good")
    responder.answers["/brief"] = Answer(junk=b"", http=500)
    wait_until(lambda: told(edge)["status"] == "none", 20, "the end of its time")
    assert shown(edge) is None and "shown no more" in edge.log()
    assert [value for name, value in edge.metrics().items() if name.startswith("skerry_ocsp_age")] == [-1]


def test_a_certificate_that_insists_is_told_of(new_stapler, responder):
    must = responder.certificate("must", Answer(junk=b"", http=500), more=["tlsfeature=status_request"])
    edge = new_stapler(must)
    wait_until(lambda: "clients that look refuse the certificate" in edge.log(), what="the complaint")
    assert "ERROR" in [line for line in edge.log().splitlines() if "refuse the certificate" in line][0].upper()
    edge.stop()
    edge = new_stapler({**must, "ocsp": False})
    assert "asks for its status beside it, but `ocsp` is false" in edge.log()


def test_it_can_be_left_out(new_stapler, responder):
    edge = new_stapler({**responder.certificate("silent"), "ocsp": False}, responder.certificate("loud"))
    wait_told(edge, "good", 1)
    assert "ocsp" not in json.loads(edge.admin("/certificates").text)["certificates"][0]
    assert shown(edge) is None and responder.count("silent") == 0
