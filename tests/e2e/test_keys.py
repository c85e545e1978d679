"""What is in a key, and that nothing outside of it changes what others get: unkeyed input, overrides, errors of the
client's own making, names that promise a file."""

import pytest

from harness.message import build
from harness.origin import cacheable, reply

pytestmark = pytest.mark.one_by_one

FRESH = [("Cache-Control", "max-age=60")]
HTML = [*FRESH, ("Content-Type", "text/html")]


def echo(*names, fields=FRESH):
    """A cacheable answer that shows the target and these fields of the request."""

    def script(x):
        seen = [x.request.target, *(f"{name}={x.request.fields.get(name)}" for name in names)]
        x.reply("\n".join(seen).encode(), fields=fields)

    return script


# --- the query


def test_a_query_is_a_key_as_it_is_written(edge, origin):
    origin.default = echo()
    edge.fetch("/a?b=1&c=2")
    assert not edge.fetch("/a?c=2&b=1").hit and not edge.fetch("/a").hit and edge.fetch("/a?b=1&c=2").hit


def test_a_sorted_query_is_what_the_origin_gets(new_edge, origin):
    edge = new_edge(origin, key={"query": "sorted"})
    origin.default = echo()
    assert edge.fetch("/a?c=2&b=1&b=0").body == b"/a?b=1&b=0&c=2"
    assert edge.fetch("/a?b=1&c=2&b=0").hit and not edge.fetch("/a?b=0&b=1&c=2").hit
    assert "/a?c=2&b=1&b=0" in [entry["target"] for entry in edge.access_log(3)]


def test_parameters_that_do_not_count_do_not_reach_the_origin(new_edge, origin):
    """What the key leaves out must not change the answer: the origin never sees it."""
    edge = new_edge(origin, key={"query_drop": ["utm_*", "fbclid"]})
    origin.default = echo()
    assert edge.fetch("/a?utm_source=evil&id=1&fbclid=2").body == b"/a?id=1"
    for target in ("/a?id=1", "/a?id=1&%75tm_medium=x", "/a?utm_=&id=1"):
        assert edge.fetch(target).hit, target
    assert edge.fetch("/a?utm_source=x").body == b"/a" and edge.fetch("/a").hit
    assert not edge.fetch("/a?").hit


def test_only_listed_parameters_count(new_edge, origin):
    edge = new_edge(origin, key={"query_keep": ["id", "page"], "query": "sorted"})
    origin.default = echo()
    assert edge.fetch("/a?x=1&page=2&id=3").body == b"/a?id=3&page=2"
    assert edge.fetch("/a?id=3&page=2&callback=evil").hit


def test_no_query_at_all(new_edge, origin):
    edge = new_edge(origin, key={"query": "none"})
    origin.default = echo()
    assert edge.fetch("/a?x=1").body == b"/a" and edge.fetch("/a?y").hit


def test_a_request_that_passes_keeps_its_query(new_edge, origin):
    edge = new_edge(origin, key={"query": "none"})
    origin.default = echo()
    assert edge.fetch("/a%7e?x=1", "POST", body=b"b").body == b"/a%7e?x=1"


# --- the path


@pytest.mark.parametrize("path", ["/a/b", "/a/./b", "/a/c/../b", "/a/c/%2e%2E/b", "/%61/b", "/a/%2e/b", "/../a/b"])
def test_one_path_however_it_is_written(shared, path):
    """RFC 3986 6.2.2: the origin is asked for the normal form, whoever comes first."""
    shared.origin.on("/a/b", echo())
    response = shared.edge.fetch(path)
    assert response.body == b"/a/b" and shared.origin.count("/a/b") == 1


@pytest.mark.parametrize("path", ["//a", "/a//", "/a%2Fb", "/a%5Cb", "/a\\b", "/A", "/a;x", "/a%3Fb"])
def test_what_may_mean_something_else_is_another_key(new_edge, origin, path):
    edge = new_edge(origin)
    origin.default = echo()
    for other in ("/a", "/a/b", "/a?b"):
        edge.fetch(other)
    response = edge.fetch(path)
    assert not response.hit and response.body.decode() == path


@pytest.mark.parametrize("path", ["/static/..%2Faccount", "/static/..%5caccount", "/static\\..\\account",
                                  "/static/%252e%252e/account", "/static/..;/account"])
def test_a_path_that_may_be_another_one_is_not_stored(new_edge, origin, path):
    """A rule for /static/* would store somebody's account otherwise."""
    edge = new_edge(origin, rules=[{"path": "/static*", "cache": {"override_ttl": "1h"}}])
    origin.default = reply(b"mine", fields=[("Cache-Control", "private")])
    first = edge.fetch(path)
    assert first.body == b"mine" and first.cache_status["detail"] == "ambiguous-path"
    assert not edge.fetch(path).hit and origin.count() == 2


# --- fields and cookies


def test_fields_and_cookies_by_choice(new_edge, origin):
    edge = new_edge(origin, key={"headers": ["X-Country"], "cookies": ["currency"]})
    origin.default = echo("x-country", "cookie")

    def ask(country, cookie):
        return edge.fetch("/a", fields=[("X-Country", country), ("Cookie", cookie)])

    assert not ask("de", "currency=eur; id=1").hit
    assert ask("de", "id=2; currency=eur").hit
    assert not ask("fr", "currency=eur").hit
    assert not ask("de", "currency=usd").hit
    assert not edge.fetch("/a").hit and edge.fetch("/a", fields=[("Cookie", "id=3")]).hit


def test_a_field_too_long_for_a_key_passes(new_edge, origin):
    edge = new_edge(origin, key={"headers": ["X-Country"]})
    origin.default = echo()
    for _ in range(2):
        response = edge.fetch("/a", fields=[("X-Country", "x" * 17000)])
        assert response.status == 200 and response.cache_status["fwd"] == "bypass"
        assert response.cache_status["detail"] == "key-too-long"


def test_the_scheme_by_choice(new_edge, origin):
    """Schemes share a key unless the site says otherwise; the target in absolute form shows ours."""
    edge = new_edge(origin, key={"scheme": True})
    origin.default = echo("x-forwarded-proto")
    edge.fetch("/a")
    assert edge.fetch("http://example.test/a").hit


# --- what a stranger may not say

UNKEYED = ["X-Forwarded-Host", "X-Forwarded-Scheme", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server",
           "X-Forwarded-Path", "x_forwarded_host", "X-Original-URL", "X-Rewrite-URL", "X-Original-Host", "X-Host",
           "X-HTTP-Host-Override", "Forwarded", "X-Real-IP", "True-Client-IP", "Proxy", "X-HTTP-Method-Override",
           "X-HTTP-Method", "X-Method-Override", "X_HTTP_Method_Override"]


@pytest.mark.parametrize("name", UNKEYED)
def test_unkeyed_input_does_not_reach_the_origin(shared, name):
    path = f"/unkeyed/{name}"
    shared.origin.on(path, echo(name))
    response = shared.edge.fetch(path, fields=[(name, "evil.example")])
    assert b"evil" not in response.body


@pytest.mark.parametrize("name", ["X-Original-URL", "X-Forwarded-Prefix"])
def test_a_trusted_proxy_may_say_it(new_edge, origin, name):
    edge = new_edge(origin, trusted_proxies=["127.0.0.0/8"])
    origin.default = echo(name)
    assert b"/x" in edge.fetch("/a", fields=[(name, "/x")]).body


def test_a_post_may_say_that_it_is_a_put(edge, origin):
    origin.default = echo("X-HTTP-Method-Override", fields=[])
    fields = [("X-HTTP-Method-Override", "PUT")]
    assert b"PUT" in edge.fetch("/a", "POST", body=b"b", fields=fields).body


# --- errors of the client's own making


@pytest.mark.parametrize("status", [400, 406, 411, 413, 414, 415, 417, 426, 428, 431])
def test_errors_of_the_clients_own_making_are_not_stored(shared, status):
    """Cache-poisoned denial of service: one odd request must not answer the requests of all others."""
    path = f"/error/{status}"

    def script(x):
        odd = len(x.request.fields.get("x-odd", "")) > 8000
        x.reply(b"b", status if odd else 200, "Odd", [("Cache-Control", "public, max-age=60")])

    shared.origin.on(path, script)
    poisoned = shared.edge.fetch(path, fields=[("X-Odd", "x" * 9000)])
    assert poisoned.status == status and "stored" not in poisoned.cache_status
    assert poisoned.cache_status["detail"] == "client-error"
    assert shared.edge.fetch(path).status == 200


@pytest.mark.h1_only
def test_a_field_with_control_characters_is_refused(edge, origin):
    """Header meta characters: what one party ends a line at and another does not."""
    origin.default = cacheable(b"b")
    with edge.connect() as conn:
        conn.send(b"GET /a HTTP/1.1\r\nHost: example.test\r\nX-Odd: a\x07b\r\n\r\n")
        assert conn.response().status == 400
    assert origin.count() == 0 and edge.fetch("/a").status == 200


# --- web cache deception


@pytest.mark.parametrize("suffix", ["css", "js", "png", "woff2", "pdf", "mp4"])
def test_a_page_under_the_name_of_a_file_is_not_stored(shared, suffix):
    path = f"/account/x.{suffix}"
    shared.origin.on(path, reply(b"alice", fields=HTML))
    first = shared.edge.fetch(path, fields=[("Cookie", "session=alice")])
    assert first.body == b"alice" and first.cache_status["detail"] == "deception"
    assert not shared.edge.fetch(path).hit and shared.origin.count(path) == 2


def test_a_rule_for_files_does_not_force_it(new_edge, origin):
    edge = new_edge(origin, rules=[{"path": "*.css", "cache": {"override_ttl": "1h"}}])
    origin.on("/account/x.css", reply(b"alice", fields=[("Cache-Control", "no-store"), ("Content-Type", "text/html")]))
    origin.on("/y.css", reply(b"style", fields=[("Cache-Control", "no-store"), ("Content-Type", "text/css")]))
    for path, hit in (("/account/x.css", False), ("/y.css", True)):
        edge.fetch(path)
        assert edge.fetch(path).hit == hit, path


def test_the_origin_may_say_that_all_may_have_it(edge, origin):
    fields = [("Cache-Control", "public, max-age=60"), ("Content-Type", "text/html")]
    origin.on("/x.css", reply(b"page", fields=fields))
    edge.fetch("/x.css")
    assert edge.fetch("/x.css").hit


def test_the_armor_can_be_laid_off(new_edge, origin):
    edge = new_edge(origin, cache={"deception_armor": False})
    origin.on("/x.css", reply(b"page", fields=HTML))
    edge.fetch("/x.css")
    assert edge.fetch("/x.css").hit


@pytest.mark.h1_only
def test_a_raw_request_line_is_normalised_too(edge, origin):
    origin.default = echo()
    with edge.connect() as conn:
        conn.send(build(target="http://EXAMPLE.test:80/a/../b?c"))
        assert conn.response().body == b"/b?c"
    assert edge.fetch("/b?c").hit
