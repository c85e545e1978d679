#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fibers.h"
#include "io/resolver.h"

/* --- a scripted DNS server on the same loop ------------------------------------------------------------- */

enum { TYPE_A = 1, TYPE_AAAA = 28, NXDOMAIN = 3, SERVFAIL = 2, SILENCE = -1 };

/* What the server says to a question; *queries counts those of type A. */
struct script {
    const char *name;
    int rcode; /* or SILENCE */
    int ttl_s;
    int a_count, aaaa_count;
    int queries;
};

static struct script scripts[] = {
    {.name = "both.test", .ttl_s = 60, .a_count = 1, .aaaa_count = 1},
    {.name = "four.test", .ttl_s = 60, .a_count = 1},
    {.name = "six.test", .ttl_s = 60, .aaaa_count = 1},
    {.name = "many.test", .ttl_s = 60, .a_count = 25},
    {.name = "zero.test", .ttl_s = 0, .a_count = 1},
    {.name = "long.test", .ttl_s = 86400, .a_count = 1},
    {.name = "flaky.test", .ttl_s = 1, .a_count = 1},
    {.name = "empty.test", .ttl_s = 60},
    {.name = "fail.test", .rcode = SERVFAIL},
    {.name = "silent.test", .rcode = SILENCE},
};

static struct io_watch server;
static uint8_t reply[2048];
static size_t reply_len;

static void put16(unsigned value) {
    reply[reply_len++] = (uint8_t)(value >> 8);
    reply[reply_len++] = (uint8_t)value;
}

static struct script *find_script(const char *name) {
    for (size_t i = 0; i < SK_COUNT(scripts); i++)
        if (strcasecmp(scripts[i].name, name) == 0) return &scripts[i];
    return NULL;
}

/* The question's name as text; gives the offset behind it. */
static size_t read_name(const uint8_t *query, size_t bytes, char out[256]) {
    size_t at = 12, len = 0;
    while (at < bytes && query[at]) {
        if (len) out[len++] = '.';
        memcpy(out + len, query + at + 1, query[at]);
        len += query[at];
        at += query[at] + 1u;
    }
    out[len] = '\0';
    return at + 1;
}

static void put_record(unsigned type, int ttl_s, int number) {
    static const uint8_t six[15] = {0x20, 0x01, 0x0d, 0xb8};
    put16(0xc00c); /* the name of the question */
    put16(type), put16(1);
    put16((unsigned)ttl_s >> 16), put16((unsigned)ttl_s);
    put16(type == TYPE_A ? 4 : 16);
    if (type == TYPE_A) {
        const uint8_t four[4] = {192, 0, 2, (uint8_t)number};
        memcpy(reply + reply_len, four, 4);
        reply_len += 4;
    } else {
        memcpy(reply + reply_len, six, 15);
        reply[reply_len + 15] = (uint8_t)number;
        reply_len += 16;
    }
}

/* True when there is something to send. */
static bool make_reply(const uint8_t *query, size_t bytes) {
    char name[256];
    size_t question_end = read_name(query, bytes, name) + 4;
    unsigned type = query[question_end - 3];
    struct script *script = find_script(name);
    int count = !script || script->rcode ? 0
                : type == TYPE_A         ? script->a_count
                : type == TYPE_AAAA      ? script->aaaa_count
                                         : 0;
    if (script && type == TYPE_A) script->queries++;
    if (script && script->rcode == SILENCE) return false;
    memcpy(reply, query, question_end);
    reply[2] = 0x81, reply[3] = (uint8_t)(0x80 | (script ? script->rcode : NXDOMAIN));
    reply[6] = 0, reply[7] = (uint8_t)count;
    memset(reply + 8, 0, 4);
    reply_len = question_end;
    for (int i = 1; i <= count; i++) put_record(type, script->ttl_s, i);
    return true;
}

static void on_query(struct io_watch *watch, unsigned ready) {
    uint8_t query[512];
    struct io_addr peer;
    (void)ready;
    for (;;) {
        peer.len = sizeof peer.v6;
        ssize_t n = recvfrom(watch->fd, query, sizeof query, MSG_DONTWAIT, &peer.any, &peer.len);
        if (n < 17) return;
        if (make_reply(query, (size_t)n)) sendto(watch->fd, reply, reply_len, 0, &peer.any, peer.len);
    }
}

static struct io_resolver *resolver;

static void open_both(void) {
    struct io_addr addr;
    char text[IO_ADDR_TEXT_BYTES];
    assert_ok(io_addr_parse(SK_STR("127.0.0.1:0"), &addr));
    server = (struct io_watch){.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), .on_ready = on_query};
    SK_ASSERT(server.fd >= 0);
    assert_int_equal(bind(server.fd, &addr.any, addr.len), 0);
    assert_int_equal(getsockname(server.fd, &addr.any, &addr.len), 0);
    io_addr_format(&addr, text);
    assert_ok(io_watch_start(loop, &server));
    assert_ok(io_resolver_create(loop, text, &resolver));
    for (size_t i = 0; i < SK_COUNT(scripts); i++) scripts[i].queries = 0;
}

static void close_both(void) {
    io_resolver_destroy(resolver);
    io_watch_stop(&server);
    close(server.fd);
}

/* --- stories -------------------------------------------------------------------------------------------- */

static struct io_addr addrs[IO_RESOLVE_MAX];
static size_t count;

static sk_err resolve(const char *name, int64_t patience_ms) {
    return io_resolve(resolver, sk_str_from_c(name), 8080, in_ms(patience_ms), addrs, &count);
}

static bool has(const char *text) {
    struct io_addr wanted;
    assert_ok(io_addr_parse(sk_str_from_c(text), &wanted));
    for (size_t i = 0; i < count; i++)
        if (io_addr_eq(&addrs[i], &wanted)) return true;
    return false;
}

static void tell_families(void) {
    open_both();
    sk_time_ns start = sk_time_now();
    assert_ok(resolve("both.test", 3000));
    assert_int_equal(count, 2);
    assert_true(has("192.0.2.1:8080") && has("[2001:db8::1]:8080"));
    assert_ok(resolve("four.test", 3000));
    assert_int_equal(count, 1);
    assert_true(has("192.0.2.1:8080"));
    assert_ok(resolve("six.test", 3000));
    assert_int_equal(count, 1);
    assert_true(has("[2001:db8::1]:8080"));
    assert_ok(resolve("many.test", 3000));
    assert_int_equal(count, IO_RESOLVE_MAX);
    /* Both answers of a question are seen as they come, not when it times out. */
    assert_true(sk_time_now() - start < 1000 * MS);
    close_both();
}

static void both_families_are_asked_together(void **state) { (void)state, run_story(tell_families); }

static void tell_numeric(void) {
    open_both();
    static const struct {
        const char *host, *addr;
    } cases[] = {{"127.0.0.1", "127.0.0.1:8080"},
                 {"::1", "[::1]:8080"},
                 {"[::1]", "[::1]:8080"},
                 {"2001:db8::7", "[2001:db8::7]:8080"}};
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        assert_ok(resolve(cases[i].host, 0));
        assert_int_equal(count, 1);
        assert_true(has(cases[i].addr));
    }
    close_both();
}

static void numeric_addresses_ask_nobody(void **state) { (void)state, run_story(tell_numeric); }

static void tell_failures(void) {
    char long_name[400];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    open_both();
    count = 99;
    assert_err(resolve("missing.test", 5000), SK_ERR_NAME_NOT_FOUND);
    assert_err(resolve("empty.test", 5000), SK_ERR_NAME_NOT_FOUND);
    assert_err(resolve("fail.test", 10000), SK_ERR_NAME_SERVER);
    assert_err(resolve("silent.test", 50), SK_ERR_TIMEOUT);
    assert_err(resolve("", 50), SK_ERR_NAME_NOT_FOUND);
    assert_err(resolve("a b.test", 50), SK_ERR_NAME_NOT_FOUND);
    assert_err(resolve("a/b", 50), SK_ERR_NAME_NOT_FOUND);
    assert_err(resolve("unix:/x", 50), SK_ERR_NAME_NOT_FOUND);
    assert_err(resolve(long_name, 50), SK_ERR_NAME_NOT_FOUND);
    assert_err(io_resolve(resolver, SK_STR("a\0.test"), 1, in_ms(50), addrs, &count), SK_ERR_NAME_NOT_FOUND);
    assert_int_equal(count, 99);
    close_both();
}

static void failures_are_told_apart(void **state) { (void)state, run_story(tell_failures); }

static void tell_cache(void) {
    open_both();
    for (int i = 0; i < 5; i++) assert_ok(resolve(i % 2 ? "Both.TEST" : "both.test", 3000));
    assert_int_equal(find_script("both.test")->queries, 1);
    /* A TTL of 0 counts as 1 s. */
    for (int i = 0; i < 5; i++) assert_ok(resolve("zero.test", 3000));
    assert_int_equal(find_script("zero.test")->queries, 1);
    rest(1100);
    assert_ok(resolve("zero.test", 3000));
    assert_int_equal(find_script("zero.test")->queries, 2);
    /* So is "no such name" kept for 1 s. */
    for (int i = 0; i < 5; i++) assert_err(resolve("empty.test", 3000), SK_ERR_NAME_NOT_FOUND);
    int asked = find_script("empty.test")->queries;
    assert_err(resolve("empty.test", 3000), SK_ERR_NAME_NOT_FOUND);
    assert_int_equal(find_script("empty.test")->queries, asked);
    rest(1100);
    assert_err(resolve("empty.test", 3000), SK_ERR_NAME_NOT_FOUND);
    assert_true(find_script("empty.test")->queries > asked);
    close_both();
}

static void answers_are_kept_for_their_ttl(void **state) { (void)state, run_story(tell_cache); }

static void tell_stale(void) {
    struct script *flaky = find_script("flaky.test");
    open_both();
    assert_ok(resolve("flaky.test", 3000));
    rest(1100);
    flaky->rcode = SERVFAIL;
    assert_ok(resolve("flaky.test", 10000));
    assert_true(has("192.0.2.1:8080"));
    /* And the servers are left in peace for a moment. */
    int asked = flaky->queries;
    assert_ok(resolve("flaky.test", 0));
    assert_int_equal(flaky->queries, asked);
    rest(1100);
    /* Silence: whoever has something stale does not wait for the time-outs. */
    flaky->rcode = SILENCE;
    sk_time_ns start = sk_time_now();
    assert_ok(resolve("flaky.test", 60000));
    assert_in_range((sk_time_now() - start) / MS, 1700, 4000);
    assert_ok(resolve("flaky.test", 20));
    /* An answer that the name is gone is no failure. */
    flaky->rcode = NXDOMAIN;
    sk_err err = SK_OK;
    for (int i = 0; i < 100 && !err; i++) err = resolve("flaky.test", 100);
    assert_int_equal(err, SK_ERR_NAME_NOT_FOUND);
    flaky->rcode = 0;
    close_both();
}

static void a_stale_answer_serves_while_servers_fail(void **state) { (void)state, run_story(tell_stale); }

static int waiting, joined_ok;
static void join_lookup(void *arg) {
    struct io_addr mine[IO_RESOLVE_MAX];
    size_t n = 0;
    sk_err err = io_resolve(resolver, sk_str_from_c(arg), 80, in_ms(3000), mine, &n);
    if (!err && n == 2) joined_ok++;
    waiting--;
}

static void tell_join(void) {
    open_both();
    waiting = 50;
    joined_ok = 0;
    for (int i = 0; i < 50; i++)
        assert_ok(io_fiber_spawn(loop, "joiner", join_lookup, (void *)"both.test", NULL));
    assert_int_equal(waiting, 50);
    while (waiting) rest(1);
    assert_int_equal(joined_ok, 50);
    assert_int_equal(find_script("both.test")->queries, 1);
    close_both();
}

static void equal_lookups_are_joined(void **state) { (void)state, run_story(tell_join); }

static sk_err end_err;
static void wait_for_silence(void *arg) {
    struct io_addr mine[IO_RESOLVE_MAX];
    size_t n;
    (void)arg;
    end_err = io_resolve(resolver, SK_STR("silent.test"), 80, in_ms(30000), mine, &n);
    waiting--;
}

static void tell_ends(void) {
    struct io_fiber *fiber;
    open_both();
    waiting = 1;
    assert_ok(io_fiber_spawn(loop, "waiter", wait_for_silence, NULL, &fiber));
    io_fiber_cancel(fiber);
    while (waiting) rest(1);
    assert_int_equal(end_err, SK_ERR_CANCELLED);
    waiting = 2;
    for (int i = 0; i < 2; i++) assert_ok(io_fiber_spawn(loop, "waiter", wait_for_silence, NULL, NULL));
    rest(5);
    close_both();
    while (waiting) rest(1);
    assert_int_equal(end_err, SK_ERR_CANCELLED);
    io_resolver_destroy(NULL);
}

static void cancelling_and_destroying_end_the_wait(void **state) { (void)state, run_story(tell_ends); }

static void tell_bounds(void) {
    open_both();
    assert_ok(resolve("both.test", 3000));
    for (int i = 0; i < 3000; i++) {
        char name[32];
        snprintf(name, sizeof name, "a%d.test", i);
        assert_err(resolve(name, 5000), SK_ERR_NAME_NOT_FOUND);
    }
    assert_ok(resolve("both.test", 3000));
    assert_int_equal(find_script("both.test")->queries, 2); /* it had to make room */
    close_both();
    assert_err(io_resolver_create(loop, "no server", &resolver), SK_ERR_INVALID);
}

static void many_names_do_not_grow_the_cache_without_end(void **state) {
    (void)state, run_story(tell_bounds);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_families_are_asked_together),
        cmocka_unit_test(numeric_addresses_ask_nobody),
        cmocka_unit_test(failures_are_told_apart),
        cmocka_unit_test(answers_are_kept_for_their_ttl),
        cmocka_unit_test(a_stale_answer_serves_while_servers_fail),
        cmocka_unit_test(equal_lookups_are_joined),
        cmocka_unit_test(cancelling_and_destroying_end_the_wait),
        cmocka_unit_test(many_names_do_not_grow_the_cache_without_end),
    };
    return SK_RUN_TESTS(tests);
}
