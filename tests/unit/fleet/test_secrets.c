#include "fleet/secrets.h"

#include <sys/stat.h>
#include <unistd.h>

#include "fleet_of_test.h"

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEX20 "00112233445566778899"
#define HEX160 HEX20 HEX20 HEX20 HEX20 HEX20 HEX20 HEX20 HEX20

static void test_round_trip(void **state) {
    struct fleet_certificate_item items[] = {{SK_STR("a"), 1, DIGEST},
                                             {SK_STR("shop.example"), 1767225600123, DIGEST}};
    struct fleet_secrets list = {.certificates = items, .certificate_count = 2, .ticket_count = 2}, again;
    struct sk_arena arena;
    struct sk_buf text, twice;
    list.tickets[0] = (struct fleet_ticket_item){.generation = 8, .use_until = 2000, .accept_until = 3000};
    list.tickets[1] = (struct fleet_ticket_item){.generation = 7, .use_until = 1000, .accept_until = 2000};
    for (size_t i = 0; i < sizeof list.tickets[0].key; i++)
        list.tickets[0].key.bytes[i] = (unsigned char)(i * 7);
    sk_buf_init(&text, 0);
    sk_buf_init(&twice, 0);
    sk_arena_init(&arena, 1024, 0);
    assert_ok(fleet_secrets_write(&list, &text));
    assert_ok(fleet_secrets_parse(sk_buf_str(&text), &arena, &again));
    assert_int_equal(again.certificate_count, 2);
    assert_int_equal(again.ticket_count, 2);
    assert_memory_equal(&again.tickets, &list.tickets, sizeof list.tickets);
    assert_str(again.certificates[1].name, SK_STR("shop.example"));
    assert_ok(fleet_secrets_write(&again, &twice));
    assert_str(sk_buf_str(&twice), sk_buf_str(&text));
    sk_buf_free(&text);
    sk_buf_free(&twice);
    sk_arena_free(&arena);
}

#define TOP "skerry secrets 1\n"

static void test_refused(void **state) {
    static const char *const good[] = {TOP, TOP "certificate a 1 " DIGEST "\n",
                                       TOP "ticket 1 2 3 " HEX160 "\n"};
    static const char *const bad[] = {
        "",
        "skerry secrets 1",
        "skerry secrets 2\n",
        TOP "\n",
        TOP "certificate a 1 " DIGEST,
        TOP "certificate a 1 " DIGEST " x\n",
        TOP "certificate a  " DIGEST "\n",
        TOP "certificate a 1 0" DIGEST "\n",
        TOP "certificate a 1 G" DIGEST "\n",
        TOP "certificate ../a 1 " DIGEST "\n", /* it becomes a file's name */
        TOP "certificate . 1 " DIGEST "\n",
        TOP "certificate A 1 " DIGEST "\n",
        TOP "certificate a -1 " DIGEST "\n",
        TOP "ticket 1 2 3 " HEX160 "0\n",
        TOP "ticket 1 2 99999999999999999999 " HEX160 "\n",
        TOP "ticket 1 2 3 x" HEX160 "\n",
        TOP "ticket 1 2 3 " HEX160 "\nticket 1 2 3 " HEX160 "\nticket 1 2 3 " HEX160 "\nticket 1 2 3 " HEX160
            "\n",
        TOP "something\n",
    };
    struct sk_arena arena;
    struct fleet_secrets list;
    sk_arena_init(&arena, 1024, 0);
    for (size_t i = 0; i < SK_COUNT(good); i++)
        assert_ok(fleet_secrets_parse(sk_str_from_c(good[i]), &arena, &list));
    for (size_t i = 0; i < SK_COUNT(bad); i++)
        if (fleet_secrets_parse(sk_str_from_c(bad[i]), &arena, &list) != SK_ERR_MALFORMED)
            fail_msg("%s", bad[i]);
    sk_arena_free(&arena);
}

static struct fleet_certificate_item item_of(const char *name, uint64_t changed, sk_str text) {
    struct fleet_certificate_item item = {.name = sk_str_from_c(name), .changed = changed};
    uint8_t digest[FLEET_DIGEST_BYTES];
    fleet_digest(text, digest);
    fleet_hex(digest, item.digest);
    return item;
}

static bool have(const struct fleet_certificate_item *item) {
    bool there;
    assert_ok(fleet_certificate_look(sk_str_from_c(test_folder), item, &there));
    return there;
}

static bool only_b(void *arg, sk_str name) { return sk_str_eq(name, SK_STR("b")); }

/* What is there is not asked for again, what control has changed is, and what is older than ours never. */
static void test_on_disk(void **state) {
    const sk_str first = SK_STR("first\n"), second = SK_STR("second\n");
    struct fleet_certificate_item old = item_of("a", 10, first), now = item_of("a", 20, second),
                                  b = item_of("b", 1, first);
    char path[128];
    struct stat st;
    test_folder_make();
    sk_str folder = sk_str_from_c(test_folder);
    assert_false(have(&old));
    assert_err(fleet_certificate_keep(folder, &old, second), SK_ERR_CORRUPT);
    assert_ok(fleet_certificate_keep(folder, &old, first));
    assert_true(have(&old));
    assert_false(have(&now));
    assert_ok(fleet_certificate_keep(folder, &now, second));
    assert_true(have(&now));
    assert_true(have(&old)); /* ours is newer */
    snprintf(path, sizeof path, "%s/certificates/a.pem", test_folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_ok(fleet_certificate_keep(folder, &b, first));
    fleet_certificates_prune(folder, only_b, NULL);
    assert_int_equal(access(path, F_OK), -1);
    assert_true(have(&b));
    test_folder_remove();
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_on_disk),
    };
    return SK_RUN_TESTS(tests);
}
