/* Replies of the Redis protocol and their shapes, without a server. */
#include "fleet/valkey_shape.h"
#include "unit.h"

static struct sk_arena arena;

static int set_up(void **state) {
    sk_arena_init(&arena, 1024, 1 << 20);
    return 0;
}
static int tear_down(void **state) {
    sk_arena_free(&arena);
    return 0;
}

/* In pieces of PIECE bytes. */
static sk_err read_in_pieces(sk_str bytes, size_t piece, const struct fleet_reply **out_reply) {
    struct fleet_reply_reader *reader;
    assert_ok(fleet_reply_reader_create(&reader));
    sk_err err = SK_ERR_AGAIN;
    while (err == SK_ERR_AGAIN && bytes.len) {
        sk_str part = sk_str_slice(bytes, 0, piece);
        bytes = sk_str_slice(bytes, part.len, bytes.len);
        err = fleet_reply_feed(reader, part.data, part.len);
        if (!err) err = fleet_reply_next(reader, &arena, out_reply);
    }
    fleet_reply_reader_free(reader);
    return err;
}

static void commands_are_arrays_of_bulk_strings(void **state) {
    struct sk_buf out;
    sk_buf_init(&out, 0);
    const sk_str words[] = {SK_STR("SET"), SK_STR("a\r\n"), SK_STR("")};
    assert_ok(fleet_command_write(&out, words, 3));
    assert_str(sk_buf_str(&out), SK_STR("*3\r\n$3\r\nSET\r\n$3\r\na\r\n\r\n$0\r\n\r\n"));
    sk_buf_free(&out);
}

static void every_kind_is_read_in_pieces_of_any_size(void **state) {
    const sk_str bytes = SK_STR("*6\r\n:-7\r\n$3\r\na\0b\r\n+OK\r\n-ERR no\r\n$-1\r\n*1\r\n:1\r\n");
    for (size_t piece = 1; piece <= bytes.len; piece++) {
        const struct fleet_reply *reply;
        assert_ok(read_in_pieces(bytes, piece, &reply));
        assert_int_equal(reply->kind, FLEET_REPLY_ARRAY);
        assert_int_equal(reply->count, 6);
        assert_int_equal(reply->items[0]->integer, -7);
        assert_str(reply->items[1]->text, SK_STR("a\0b"));
        assert_str(reply->items[2]->text, SK_STR("OK"));
        assert_int_equal(reply->items[3]->kind, FLEET_REPLY_REFUSAL);
        assert_str(reply->items[3]->text, SK_STR("ERR no"));
        assert_int_equal(reply->items[4]->kind, FLEET_REPLY_NIL);
        assert_int_equal(reply->items[5]->items[0]->integer, 1);
        sk_arena_reset(&arena);
    }
}

static void hostile_replies_are_bounded(void **state) {
    static const struct {
        const char *bytes;
        sk_err err;
    } cases[] = {
        {"HTTP/1.1 400 Bad Request\r\n", SK_ERR_MALFORMED},
        {"*2000000000\r\n", SK_ERR_MALFORMED},
        {"*60000\r\n*60000\r\n", SK_ERR_TOO_LARGE},
        {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", SK_ERR_TOO_LARGE},
        {"$99999999999\r\n", SK_ERR_AGAIN}, /* and nothing is allocated for it */
        {"*1\r\n", SK_ERR_AGAIN},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        const struct fleet_reply *reply;
        assert_err(read_in_pieces(sk_str_from_c(cases[i].bytes), 7, &reply), cases[i].err);
        sk_arena_reset(&arena);
    }
}

static void bytes_without_an_end_are_refused(void **state) {
    struct fleet_reply_reader *reader;
    static char piece[1 << 20];
    const struct fleet_reply *reply;
    assert_ok(fleet_reply_reader_create(&reader));
    assert_ok(fleet_reply_feed(reader, "$99999999\r\n", 11));
    sk_err err = SK_OK;
    for (int i = 0; i < 9 && !err; i++) {
        err = fleet_reply_feed(reader, piece, sizeof piece);
        if (!err) assert_err(fleet_reply_next(reader, &arena, &reply), SK_ERR_AGAIN);
    }
    assert_int_equal(err, SK_ERR_TOO_LARGE);
    fleet_reply_reader_free(reader);
}

static void stream_entries_are_read(void **state) {
    const struct fleet_reply *reply;
    struct fleet_stream_entries entries;
    assert_ok(
        read_in_pieces(SK_STR("*1\r\n*2\r\n$1\r\ns\r\n*2\r\n*2\r\n$4\r\n17-3\r\n*2\r\n$1\r\ne\r\n$2\r\nxy\r\n"
                              "*2\r\n$4\r\n18-0\r\n*-1\r\n"),
                       9, &reply));
    assert_ok(fleet_reply_streams(reply, SK_STR("s"), &arena, &entries));
    assert_int_equal(entries.count, 2);
    assert_int_equal(entries.items[0].id.ms, 17);
    assert_int_equal(entries.items[0].id.number, 3);
    assert_str(fleet_pair_value(entries.items[0].pairs, entries.items[0].pair_count, "e"), SK_STR("xy"));
    assert_str(fleet_pair_value(entries.items[1].pairs, entries.items[1].pair_count, "e"), SK_STR(""));
    assert_err(fleet_reply_streams(reply, SK_STR("other"), &arena, &entries), SK_ERR_MALFORMED);
}

static void other_shapes_are_malformed(void **state) {
    static const char *const cases[] = {
        ":1\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*1\r\n:1\r\n",
        "*1\r\n*2\r\n$1\r\ns\r\n:1\r\n",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$1\r\n1\r\n*0\r\n",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*1\r\n$1\r\na\r\n",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n:3\r\n",
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        const struct fleet_reply *reply;
        struct fleet_stream_entries entries;
        assert_ok(read_in_pieces(sk_str_from_c(cases[i]), 64, &reply));
        assert_err(fleet_reply_streams(reply, SK_STR("s"), &arena, &entries), SK_ERR_MALFORMED);
    }
}

static void addresses_are_read(void **state) {
    static const struct {
        const char *url, *path, *host;
        uint16_t port;
        const char *user, *password;
    } cases[] = {
        {"unix:/run/v.sock", "/run/v.sock", "", 0, "", ""},
        {"valkey://10.0.0.1", "", "10.0.0.1", 6379, "", ""},
        {"redis://bus.example:7000", "", "bus.example", 7000, "", ""},
        {"valkey://[2001:db8::1]:6380", "", "2001:db8::1", 6380, "", ""},
        {"valkey://edge:p@ss:w@bus.example", "", "bus.example", 6379, "edge", "p@ss:w"},
        {"valkey://:secret@bus.example:1", "", "bus.example", 1, "", "secret"},
    };
    static const char *const wrong[] = {"",
                                        "unix:",
                                        "10.0.0.1:6379",
                                        "http://bus.example",
                                        "valkey://",
                                        "valkey://:6379",
                                        "valkey://h:0",
                                        "valkey://h:65536",
                                        "valkey://h:",
                                        "valkey://[::1",
                                        "valkey://[::1]6379"};
    struct fleet_valkey_where where;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        assert_ok(fleet_valkey_where_parse(sk_str_from_c(cases[i].url), &where));
        assert_str(where.path, sk_str_from_c(cases[i].path));
        assert_str(where.host, sk_str_from_c(cases[i].host));
        assert_int_equal(where.port, cases[i].port);
        assert_str(where.user, sk_str_from_c(cases[i].user));
        assert_str(where.password, sk_str_from_c(cases[i].password));
    }
    for (size_t i = 0; i < SK_COUNT(wrong); i++)
        assert_int_not_equal(fleet_valkey_where_parse(sk_str_from_c(wrong[i]), &where), SK_OK);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(commands_are_arrays_of_bulk_strings),
        CASE(every_kind_is_read_in_pieces_of_any_size),
        CASE(hostile_replies_are_bounded),
        CASE(bytes_without_an_end_are_refused),
        CASE(stream_entries_are_read),
        CASE(other_shapes_are_malformed),
        CASE(addresses_are_read),
    };
    return SK_RUN_TESTS(tests);
}
