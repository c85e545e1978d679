#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/load.h"
#include "config/value.h"
#include "unit.h"

/* Every problem of a text, as one would read it. */
static void expect_problems(const char *what, sk_str text, const char *expected) {
    struct config_problems problems;
    struct config *config = NULL;
    config_problems_init(&problems);
    sk_err err = config_parse(text, "f", &config, &problems);
    sk_str got = sk_buf_str(&problems.text);
    if (!sk_str_eq(got, sk_str_from_c(expected)))
        fail_msg("%s:\n%.*s---- is not ----\n%s", what, SK_STR_ARGS(got), expected);
    assert_int_equal(err, expected[0] ? SK_ERR_INVALID : SK_OK);
    assert_int_equal(problems.count > 0, expected[0] != 0);
    config_unref(config);
    config_problems_free(&problems);
}

#define SITE "sites: [{origin: \"http://127.0.0.1:9000\"}]\n"
#define SIZES "(example: 4GiB)"

static void every_problem_names_its_place_and_what_is_allowed(void **state) {
    static const struct {
        const char *what;
        sk_str text;
        const char *problems;
    } cases[] = {
        {"the smallest file", SK_STR_INIT(SITE), ""},
        {"nothing", SK_STR_INIT(""),
         "f:1:1: found nothing, expected at least: sites: [{origin: \"http://127.0.0.1:9000\"}]\n"},
        {"a list on top", SK_STR_INIT("- a\n"),
         "f:1:1: found a list, expected at least: sites: [{origin: \"http://127.0.0.1:9000\"}]\n"},
        {"a word", SK_STR_INIT("edge\n"),
         "f:1:1: found \"edge\", expected at least: sites: [{origin: \"http://127.0.0.1:9000\"}]\n"},
        {"no sites", SK_STR_INIT("listen: :80\n"),
         "f: sites: found no sites, expected at least one (example: sites: [{origin: "
         "\"http://127.0.0.1:9000\"}])\n"},
        {"no entries", SK_STR_INIT("sites: []\n"),
         "f:1:8: sites: found no sites, expected at least one (example: sites: [{origin: \"http://127.0.0.1:9000\"}])\n"},
        {"a bad size", SK_STR_INIT("memory: lots\n" SITE),
         "f:1:9: memory: found \"lots\", expected a percentage of the machine's memory, or a size from 8MiB to 64TiB " SIZES
         "\n"},
        {"over the range", SK_STR_INIT("threads: 5000\n" SITE),
         "f:1:10: threads: found \"5000\", expected a whole number from 0 to 1024 (example: 4)\n"},
        {"below the range", SK_STR_INIT("timeouts: {header: 1ms}\n" SITE),
         "f:1:20: timeouts.header: found \"1ms\", expected a duration from 100ms to 1h (example: 5s)\n"},
        {"a negative number", SK_STR_INIT("limits:\n  header_fields: -1\n" SITE),
         "f:2:18: limits.header_fields: found \"-1\", expected a whole number from 8 to 10000 (example: 64)\n"},
        {"nothing for a value", SK_STR_INIT("memory:\n" SITE),
         "f:1:8: memory: found nothing, expected a percentage of the machine's memory, or a size from 8MiB to 64TiB " SIZES
         "\n"},
        {"another case of a choice", SK_STR_INIT("log_level: Info\n" SITE),
         "f:1:12: log_level: found \"Info\", expected error, warn, info or debug\n"},
        {"a bad flag", SK_STR_INIT("sites: [{origin: \"http://a\", cache: {enabled: maybe}}]\n"),
         "f:1:47: sites[0].cache.enabled: found \"maybe\", expected true or false\n"},
        {"parts of a second of HTTP",
         SK_STR_INIT("sites: [{origin: \"http://a\", cache: {max_ttl: 1500ms}}]\n"),
         "f:1:47: sites[0].cache.max_ttl: found \"1500ms\", expected none, or a duration from 0s to 3650d (example: "
         "1d)\n"},
        {"an unknown key near a known one", SK_STR_INIT("memroy: 1GiB\n" SITE),
         "f:1:1: unknown key \"memroy\"; did you mean \"memory\"?\n"},
        {"an unknown key with a dash", SK_STR_INIT("log-level: warn\n" SITE),
         "f:1:1: unknown key \"log-level\"; did you mean \"log_level\"?\n"},
        {"an unknown key near two", SK_STR_INIT("sites: [{hots: a, origin: \"http://a\"}]\n"),
         "f:1:10: sites[0]: unknown key \"hots\"; did you mean \"host\" or \"hosts\"?\n"},
        {"an unknown key near none", SK_STR_INIT("fish: {a: [1, {b: c}]}\n" SITE),
         "f:1:1: unknown key \"fish\"; see: skerry help configuration\n"},
        {"a key twice", SK_STR_INIT("threads: 1\nmemory: 1GiB\nthreads: 2\n" SITE),
         "f:3:1: found \"threads\" again: it is already in line 1\n"},
        {"a list for a value", SK_STR_INIT("memory: [1GiB]\n" SITE),
         "f:1:9: memory: found a list, expected a percentage of the machine's memory, or a size from 8MiB to 64TiB " SIZES
         "\n"},
        {"a value for a section", SK_STR_INIT("limits: 5\n" SITE),
         "f:1:9: limits: found \"5\", expected keys with values\n"},
        {"a value for a list", SK_STR_INIT("trusted_proxies: 10.0.0.0/8\n" SITE),
         "f:1:18: trusted_proxies: found \"10.0.0.0/8\", expected a list (example: [10.0.0.0/8])\n"},
        {"a bad entry of a list", SK_STR_INIT("trusted_proxies: [10.0.0.0/8, 10.0.0.0/33]\n" SITE),
         "f:1:31: trusted_proxies[1]: found \"10.0.0.0/33\", expected an IP network or address (example: "
         "10.0.0.0/8)\n"},
        {"a name to listen on", SK_STR_INIT("listen: localhost:80\n" SITE),
         "f:1:9: listen: found \"localhost:80\", expected an IP address with port, or :PORT for all addresses, or "
         "unix:PATH; for TLS https:// before it (example: https://0.0.0.0:443)\n"},
        {"an address twice", SK_STR_INIT("listen:\n  - :80\n  - 127.0.0.1:81\n  - :80\n" SITE),
         "f:4:5: listen[2]: found [::]:80 again\n"},
        {"several problems",
         SK_STR_INIT("memory: x\nthread: 3\nsites:\n  - host: a b\n    origin: ftp://x\n"),
         "f:1:9: memory: found \"x\", expected a percentage of the machine's memory, or a size from 8MiB to 64TiB " SIZES
         "\n"
         "f:2:1: unknown key \"thread\"; did you mean \"threads\"?\n"
         "f:4:11: sites[0].host: found \"a b\", expected a host name without port, *.DOMAIN, or * (example: "
         "www.example.com)\n"
         "f:5:13: sites[0].origin: found \"ftp://x\", expected http:// or https:// with a host, and a port if "
         "needed, but no path (example: http://127.0.0.1:9000)\n"},
        {"TLS without a certificate", SK_STR_INIT("listen: https://:443\n" SITE),
         "f: found no certificate, expected one because a listener speaks TLS (example: certificates: [{cert: "
         "/etc/skerry/www.pem, key: /etc/skerry/www.key}])\n"},
        {"a listener without an address", SK_STR_INIT("listeners: [{pq: off}]\n" SITE),
         "f:1:13: listeners[0]: found no address, expected one (example: address: 0.0.0.0:443)\n"},
        {"a scheme that contradicts",
         SK_STR_INIT("listeners: [{address: \"https://:1\", tls: false}]\n" SITE),
         "f:1:13: listeners[0]: found a scheme before the address that contradicts tls\n"},
        {"options of TLS without it",
         SK_STR_INIT("listeners: [{address: \":1\", tls: false, pq: off}]\n" SITE),
         "f:1:13: listeners[0]: found options of TLS where tls is false\n"},
        {"a certificate without a key", SK_STR_INIT("certificates: [{cert: /dev/null}]\n" SITE),
         "f:1:23: certificates[0].cert: found \"/dev/null\", expected a file that can be read: not a regular "
         "file\nf:1:16: certificates[0]: found no key, expected a path\n"},
        {"an origin with a path", SK_STR_INIT("sites: [{origins: [{url: \"http://a/b\"}]}]\n"),
         "f:1:26: sites[0].origins[0].url: found \"http://a/b\", expected http:// or https:// with a host, and a "
         "port if needed, but no path (example: http://10.0.0.1:9000)\n"},
        {"a site without an origin", SK_STR_INIT("sites:\n  - host: a\n"),
         "f:2:5: sites[0]: found no origin, expected one (example: origin: \"http://127.0.0.1:9000\")\n"},
        {"an origin without a url", SK_STR_INIT("sites:\n  - origins:\n      - weight: 2\n"),
         "f:3:9: sites[0].origins[0]: found no url, expected one (example: url: http://10.0.0.1:9000)\n"},
        {"an origin twice",
         SK_STR_INIT("sites: [{origin: \"http://A\", origins: [{url: \"http://a:80/\"}]}]\n"),
         "f:1:46: sites[0].origins[0].url: found \"http://a:80/\" again: this site already has it; give one of them "
         "more weight instead\n"},
        {"a host of two sites",
         SK_STR_INIT(
             "sites:\n  - {hosts: [a, B], origin: \"http://x\"}\n  - {host: b, origin: \"http://x\"}\n"),
         "f:3:12: sites[1].host: found host \"b\" again: the site \"a\" (sites[0]) already serves it\n"},
        {"two sites for all hosts", SK_STR_INIT("sites: [{origin: \"http://x\"}, {origin: \"http://y\"}]\n"),
         "f:1:31: sites[1]: found host \"*\" again: the site \"*\" (sites[0]) already serves it\n"},
        {"a name of two sites",
         SK_STR_INIT("sites:\n  - {name: n, host: a, origin: \"http://x\"}\n"
                     "  - {name: n, host: b, origin: \"http://x\"}\n"),
         "f:3:12: sites[1].name: found name \"n\" again: sites[0] already has it\n"},
        {"a CA file that is not there",
         SK_STR_INIT("sites: [{origins: [{url: \"https://a\", ca_file: /nonexistent/ca.pem}]}]\n"),
         "f:1:48: sites[0].origins[0].ca_file: found \"/nonexistent/ca.pem\", expected a file that can be read: No "
         "such file or directory\n"},
        {"a CA file that is a folder",
         SK_STR_INIT("sites: [{origins: [{url: \"https://a\", ca_file: /tmp}]}]\n"),
         "f:1:48: sites[0].origins[0].ca_file: found \"/tmp\", expected a file that can be read: not a regular "
         "file\n"},
        {"admin for everybody", SK_STR_INIT("admin: 0.0.0.0:9\n" SITE),
         "f:1:8: admin: found an address for everybody who can reach it: it needs admin_token or admin_token_file, "
         "or use a Unix socket (example: unix:/run/skerry/admin.sock)\n"},
        {"a weak token, which is not shown", SK_STR_INIT("admin_token: hunter2\n" SITE),
         "f:1:14: admin_token: found something else, expected a secret of 16 to 256 visible characters\n"},
        {"an object larger than the memory", SK_STR_INIT("memory: 64MiB\nmax_object: 1GiB\n" SITE),
         "f:2:13: max_object: found more than memory\n"},
        {"a tab", SK_STR_INIT("limits:\n\tconnections: 5\n"),
         "f:2:1: not valid YAML: found character that cannot start any token, while scanning for the next token that "
         "begins in line 2 (a tab? indent with spaces, and put values with special characters in quotes)\n"},
        {"a bracket that is not closed", SK_STR_INIT("listen: [\":80\"\n"),
         "f:2:1: not valid YAML: did not find expected ',' or ']', while parsing a flow sequence that begins in line "
         "1\n"},
        {"bytes that are not UTF-8", SK_STR_INIT("server_name: \"\xe9\"\n" SITE),
         "f:1:16: not valid YAML: invalid trailing UTF-8 octet (the text must be UTF-8)\n"},
        {"control bytes and quotes are shown harmlessly", SK_STR_INIT("server_name: \"\\e[1m\\\"\"\n" SITE),
         "f:1:14: server_name: found \"\\x1b[1m\"\", expected a name of letters, digits, '.', '_' and '-', at most "
         "64 (example: edge-fra-1)\n"},
        {"an alias", SK_STR_INIT("server_name: &a x\nuser: *a\n" SITE),
         "f:1:14: server_name: found the anchor \"a\", expected the value itself: there are no aliases here\n"
         "f:2:7: user: found the alias \"a\", expected the value itself: there are no aliases here\n"},
        {"a key that is no word", SK_STR_INIT("{[a]: b}\n"), "f:1:2: found a list, expected a key\n"},
        {"a second document", SK_STR_INIT(SITE "---\n" SITE),
         "f:2:1: found a second document, expected the end of the file\n"},
        {"sections left empty", SK_STR_INIT("limits:\ntimeouts: ~\ntrusted_proxies:\nlisten: null\n" SITE),
         ""},
        {"a byte order mark", SK_STR_INIT("\xef\xbb\xbf" SITE), ""},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++)
        expect_problems(cases[i].what, cases[i].text, cases[i].problems);
}

static struct config *parsed(const char *text) {
    struct config_problems problems;
    struct config *config = NULL;
    config_problems_init(&problems);
    if (config_parse(sk_str_from_c(text), "f", &config, &problems))
        fail_msg("%.*s", SK_STR_ARGS(sk_buf_str(&problems.text)));
    config_problems_free(&problems);
    return config;
}

static void a_site_and_an_origin_are_enough(void **state) {
    struct config *c = parsed(SITE);
    char text[IO_ADDR_TEXT_BYTES];
    (void)state;
    assert_int_equal(c->references, 1);
    assert_true(c->number > 0);
    assert_int_equal(c->listener_count, 1);
    io_addr_format(&c->listeners[0].addr, text);
    assert_string_equal(text, "127.0.0.1:8080");
    assert_true(sk_str_empty(c->admin) && sk_str_empty(c->admin_token) && sk_str_empty(c->user));
    assert_true(sk_str_empty(c->access_log) && sk_str_empty(c->resolver) && sk_str_empty(c->path));
    assert_int_equal(c->access_log_format, CONFIG_LOG_JSON);
    assert_int_equal(c->log_level, 2);
    assert_str(c->server_name, SK_STR("skerry"));
    assert_true(c->threads >= 1);
    assert_true(c->memory_bytes >= 64 << 20 && c->memory_bytes <= UINT64_C(16) << 30);
    assert_int_equal(c->max_object_bytes, c->memory_bytes / 2);
    assert_int_equal(c->trusted_proxy_count, 0);
    const struct config_limits *l = &c->limits;
    assert_int_equal(l->connections, 0);
    assert_int_equal(l->connections_per_client, 0);
    assert_int_equal(l->header_bytes, 32 << 10);
    assert_int_equal(l->header_fields, 100);
    assert_int_equal(l->target_bytes, 8 << 10);
    assert_int_equal(l->request_body_bytes, 1 << 30);
    assert_int_equal(l->pipelined_requests, 16);
    const struct config_timeouts *t = &c->timeouts;
    assert_int_equal(t->header_ms, 10000);
    assert_int_equal(t->body_ms, 30000);
    assert_int_equal(t->write_ms, 30000);
    assert_int_equal(t->keep_alive_ms, 60000);
    assert_int_equal(t->drain_ms, 30000);
    assert_int_equal(t->min_rate, 500);
    assert_int_equal(c->site_count, 1);
    const struct config_site *s = &c->sites[0];
    assert_str(s->name, SK_STR("*"));
    assert_int_equal(s->host_count, 1);
    assert_str(s->hosts[0], SK_STR("*"));
    assert_true(s->base.enabled);
    assert_int_equal(s->base.cache.default_ttl_s, HTTP_SECONDS_NONE);
    assert_int_equal(s->base.cache.override_ttl_s, HTTP_SECONDS_NONE);
    assert_int_equal(s->base.cache.max_ttl_s, HTTP_SECONDS_NONE);
    assert_int_equal(s->base.cache.stale_while_revalidate_s, HTTP_SECONDS_NONE);
    assert_int_equal(s->base.cache.stale_if_error_s, HTTP_SECONDS_NONE);
    assert_true(s->base.cache.heuristics);
    assert_false(s->base.cache.ignore_set_cookie);
    const struct config_origin_options *o = &s->origin;
    assert_int_equal(o->connect_timeout_ms, 3000);
    assert_int_equal(o->first_byte_timeout_ms, 30000);
    assert_int_equal(o->between_bytes_timeout_ms, 30000);
    assert_int_equal(o->idle_timeout_ms, 60000);
    assert_int_equal(o->max_connections, 1024);
    assert_int_equal(o->max_idle, 64);
    assert_int_equal(o->retries, 2);
    assert_int_equal(o->retry_budget_percent, 20);
    assert_int_equal(o->fail_after, 5);
    assert_int_equal(o->fail_for_ms, 10000);
    assert_false(o->health.enabled);
    assert_int_equal(s->origin_count, 1);
    assert_str(s->origins[0].url, SK_STR("http://127.0.0.1:9000"));
    assert_str(s->origins[0].uri.host, SK_STR("127.0.0.1"));
    assert_int_equal(s->origins[0].port, 9000);
    assert_int_equal(s->origins[0].weight, 1);
    assert_true(s->origins[0].verify);
    assert_false(s->origins[0].tls);
    config_unref(c);
}

static void the_cache_defaults_are_those_of_http(void **state) {
    struct config *c = parsed(SITE);
    const struct http_cache_policy *got = &c->sites[0].base.cache;
    struct http_cache_policy policy;
    (void)state;
    http_cache_policy_default(&policy);
    assert_int_equal(got->default_ttl_s, policy.default_ttl_s);
    assert_int_equal(got->override_ttl_s, policy.override_ttl_s);
    assert_int_equal(got->max_ttl_s, policy.max_ttl_s);
    assert_int_equal(got->stale_while_revalidate_s, policy.stale_while_revalidate_s);
    assert_int_equal(got->stale_if_error_s, policy.stale_if_error_s);
    assert_int_equal(got->ignore_set_cookie, policy.ignore_set_cookie);
    assert_int_equal(got->heuristics, policy.heuristics);
    config_unref(c);
}

static void every_kind_of_value_arrives(void **state) {
    struct config *c =
        parsed("listen: [\":80\", \"[::1]:81\", \"unix:/run/x\"]\n"
               "admin: 127.0.0.1:9\nadmin_token: 0123456789abcdef\n"
               "threads: 3\nmemory: 1.5GiB\nmax_object: 100MB\nuser: www\nserver_name: n\n"
               "access_log: {file: \"-\", format: common}\nlog_level: debug\n"
               "resolver: \"127.0.0.1, [::1]:5353\"\n"
               "trusted_proxies: [10.0.0.0/8, \"::1\"]\n"
               "limits: {header_bytes: 1KiB}\ntimeouts: {keep_alive: 1m30s, min_rate: 0}\n"
               "sites:\n"
               "  - name: shop\n    host: A.example\n    hosts: [\"*.B.example\", \"[::1]\"]\n"
               "    origin: https://o1\n"
               "    origins: [{url: \"HTTP://[::1]:81/\", weight: 0, host: h:82, verify: off}]\n"
               "    origin_options:\n      retry_budget: 7%\n      idle_timeout: 250ms\n"
               "      health_check: {path: /ok?x, expect_status: 204}\n"
               "    cache: {enabled: no, default_ttl: 5m, ignore_set_cookie: yes, heuristics: false,\n"
               "      stale_if_error: 1d}\n");
    (void)state;
    assert_int_equal(c->listener_count, 3);
    assert_str(c->admin, SK_STR("127.0.0.1:9"));
    assert_str(c->admin_token, SK_STR("0123456789abcdef"));
    assert_int_equal(c->threads, 3);
    assert_int_equal(c->memory_bytes, UINT64_C(3) << 29);
    assert_int_equal(c->max_object_bytes, 100000000);
    assert_str(c->user, SK_STR("www"));
    assert_str(c->access_log, SK_STR("-"));
    assert_int_equal(c->access_log_format, CONFIG_LOG_COMMON);
    assert_int_equal(c->log_level, 3);
    assert_str(c->resolver, SK_STR("127.0.0.1, [::1]:5353"));
    assert_int_equal(c->trusted_proxy_count, 2);
    assert_int_equal(c->trusted_proxies[1].bits, 128);
    assert_int_equal(c->limits.header_bytes, 1024);
    assert_int_equal(c->limits.header_fields, 100);
    assert_int_equal(c->timeouts.keep_alive_ms, 90000);
    assert_int_equal(c->timeouts.min_rate, 0);
    const struct config_site *s = &c->sites[0];
    assert_str(s->name, SK_STR("shop"));
    assert_int_equal(s->host_count, 3);
    assert_str(s->hosts[0], SK_STR("a.example"));
    assert_str(s->hosts[1], SK_STR("*.b.example"));
    assert_int_equal(s->origin_count, 2);
    assert_true(s->origins[0].tls);
    assert_int_equal(s->origins[0].port, 443);
    assert_false(s->origins[1].tls);
    assert_int_equal(s->origins[1].port, 81);
    assert_int_equal(s->origins[1].weight, 0);
    assert_str(s->origins[1].host, SK_STR("h:82"));
    assert_false(s->origins[1].verify);
    assert_int_equal(s->origin.retry_budget_percent, 7);
    assert_int_equal(s->origin.idle_timeout_ms, 250);
    assert_true(s->origin.health.enabled);
    assert_str(s->origin.health.path, SK_STR("/ok?x"));
    assert_int_equal(s->origin.health.interval_ms, 5000);
    assert_int_equal(s->origin.health.expect_status_min, 204);
    assert_int_equal(s->origin.health.expect_status_max, 204);
    assert_false(s->base.enabled);
    assert_int_equal(s->base.cache.default_ttl_s, 300);
    assert_int_equal(s->base.cache.override_ttl_s, HTTP_SECONDS_NONE);
    assert_int_equal(s->base.cache.stale_if_error_s, 86400);
    assert_true(s->base.cache.ignore_set_cookie);
    assert_false(s->base.cache.heuristics);
    config_unref(c);
}

static void check_rows(const struct config_section *section) {
    for (size_t i = 0; i < section->count; i++) {
        const struct config_option *option = &section->options[i];
        struct config_value value, max;
        struct sk_arena arena;
        sk_arena_init(&arena, 256, 0);
        if (option->section) {
            check_rows(option->section);
            sk_arena_free(&arena);
            continue;
        }
        if (!option->doc[0] || option->doc[strlen(option->doc) - 1] != '.')
            fail_msg("%s: doc", option->key.data);
        bool yaml_quotes = option->example[0] == '"';
        if (option->default_text[0] &&
            config_value_read(option, sk_str_from_c(option->default_text), &arena, &value))
            fail_msg("%s: default", option->key.data);
        if (option->example[0] && !yaml_quotes &&
            config_value_read(option, sk_str_from_c(option->example), &arena, &value))
            fail_msg("%s: example", option->key.data);
        if (option->shape == CONFIG_SHAPE_VALUE && option->field_bytes == sizeof(uint32_t) &&
            option->max[0]) {
            if (config_value_read(option, sk_str_from_c(option->max), &arena, &max))
                fail_msg("%s: max", option->key.data);
            if (max.number > UINT32_MAX) fail_msg("%s: max does not fit its field", option->key.data);
        }
        sk_arena_free(&arena);
    }
}

static void every_row_has_a_default_and_an_example_that_it_allows(void **state) {
    (void)state;
    check_rows(config_top);
}

static void a_host_finds_its_site(void **state) {
    static const struct {
        const char *host, *site;
    } cases[] = {
        {"example.com", "exact"},
        {"EXAMPLE.com", "exact"},
        {"example.com:8080", "exact"},
        {"example.com.", "exact"},
        {"example.com.:80", "exact"},
        {"www.example.com", "wild"},
        {"a.b.example.com", "wild"},
        {"a.sub.example.com", "sub"},
        {"x.a.SUB.example.com:1", "sub"},
        {"sub.example.com", "wild"},
        {"deep.sub.example.com", "deep"},
        {".example.com", "any"},
        {"xexample.com", "any"},
        {"com", "any"},
        {"", "any"},
        {"[::1]", "six"},
        {"[::1]:443", "six"},
        {"[::2]", "any"},
        {":80", "any"},
        {".", "any"},
    };
    struct config *c = parsed("sites:\n"
                              "  - {name: exact, host: Example.com, origin: \"http://o\"}\n"
                              "  - {name: wild, host: \"*.example.com\", origin: \"http://o\"}\n"
                              "  - {name: sub, host: \"*.sub.example.com\", origin: \"http://o\"}\n"
                              "  - {name: deep, host: deep.sub.example.com, origin: \"http://o\"}\n"
                              "  - {name: six, host: \"[::1]\", origin: \"http://o\"}\n"
                              "  - {name: any, origin: \"http://o\"}\n");
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        const struct config_site *site = config_site_for(c, sk_str_from_c(cases[i].host));
        if (!site || !sk_str_eq(site->name, sk_str_from_c(cases[i].site)))
            fail_msg("%s: %s", cases[i].host, site ? site->name.data : "none");
    }
    config_unref(c);
    c = parsed("sites: [{host: a, origin: \"http://o\"}]\n");
    assert_null(config_site_for(c, SK_STR("b")));
    assert_null(config_site_for(c, SK_STR("")));
    config_unref(c);
}

static void hosts_are_found_among_thousands(void **state) {
    static char text[400000], host[32];
    size_t used = (size_t)snprintf(text, sizeof(text), "sites:\n");
    (void)state;
    for (int i = 0; i < 3000; i++)
        used += (size_t)snprintf(
            text + used, sizeof(text) - used,
            "  - {name: n%d, hosts: [h%d.example, \"*.h%d.example\"], origin: \"http://o\"}\n", i, i, i);
    struct config *c = parsed(text);
    for (uint32_t i = 0; i < 3000; i++) {
        snprintf(host, sizeof(host), "h%u.example", i);
        assert_ptr_equal(config_site_for(c, sk_str_from_c(host)), &c->sites[i]);
        snprintf(host, sizeof(host), "x.y.h%u.example", i);
        assert_ptr_equal(config_site_for(c, sk_str_from_c(host)), &c->sites[i]);
    }
    config_unref(c);
}

static void deep_and_long_texts_are_refused_quickly(void **state) {
    static char text[CONFIG_MAX_BYTES + 16];
    struct config_problems problems;
    struct config *config;
    (void)state;
    static const char *const pieces[] = {"[", "{a: ", "- ", "a: b\n", "&a [*a, ", "\"", "? ", "? - "};
    for (size_t i = 0; i < SK_COUNT(pieces); i++) {
        size_t length = strlen(pieces[i]);
        for (size_t at = 0; at + length <= CONFIG_MAX_BYTES; at += length)
            memcpy(text + at, pieces[i], length);
        config_problems_init(&problems);
        assert_int_equal(config_parse(sk_str_make(text, CONFIG_MAX_BYTES), "f", &config, &problems),
                         SK_ERR_INVALID);
        assert_true(problems.count > 0 && problems.count <= 20);
        config_problems_free(&problems);
    }
    config_problems_init(&problems);
    assert_int_equal(config_parse(sk_str_make(text, CONFIG_MAX_BYTES + 1), "f", &config, &problems),
                     SK_ERR_INVALID);
    assert_str(sk_buf_str(&problems.text), SK_STR("f: larger than 4 MiB\n"));
    config_problems_free(&problems);
}

static char folder[64];

static void write_file(const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/skerry-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command); /* NOLINT(cert-env33-c): our own temporary folder */
}

static void paths_are_relative_to_the_file(void **state) {
    char path[128], expected[128];
    struct config_problems problems;
    struct config *c;
    (void)state;
    write_file("token", "  0123456789abcdef0123 \nrest\n");
    write_file("ca.pem", "");
    write_file("edge.yaml", "admin: 127.0.0.1:9\nadmin_token_file: token\naccess_log: {file: a.log}\n"
                            "sites: [{origins: [{url: \"https://o\", ca_file: ca.pem}]}]\n");
    snprintf(path, sizeof(path), "%s/edge.yaml", folder);
    config_problems_init(&problems);
    if (config_load_file(path, &c, &problems)) fail_msg("%.*s", SK_STR_ARGS(sk_buf_str(&problems.text)));
    assert_str(c->path, sk_str_from_c(path));
    assert_str(c->admin_token, SK_STR("0123456789abcdef0123"));
    snprintf(expected, sizeof(expected), "%s/a.log", folder);
    assert_str(c->access_log, sk_str_from_c(expected));
    snprintf(expected, sizeof(expected), "%s/ca.pem", folder);
    assert_str(c->sites[0].origins[0].ca_file, sk_str_from_c(expected));
    config_unref(c);
    write_file("token", "short\n");
    assert_int_equal(config_load_file(path, &c, &problems), SK_ERR_INVALID);
    assert_int_equal(problems.count, 1);
    config_problems_free(&problems);
}

static void listeners_have_options_and_certificates(void **state) {
    char path[128];
    struct config_problems problems;
    struct config *c;
    write_file("x.pem", "");
    write_file("edge.yaml", "listen: https://127.0.0.1:1\n"
                            "listeners:\n  - {address: ':2', pq: require, min_version: 1.2}\n"
                            "  - {address: 'http://:3', tls: false}\n  - {address: ':4', client_ca: x.pem}\n"
                            "certificates: [{cert: x.pem, key: x.pem}]\n"
                            "sites: [{origin: 'http://a', certificates: [{cert: x.pem, key: x.pem}]}]\n");
    snprintf(path, sizeof(path), "%s/edge.yaml", folder);
    config_problems_init(&problems);
    if (config_load_file(path, &c, &problems)) fail_msg("%.*s", SK_STR_ARGS(sk_buf_str(&problems.text)));
    assert_int_equal(c->listener_count, 4);
    assert_true(c->listeners[0].tls && c->listeners[1].tls && !c->listeners[2].tls && c->listeners[3].tls);
    assert_int_equal(c->listeners[0].pq, CONFIG_PQ_PREFER);
    assert_int_equal(c->listeners[0].min_version, CONFIG_TLS_1_2);
    assert_int_equal(c->listeners[1].pq, CONFIG_PQ_REQUIRE);
    assert_int_equal(c->listeners[1].min_version, CONFIG_TLS_1_3); /* 1.2 has no such group */
    assert_int_equal(io_addr_port(&c->listeners[2].addr), 3);
    assert_int_equal(c->listeners[3].client_ca.data[0], '/');
    assert_int_equal(c->certificate_count, 1);
    assert_int_equal(c->sites[0].certificate_count, 1);
    config_unref(c);
    config_problems_free(&problems);
}

static void keys_of(const struct config_section *section, const char *text) {
    for (size_t i = 0; i < section->count; i++) {
        char key[64];
        snprintf(key, sizeof(key), "%s:", section->options[i].key.data);
        if (!strstr(text, key)) fail_msg("examples/edge-full.yaml does not show %s", key);
        if (section->options[i].section) keys_of(section->options[i].section, text);
    }
}

static void the_examples_are_good_and_the_full_one_shows_every_key(void **state) {
    static const char *const paths[] = {EXAMPLES "/edge.yaml", EXAMPLES "/edge-full.yaml"};
    static char text[16384];
    (void)state;
    for (size_t i = 0; i < SK_COUNT(paths); i++) {
        struct config_problems problems;
        struct config *c = NULL;
        config_problems_init(&problems);
        if (config_load_file(paths[i], &c, &problems))
            fail_msg("%.*s", SK_STR_ARGS(sk_buf_str(&problems.text)));
        config_unref(c);
        config_problems_free(&problems);
    }
    FILE *file = fopen(paths[1], "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = 0;
    fclose(file);
    keys_of(config_top, text);
}

static void a_file_that_cannot_be_read_is_a_problem(void **state) {
    static const struct {
        const char *path, *text;
    } cases[] = {
        {"/nonexistent/edge.yaml", "/nonexistent/edge.yaml: cannot be read: not found\n"},
        {"/tmp", "/tmp: cannot be read: "},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct config_problems problems;
        struct config *c;
        config_problems_init(&problems);
        assert_int_not_equal(config_load_file(cases[i].path, &c, &problems), SK_OK);
        assert_true(sk_str_starts_with(sk_buf_str(&problems.text), sk_str_from_c(cases[i].text)));
        config_problems_free(&problems);
    }
}

static void the_command_line_alone_is_a_configuration(void **state) {
    static const char *const origins[] = {"http://127.0.0.1:1", "http://127.0.0.1:2"};
    static const char *const listen[] = {":80", "127.0.0.1:81"};
    const struct config_arguments arguments = {listen, 2, origins, 2, "256MiB", "unix:/run/a", "-", 3};
    struct config_problems problems;
    struct config *c;
    (void)state;
    config_problems_init(&problems);
    if (config_from_arguments(&arguments, &c, &problems))
        fail_msg("%.*s", SK_STR_ARGS(sk_buf_str(&problems.text)));
    assert_int_equal(c->listener_count, 2);
    assert_int_equal(c->site_count, 1);
    assert_int_equal(c->sites[0].origin_count, 2);
    assert_int_equal(c->memory_bytes, 256 << 20);
    assert_int_equal(c->max_object_bytes, 128 << 20);
    assert_str(c->admin, SK_STR("unix:/run/a"));
    assert_str(c->access_log, SK_STR("-"));
    assert_int_equal(c->threads, 3);
    assert_ptr_equal(config_site_for(c, SK_STR("whatever")), &c->sites[0]);
    config_unref(c);
    config_problems_free(&problems);
}

static void bad_arguments_name_their_flag(void **state) {
    static const char *const good[] = {"http://127.0.0.1:1"}, *const twice[] = {"http://a", "http://a:80"};
    static const char *const bad[] = {"x"};
    static const struct {
        struct config_arguments arguments;
        const char *text;
    } cases[] = {
        {{.origins = bad, .origin_count = 0}, "command line: --origin: found none, expected one"},
        {{.origins = bad, .origin_count = 1}, "command line: --origin: found \"x\", expected http://"},
        {{.origins = twice, .origin_count = 2},
         "command line: sites[0].origins[1].url: found \"http://a:80\" again"},
        {{.origins = good, .origin_count = 1, .listen = bad, .listen_count = 1},
         "command line: --listen: found \"x\", expected an IP address"},
        {{.origins = good, .origin_count = 1, .memory = "much"},
         "command line: --memory: found \"much\", expected"},
        {{.origins = good, .origin_count = 1, .threads = 99999},
         "command line: --threads: found \"99999\", expected"},
        {{.origins = good, .origin_count = 1, .admin = "0.0.0.0:1"},
         "command line: admin: found an address for"},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct config_problems problems;
        struct config *c;
        config_problems_init(&problems);
        assert_int_equal(config_from_arguments(&cases[i].arguments, &c, &problems), SK_ERR_INVALID);
        if (!sk_str_starts_with(sk_buf_str(&problems.text), sk_str_from_c(cases[i].text)))
            fail_msg("%.*s", SK_STR_ARGS(sk_buf_str(&problems.text)));
        config_problems_free(&problems);
    }
}

static void arguments_override_a_file_but_not_its_origins(void **state) {
    static const char *const listen[] = {"127.0.0.1:7"}, *const origins[] = {"http://a"};
    struct config_arguments arguments = {.listen = listen, .listen_count = 1, .memory = "64MiB"};
    struct config_problems problems;
    struct config *c = parsed("memory: 1GiB\nlisten: [\":1\", \":2\"]\n" SITE);
    (void)state;
    config_problems_init(&problems);
    assert_int_equal(config_apply_arguments(c, &arguments, &problems), SK_OK);
    assert_int_equal(c->listener_count, 1);
    assert_int_equal(c->memory_bytes, 64 << 20);
    assert_int_equal(c->max_object_bytes, 32 << 20);
    arguments.origins = origins;
    arguments.origin_count = 1;
    assert_int_equal(config_apply_arguments(c, &arguments, &problems), SK_ERR_INVALID);
    config_unref(c);
    config_problems_free(&problems);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_site_and_an_origin_are_enough),
        cmocka_unit_test(the_cache_defaults_are_those_of_http),
        cmocka_unit_test(every_kind_of_value_arrives),
        cmocka_unit_test(every_row_has_a_default_and_an_example_that_it_allows),
        cmocka_unit_test(a_host_finds_its_site),
        cmocka_unit_test(hosts_are_found_among_thousands),
        cmocka_unit_test(deep_and_long_texts_are_refused_quickly),
        cmocka_unit_test(paths_are_relative_to_the_file),
        cmocka_unit_test(listeners_have_options_and_certificates),
        cmocka_unit_test(the_examples_are_good_and_the_full_one_shows_every_key),
        cmocka_unit_test(a_file_that_cannot_be_read_is_a_problem),
        cmocka_unit_test(the_command_line_alone_is_a_configuration),
        cmocka_unit_test(bad_arguments_name_their_flag),
        cmocka_unit_test(arguments_override_a_file_but_not_its_origins),
        cmocka_unit_test(every_problem_names_its_place_and_what_is_allowed),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
