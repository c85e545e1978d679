"""`skerry explain` and /explain: what is said to happen is what happens, and saying it changes nothing."""

import json
import threading
import time
from urllib.parse import quote

import pytest

from harness.edge import run
from harness.message import build
from harness.origin import cacheable, reply, sequence
from harness.ranges import Resource

pytestmark = pytest.mark.one_by_one

BODY = b"The quick brown fox jumps over the lazy dog.\n" * 30
URL = "http://example.test"


def explain(edge, target="/a", fields=(), method=None):
    query = "url=" + quote(target if "://" in target else URL + target, safe="")
    if method:
        query += "&method=" + method
    query += "".join("&header=" + quote(f"{name}: {value}", safe="") for name, value in fields)
    response = edge.admin("/explain?" + query)
    assert response.status == 200, response.text
    return json.loads(response.text)


def command(edge, *arguments):
    return run("explain", "--admin", f"unix:{edge.admin_path}", *arguments)


def agrees(edge, target="/a", fields=(), method=None):
    """Explains a request, then makes it; both must tell the same."""
    said = explain(edge, target, fields, method)
    response = edge.fetch(target, method or "GET", fields=list(fields))
    verdict, status = said["verdict"], response.cache_status
    assert verdict["step"].startswith("answer") == response.hit
    if response.hit:
        assert verdict["status"] == response.status
        assert verdict["cache_status"].split(";")[:2] == response["cache-status"].split(";")[:2]
        assert abs(said["freshness"]["ttl"] - status["ttl"]) <= 1
        assert abs(said["freshness"]["current_age"] - response.age) <= 1
    elif response.status == 504:
        assert verdict["step"] == "refuse" and verdict["status"] == 504
    else:
        assert f"fwd={status['fwd']}" in verdict["cache_status"]
    return said


def test_what_is_said_is_what_happens(edge, origin):
    words = [("ETag", '"v1"'), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")]
    origin.on("/a", cacheable(BODY, 60, words))
    assert agrees(edge)["verdict"]["reason"] == "uri-miss"
    assert agrees(edge)["verdict"]["reason"] == "hit"
    assert agrees(edge, fields=[("If-None-Match", '"v1"')])["verdict"]["status"] == 304
    assert agrees(edge, fields=[("Range", "bytes=0-4")])["verdict"]["status"] == 206
    assert agrees(edge, fields=[("Range", "bytes=99999-")])["verdict"]["status"] == 416
    assert agrees(edge, fields=[("Cache-Control", "no-cache")])["verdict"]["reason"] == "request"
    assert agrees(edge, fields=[("Pragma", "no-cache")])["request"]["cache_control"] == {"no-cache": True}
    assert agrees(edge, fields=[("Cache-Control", "only-if-cached")])["verdict"]["reason"] == "hit"
    assert agrees(edge, "/other", fields=[("Cache-Control", "only-if-cached")])["verdict"]["status"] == 504
    assert agrees(edge, method="POST")["verdict"]["reason"] == "method"


@pytest.mark.parametrize("words, reason, step", [
    ("max-age=1", "stale", "validate"),
    ("max-age=1, stale-while-revalidate=60", "stale-while-revalidate", "answer and refresh"),
    ("max-age=1, must-revalidate", "stale", "validate"), ("no-cache", "stale", "validate")])
def test_what_is_stale(edge, origin, words, reason, step):
    origin.on("/a", reply(BODY, fields=[("Cache-Control", words), ("ETag", '"v1"')]))
    edge.fetch("/a")
    time.sleep(2.1)
    said = agrees(edge)
    assert (said["verdict"]["reason"], said["verdict"]["step"]) == (reason, step)


def test_explaining_changes_nothing(edge, origin):
    origin.on("/a", cacheable(BODY, 1))
    explain(edge)
    assert origin.count() == 0
    edge.fetch("/a")
    time.sleep(2.1)
    before = edge.metrics()
    for _ in range(5):
        explain(edge)
    after = edge.metrics()
    assert origin.count() == 1
    assert [name for name in after if name.startswith("skerry_cache") and after[name] != before[name]] == []


def test_the_arithmetic_of_rfc9111_4_2_3(edge, origin):
    origin.on("/a", lambda x: x.sleep(1.2).reply(BODY, fields=[("Cache-Control", "max-age=600"), ("Age", "100")]))
    edge.fetch("/a")
    time.sleep(1.1)
    it = explain(edge)["freshness"]
    assert it["age_value"] == 100 and it["response_delay"] >= 1
    assert it["corrected_age_value"] == it["age_value"] + it["response_delay"]
    assert it["corrected_initial_age"] == max(it["apparent_age"], it["corrected_age_value"])
    assert it["current_age"] == it["corrected_initial_age"] + it["resident_time"] and it["resident_time"] >= 1
    assert it["freshness_lifetime"] == 600 and it["ttl"] == 600 - it["current_age"]


@pytest.mark.parametrize("words, cache, rule, lifetime", [
    ([("Cache-Control", "max-age=60")], {}, "max-age", 60),
    ([("Cache-Control", "max-age=60, s-maxage=30")], {}, "s-maxage", 30),
    ([("Cache-Control", "max-age=60")], {"max_ttl": "10s"}, "max-age", 10),
    ([("Cache-Control", "no-store")], {"override_ttl": "20s"}, "override_ttl", 20),
    ([("ETag", '"x"')], {"default_ttl": "30s"}, "default_ttl", 30),
    ([("Expires", "Fri, 31 Dec 2100 23:59:59 GMT")], {}, "Expires", None),
    ([("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")], {}, "heuristic", 86400)])
def test_which_rule_gave_the_lifetime(new_edge, origin, words, cache, rule, lifetime):
    origin.on("/a", reply(BODY, fields=words))
    edge = new_edge(origin, cache=cache)
    edge.fetch("/a")
    it = explain(edge)["freshness"]
    assert it["rule"] == rule and lifetime in (None, it["freshness_lifetime"])
    assert it.get("capped_by_max_ttl", False) == ("max_ttl" in cache)


def test_the_variant(edge, origin):
    origin.on("/a", lambda x: x.reply(BODY, fields=[("Cache-Control", "max-age=60"), ("Vary", "Accept-Language, X-A")]))
    edge.fetch("/a", fields=[("Accept-Language", "de")])
    said = agrees(edge, fields=[("Accept-Language", "de")])
    assert said["variant"]["request"] == {"accept-language": "de", "x-a": None}
    assert said["variant"]["stored"] == 1 and said["verdict"]["reason"] == "hit"
    assert agrees(edge, fields=[("Accept-Language", "fr")])["verdict"]["reason"] == "vary-miss"


def test_why_a_key_is_passed_for_a_while(edge, origin):
    origin.on("/mine", reply(BODY, fields=[("Cache-Control", "private")]))
    edge.fetch("/mine")
    verdict = explain(edge, "/mine")["verdict"]
    assert (verdict["step"], verdict["reason"], verdict["because"]) == ("pass", "hit-for-miss", "private")
    assert edge.fetch("/mine").cache_status["detail"] == "hit-for-miss"


def test_a_fetch_on_its_way_would_be_joined(edge, origin):
    go = threading.Event()
    origin.on("/a", lambda x: x.wait(go).reply(BODY, fields=[("Cache-Control", "max-age=60")]))
    with edge.connect() as conn:
        conn.send(build(target="/a"))
        origin.wait_for("/a")
        assert explain(edge)["verdict"]["joins"] is True
        go.set()
        conn.response()
    assert explain(edge)["verdict"]["step"] == "answer"


def test_a_body_that_is_still_arriving(edge, origin):
    go = threading.Event()
    origin.on("/a", lambda x: x.head(length=10, fields=[("Cache-Control", "max-age=60")]).send(b"first").wait(go)
              .send(b"later"))
    with edge.connect() as conn:
        conn.send(build(target="/a"))
        conn.head()
        assert conn.read(5) == b"first"
        stored = explain(edge)["stored"]
        assert (stored["body"], stored["bytes"], stored["length"]) == ("arriving", 5, 10)
        go.set()
        conn.read(5)


def test_sites_and_keys(new_edge, origin):
    edge = new_edge(sites=[
        {"name": "shop", "hosts": ["shop.test", "*.shop.test"], "origins": [origin]},
        {"name": "off", "hosts": ["off.test"], "origins": [origin], "cache": {"enabled": False}}])
    said = explain(edge, "http://WWW.shop.test:80/%7ea/../b?q#fragment")
    assert said["site"] == {"name": "shop", "host": "WWW.shop.test", "matched": "*.shop.test"}
    assert said["key"]["text"] == "shop|www.shop.test|/b?q"
    assert explain(edge, "http://off.test/")["verdict"]["reason"] == "bypass"
    refused = explain(edge, "http://nobody.test/")
    assert "site" not in refused and refused["verdict"]["status"] == 421


@pytest.mark.parametrize("query", [
    "", "url=", "url=ftp://a/", "url=http://a/&x=y", "url=http://a/&header=nothing", "url=http://a/&header=",
    "url=http://a/&header=A:%0d%0aB:c", "url=http://a/&header=A%20:b", "url=http://a/&method=G%20T", "url=/a",
    "url=http://a%00b/", "url=http://a/&header=Host:b&header=Host:c", "url=http://a/" + "&header=A:b" * 65])
def test_questions_that_are_none(edge, query):
    response = edge.admin("/explain?" + query)
    assert response.status == 400 and len(response.text.splitlines()) == 1
    assert edge.alive()


# --- the command


def test_the_command_prints_a_page(edge, origin):
    origin.on("/a", cacheable(BODY, 60, [("ETag", '"v1"')]))
    done = command(edge, "example.test/a")
    assert done.returncode == 0 and "uri-miss: nothing is stored for this key" in done.stdout
    edge.fetch("/a")
    page = command(edge, URL + "/a", "-H", "Cache-Control: max-age=30", "-H", "X: é").stdout
    for line in ("GET http://example.test/a", "max-age=30", '"v1"', "apparent_age", "freshness_lifetime", "fresh",
                 "answered from the store with 200", "hit: stored and fresh", "skerry; hit; ttl="):
        assert line in page, page
    assert "\033" not in page


def test_the_command_prints_json(edge, origin):
    origin.on("/a", cacheable(BODY))
    edge.fetch("/a")
    assert json.loads(command(edge, "--json", URL + "/a").stdout)["verdict"]["reason"] == "hit"
    assert json.loads(command(edge, "--json", "-X", "DELETE", URL + "/a").stdout)["verdict"]["reason"] == "method"


def test_the_command_tells_what_is_wrong(edge, tmp_path):
    done = command(edge, "ftp://example.test/")
    assert done.returncode == 2 and "url" in done.stderr
    assert command(edge).returncode == 2
    done = run("explain", "--admin", f"unix:{tmp_path}/none", "http://a/")
    assert done.returncode == 1 and "none" in done.stderr
    assert run("explain", "--help").returncode == 0


def test_what_is_kept_in_slices_says_so(edge, origin):
    content = bytes(600_000)
    origin.on("/big", Resource(content))
    edge.fetch("/big", fields=[("Range", "bytes=0-99")])
    stored = explain(edge, "/big")["stored"]
    assert (stored["body"], stored["slice_bytes"], stored["length"]) == ("in slices", 256 * 1024, len(content))
    assert "of 262144 bytes" in command(edge, URL + "/big").stdout
    edge.fetch("/big")
    origin.on("/a", cacheable(BODY))
    edge.fetch("/a")
    assert explain(edge)["stored"]["body"] == "complete" and "slice_bytes" not in explain(edge)["stored"]
