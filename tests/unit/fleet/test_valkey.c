/* The connection against a real valkey-server. */
#include "fleet/valkey.h"

#include "fleet/valkey_server.h"

static struct valkey_server server;
static struct fleet_valkey *valkey;
static struct sk_arena arena;

static const struct fleet_reply *call(sk_str a, sk_str b, sk_str c) {
    const sk_str words[] = {a, b, c};
    const struct fleet_reply *reply = NULL;
    assert_ok(fleet_valkey_call(valkey, words, c.len ? 3 : b.len ? 2 : 1, in_ms(2000), &arena, &reply));
    return reply;
}

/* Until the server answers: it has just been started. */
static void wait_for_server(void) {
    const sk_str ping = SK_STR("PING");
    const struct fleet_reply *reply;
    sk_time_ns end = sk_time_now() + 10000 * MS;
    while (fleet_valkey_call(valkey, &ping, 1, sk_time_now() + 500 * MS, &arena, &reply) != SK_OK) {
        assert_true(sk_time_now() < end);
        assert_ok(fleet_valkey_pause(valkey));
    }
}

static void begin(void) {
    struct fleet_valkey_where where = {.path = sk_str_from_c(server.path)};
    sk_arena_init(&arena, 4096, 4 << 20);
    assert_ok(fleet_valkey_create(loop, &where, &valkey));
    wait_for_server();
    call(SK_STR("FLUSHALL"), (sk_str){0}, (sk_str){0});
}

static void end(void) {
    fleet_valkey_destroy(valkey);
    sk_arena_free(&arena);
}

/* ---- stories --------------------------------------------------------------------------------------------------- */

static void tell_calls(void) {
    begin();
    assert_str(call(SK_STR("SET"), SK_STR("k"), SK_STR("v\r\n"))->text, SK_STR("OK"));
    assert_str(call(SK_STR("GET"), SK_STR("k"), (sk_str){0})->text, SK_STR("v\r\n"));
    assert_int_equal(call(SK_STR("GET"), SK_STR("none"), (sk_str){0})->kind, FLEET_REPLY_NIL);
    const struct fleet_reply *reply;
    const sk_str wrong[] = {SK_STR("LPUSH"), SK_STR("k"), SK_STR("x")};
    assert_err(fleet_valkey_call(valkey, wrong, 3, in_ms(1000), &arena, &reply), SK_ERR_INVALID);
    assert_true(sk_str_starts_with(fleet_valkey_refusal(valkey), SK_STR("WRONGTYPE")));
    assert_true(fleet_valkey_connected(valkey));
    end();
}

static void tell_streams(void) {
    struct fleet_stream_id first, second;
    struct fleet_stream_entries entries;
    const struct fleet_pair a = {SK_STR("e"), SK_STR("one")}, b = {SK_STR("e"), SK_STR("two")};
    begin();
    assert_ok(fleet_valkey_read(valkey, SK_STR("s"), (struct fleet_stream_id){0}, 10, 0, &arena, &entries));
    assert_int_equal(entries.count, 0);
    assert_ok(fleet_valkey_last(valkey, SK_STR("s"), in_ms(1000), &arena, &entries));
    assert_int_equal(entries.count, 0);
    assert_ok(fleet_valkey_add(valkey, SK_STR("s"), 1000, &a, 1, in_ms(1000), &arena, &first));
    assert_ok(fleet_valkey_add(valkey, SK_STR("s"), 0, &b, 1, in_ms(1000), &arena, &second));
    assert_true(fleet_stream_id_compare(first, second) < 0);
    assert_ok(fleet_valkey_read(valkey, SK_STR("s"), first, 10, 100, &arena, &entries));
    assert_int_equal(entries.count, 1);
    assert_int_equal(fleet_stream_id_compare(entries.items[0].id, second), 0);
    assert_str(fleet_pair_value(entries.items[0].pairs, entries.items[0].pair_count, "e"), SK_STR("two"));
    assert_ok(fleet_valkey_range(valkey, SK_STR("s"), first, 10, in_ms(1000), &arena, &entries));
    assert_int_equal(entries.count, 2);
    assert_ok(fleet_valkey_last(valkey, SK_STR("s"), in_ms(1000), &arena, &entries));
    assert_str(fleet_pair_value(entries.items[0].pairs, entries.items[0].pair_count, "e"), SK_STR("two"));
    sk_time_ns before = sk_time_now();
    assert_ok(fleet_valkey_read(valkey, SK_STR("s"), second, 10, 120, &arena, &entries));
    assert_int_equal(entries.count, 0);
    assert_true(sk_time_now() - before >= 100 * MS);
    end();
}

static void tell_hashes(void) {
    const struct fleet_pair pairs[] = {{SK_STR("pop"), SK_STR("ams")}, {SK_STR("load"), SK_STR("0.5")}};
    struct fleet_pair *found;
    size_t count;
    begin();
    assert_ok(fleet_valkey_hash_get(valkey, SK_STR("h"), in_ms(1000), &arena, &found, &count));
    assert_int_equal(count, 0);
    assert_ok(fleet_valkey_hash_set(valkey, SK_STR("h"), pairs, 2, 50, in_ms(1000), &arena));
    assert_ok(fleet_valkey_hash_get(valkey, SK_STR("h"), in_ms(1000), &arena, &found, &count));
    assert_int_equal(count, 2);
    rest(120);
    assert_ok(fleet_valkey_hash_get(valkey, SK_STR("h"), in_ms(1000), &arena, &found, &count));
    assert_int_equal(count, 0);
    end();
}

static int done;
static void ask_in_a_row(void *arg) {
    for (int i = 0; i < 20; i++) call(SK_STR("INCR"), SK_STR("n"), (sk_str){0});
    done++;
}

static void tell_sharing(void) {
    begin();
    done = 0;
    for (int i = 0; i < 10; i++) assert_ok(io_fiber_spawn(loop, "asker", ask_in_a_row, NULL, NULL));
    while (done < 10) rest(5);
    assert_str(call(SK_STR("GET"), SK_STR("n"), (sk_str){0})->text, SK_STR("200"));
    end();
}

static void tell_coming_back(void) {
    const sk_str ping = SK_STR("PING");
    const struct fleet_reply *reply;
    begin();
    uint64_t generation = fleet_valkey_generation(valkey);
    valkey_server_stop(&server);
    assert_int_not_equal(fleet_valkey_call(valkey, &ping, 1, in_ms(500), &arena, &reply), SK_OK);
    assert_false(fleet_valkey_connected(valkey));
    sk_time_ns before = sk_time_now(); /* at once, while the pause lasts */
    assert_int_not_equal(fleet_valkey_call(valkey, &ping, 1, in_ms(5000), &arena, &reply), SK_OK);
    assert_true(sk_time_now() - before < 1000 * MS);
    valkey_server_start(&server);
    wait_for_server();
    assert_true(fleet_valkey_generation(valkey) > generation);
    end();
}

static void tell_deadline(void) {
    const sk_str wait[] = {SK_STR("BLPOP"), SK_STR("none"), SK_STR("0")};
    const struct fleet_reply *reply;
    begin();
    assert_err(fleet_valkey_call(valkey, wait, 3, in_ms(50), &arena, &reply), SK_ERR_TIMEOUT);
    assert_false(fleet_valkey_connected(valkey)); /* or its reply would be taken for the next one's */
    assert_ok(fleet_valkey_pause(valkey));
    call(SK_STR("PING"), (sk_str){0}, (sk_str){0});
    end();
}

static void tell_password(void) {
    begin();
    const sk_str set[] = {SK_STR("CONFIG"), SK_STR("SET"), SK_STR("requirepass"), SK_STR("right")};
    const sk_str clear[] = {SK_STR("CONFIG"), SK_STR("SET"), SK_STR("requirepass"), SK_STR("")};
    const sk_str ping = SK_STR("PING");
    const struct fleet_reply *reply;
    struct fleet_valkey *others[3];
    assert_ok(fleet_valkey_call(valkey, set, 4, in_ms(1000), &arena, &reply));
    const sk_str passwords[] = {SK_STR("right"), SK_STR("wrong"), (sk_str){0}};
    for (size_t i = 0; i < 3; i++) {
        struct fleet_valkey_where where = {.path = sk_str_from_c(server.path), .password = passwords[i]};
        assert_ok(fleet_valkey_create(loop, &where, &others[i]));
        assert_err(fleet_valkey_call(others[i], &ping, 1, in_ms(1000), &arena, &reply),
                   i == 0 ? SK_OK : SK_ERR_DENIED);
        fleet_valkey_destroy(others[i]);
    }
    assert_ok(fleet_valkey_call(valkey, clear, 4, in_ms(1000), &arena, &reply));
    end();
}

#define STORY(name)                                                                                          \
    static void name(void **state) { run_story(tell_##name); }
STORY(calls)
STORY(streams)
STORY(hashes)
STORY(sharing)
STORY(coming_back)
STORY(deadline)
STORY(password)

static int start_server(void **state) {
    valkey_server_start(&server);
    return 0;
}
static int remove_server(void **state) {
    valkey_server_remove(&server);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls),       cmocka_unit_test(streams),  cmocka_unit_test(hashes),
        cmocka_unit_test(sharing),     cmocka_unit_test(deadline), cmocka_unit_test(password),
        cmocka_unit_test(coming_back),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, start_server, remove_server);
}
