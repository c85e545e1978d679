"""Rules of paths, lifetimes by status, and errors that do not replace what is good."""

import time

import pytest

from harness.edge import run
from harness.origin import cacheable, reply, sequence
from harness.scale import wait_until

pytestmark = pytest.mark.one_by_one

FRESH = [("Cache-Control", "max-age=60")]


def kept(edge, path="/a", **more):
    edge.fetch(path, **more)
    return edge.fetch(path, **more).hit


def test_the_first_rule_that_matches_holds(new_edge, origin):
    origin.default = reply(b"b")
    edge = new_edge(origin, rules=[
        {"path": "/static/private/*", "cache": {"enabled": False}},
        {"path": "/static/*", "cache": {"default_ttl": "1h"}},
        {"paths": ["*.png", "*.svg"], "cache": {"override_ttl": "2h"}},
    ])
    assert kept(edge, "/static/a") and kept(edge, "/static/x.png") and kept(edge, "/x.svg")
    assert not kept(edge, "/a") and not kept(edge, "/static/private/a")
    assert 3590 <= edge.fetch("/static/x.png").cache_status["ttl"] <= 3600
    assert 7190 <= edge.fetch("/x.svg").cache_status["ttl"] <= 7200
    assert edge.fetch("/static/private/a").cache_status["fwd"] == "bypass"


def test_a_rule_sees_the_path_in_normal_form(new_edge, origin):
    origin.default = reply(b"b", fields=FRESH)
    edge = new_edge(origin, rules=[{"path": "/account/*", "cache": {"enabled": False}}])
    for path in ("/account/a", "/%61ccount/a", "/x/../account/a", "/./account/a"):
        assert not kept(edge, path), path


def test_a_rule_for_one_host(new_edge, origin):
    origin.default = reply(b"b")
    edge = new_edge(origin, hosts=["a.test", "*.a.test"],
                    rules=[{"path": "*", "host": "*.a.test", "cache": {"default_ttl": "1h"}}])
    assert kept(edge, host="img.a.test") and not kept(edge, host="a.test")


def test_a_rule_for_some_methods(new_edge, origin):
    """HEAD is as GET, and what a POST makes invalid is what GET has stored, though its rule has another key."""
    origin.default = reply(b"b", fields=FRESH)
    edge = new_edge(origin, rules=[
        {"path": "/api/*", "methods": ["POST"], "set_request_fields": ["X-Rule: post"]},
        {"path": "/api/*", "methods": ["GET"], "key": {"query": "none"}, "set_request_fields": ["X-Rule: get"]}])
    assert kept(edge, "/api/a?x=1") and edge.fetch("/api/a?x=2").hit and edge.fetch("/api/a?x=3", "HEAD").hit
    assert origin.last("/api/a").fields.get("x-rule") == "get"
    edge.fetch("/api/a?x=4", "POST", body=b"b")
    assert origin.last().fields.get("x-rule") == "post" and origin.last().target == "/api/a?x=4"
    assert not edge.fetch("/api/a?x=2").hit
    edge.fetch("/api/a", "DELETE")
    assert origin.last().fields.get("x-rule") is None


def test_a_rule_has_keys_of_its_own(new_edge, origin):
    origin.default = reply(b"b", fields=FRESH)
    edge = new_edge(origin, rules=[{"path": "/static/*", "key": {"query": "none"}}])
    edge.fetch("/static/a?v=1")
    assert edge.fetch("/static/a?v=2").hit and origin.last().target == "/static/a"
    edge.fetch("/a?v=1")
    assert not edge.fetch("/a?v=2").hit


def test_fields_are_stripped_and_added(new_edge, origin):
    edge = new_edge(origin, rules=[{
        "path": "/static/*",
        "strip_request_fields": ["cookie"], "set_request_fields": ["X-Tier: static"],
        "strip_response_fields": ["set-cookie", "X-Powered-By", "cache-control"],
        "add_response_fields": ["Cache-Control: max-age=100", "X-Robots-Tag: noindex"],
    }])
    origin.default = reply(b"b", fields=[("Set-Cookie", "a=b"), ("X-Powered-By", "x"), ("Cache-Control", "no-store")])
    for hit in (False, True):
        response = edge.fetch("/static/a", fields=[("Cookie", "c=d"), ("X-Tier", "evil")])
        assert response.hit == hit and 90 <= response.cache_status.get("ttl", 100) <= 100
        assert "set-cookie" not in response.fields and "x-powered-by" not in response.fields
        assert response["cache-control"] == "max-age=100" and response["x-robots-tag"] == "noindex"
    request = origin.last()
    assert "cookie" not in request.fields and request.fields.all("x-tier") == ["static"]
    passed = edge.fetch("/static/a", "POST", body=b"x")
    assert passed["x-robots-tag"] == "noindex" and "x-powered-by" not in passed.fields
    assert "x-robots-tag" not in edge.fetch("/other").fields


def test_rules_change_with_a_reload(new_edge, origin):
    origin.default = reply(b"b")
    edge = new_edge(origin)
    assert not kept(edge)
    edge.reload({"origins": [origin], "rules": [{"path": "/b/*", "cache": {"default_ttl": "1h"}}]})
    paths = (f"/b/{i}" for i in range(10**6))  # what was not shareable is remembered as such for a while
    wait_until(lambda: kept(edge, next(paths)))


def test_what_is_wrong_is_told_with_line_and_column(tmp_path):
    file = tmp_path / "edge.yaml"
    file.write_text("sites:\n  - origin: http://127.0.0.1:1\n    rules:\n      - path: static/*\n")
    result = run("check", file)
    assert result.returncode == 2 and "edge.yaml:4:15: sites[0].rules[0].path: found \"static/*\"" in result.stderr


# --- lifetimes by status


@pytest.mark.parametrize("status, ttl", [(404, 10), (405, 10), (410, 60), (501, 10)])
def test_errors_are_kept_for_a_moment(shared, status, ttl):
    """RFC 9111 4.2.2: heuristically cacheable ones, where the origin says nothing."""
    path = f"/negative/{status}"
    shared.origin.on(path, reply(b"no", status, "No"))
    shared.edge.fetch(path)
    second = shared.edge.fetch(path)
    assert second.hit and second.status == status and ttl - 5 <= second.cache_status["ttl"] <= ttl


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 504])
def test_other_errors_are_not(shared, status):
    path = f"/error/{status}"
    shared.origin.on(path, reply(b"no", status, "No"))
    assert not kept(shared.edge, path)


def test_the_origins_word_on_an_error_counts(edge, origin):
    origin.on("/a", reply(b"no", 404, "No", [("Cache-Control", "no-store")]))
    origin.on("/b", reply(b"no", 503, "No", [("Cache-Control", "max-age=60")]))
    assert not kept(edge, "/a") and kept(edge, "/b")


def test_lifetimes_by_status(new_edge, origin):
    edge = new_edge(origin, cache={"default_ttl": "5m", "ttl_by_status": "302=1m", "negative_ttl": "404=20s 5xx=5s",
                                   "override_ttl_by_status": "410=1h"})
    cases = [(200, [], 300), (302, [], 60), (404, [], 20), (503, [], 5), (410, [("Cache-Control", "no-store")], 3600)]
    for status, fields, ttl in cases:
        path = f"/{status}"
        origin.on(path, reply(b"b", status, "S", fields))
        assert kept(edge, path), status
        assert ttl - 5 <= edge.fetch(path).cache_status["ttl"] <= ttl, status
    origin.on("/405", reply(b"b", 405, "S"))
    assert not kept(edge, "/405")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_error_never_replaces_what_may_be_served_stale(new_edge, origin, status):
    """RFC 5861 4, even where errors are kept and even with a lifetime of their own."""
    edge = new_edge(origin, cache={"stale_if_error": "1h", "negative_ttl": "5xx=1m"})
    error = reply(b"no", status, "No", [("Cache-Control", "max-age=60")])
    origin.on("/a", sequence(cacheable(b"good", 1), error))
    edge.fetch("/a")
    time.sleep(2.1)
    for _ in range(3):
        response = edge.fetch("/a")
        assert response.status == 200 and response.body == b"good"
        assert response.cache_status["detail"] == "stale-if-error"


def test_an_error_is_given_when_nothing_may_be_served(new_edge, origin):
    edge = new_edge(origin, cache={"negative_ttl": "5xx=1m"})
    origin.on("/a", sequence(cacheable(b"good", 1), reply(b"no", 503, "No")))
    edge.fetch("/a")
    time.sleep(2.1)
    assert edge.fetch("/a").status == 503 and edge.fetch("/a").hit
