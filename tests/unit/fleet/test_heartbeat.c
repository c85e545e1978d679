/* What nodes say of themselves: its text, its seal, and who is not believed. */
#include "fleet/heartbeat.h"

#include "fleet_of_test.h"

#define A "spiffe://acme/fra/edge/a"

static struct fleet_ca *ca, *foreign;
static struct fleet_identity *edge, *control, *stranger, *judge;
static struct fleet_signers *signers;
static int64_t now_ms;

static int set_up(void **state) {
    char path[128];
    now_ms = sk_wall_now_ns() / SK_NS_PER_MS;
    test_folder_make();
    snprintf(path, sizeof path, "%s/ca", test_folder);
    assert_ok(fleet_ca_open(sk_str_from_c(path), SK_STR("acme"), now_ms / 1000, &ca));
    snprintf(path, sizeof path, "%s/foreign", test_folder);
    assert_ok(fleet_ca_open(sk_str_from_c(path), SK_STR("acme"), now_ms / 1000, &foreign));
    edge = test_identity(ca, A, now_ms / 1000);
    control = test_identity(ca, "spiffe://acme/fra/control/c", now_ms / 1000);
    judge = test_identity(ca, "spiffe://acme/fra/edge/b", now_ms / 1000);
    stranger = test_identity(foreign, A, now_ms / 1000);
    assert_ok(fleet_signers_create(2, &signers));
    return 0;
}

static int tear_down(void **state) {
    fleet_signers_free(signers);
    struct fleet_identity *const all[] = {edge, control, stranger, judge};
    for (size_t i = 0; i < SK_COUNT(all); i++) fleet_identity_unref(all[i]);
    fleet_ca_free(ca);
    fleet_ca_free(foreign);
    test_folder_remove();
    return 0;
}

static struct fleet_heartbeat example(void) {
    return (struct fleet_heartbeat){.name = SK_STR(A),
                                    .state = FLEET_STATE_SICK,
                                    .why = SK_STR("its disk is out of service"),
                                    .address = SK_STR("10.0.0.1:7444"),
                                    .version = SK_STR("1.2.3"),
                                    .silent = true,
                                    .made_ms = (uint64_t)now_ms,
                                    .config = 7,
                                    .requests = UINT64_MAX,
                                    .load_permille = 431};
}

static void what_is_written_is_read_again(void **state) {
    struct fleet_heartbeat beat = example(), again;
    struct sk_buf text;
    sk_buf_init(&text, FLEET_HEARTBEAT_MAX_BYTES);
    assert_ok(fleet_heartbeat_write(&beat, &text));
    assert_ok(sk_buf_append(&text, SK_STR("what a newer node may say 1\n")));
    assert_ok(fleet_heartbeat_read(sk_buf_str(&text), &again));
    assert_str(again.name, SK_STR(A));
    assert_str(again.why, SK_STR("its disk is out of service"));
    assert_str(again.address, SK_STR("10.0.0.1:7444"));
    assert_str(again.version, SK_STR("1.2.3"));
    assert_int_equal(again.state, FLEET_STATE_SICK);
    assert_true(again.silent && again.config == 7 && again.requests == UINT64_MAX);
    assert_true(again.made_ms == (uint64_t)now_ms && again.load_permille == 431 && again.hits == 0);
    sk_buf_free(&text);
}

static void what_is_no_heartbeat_is_refused(void **state) {
    static const char *const bad[] = {
        "",
        "skerry heartbeat 2\nname a\nstate running\nmade_ms 1\n",
        "skerry heartbeat 1\nstate running\nmade_ms 1\n",
        "skerry heartbeat 1\nname a\nmade_ms 1\n",
        "skerry heartbeat 1\nname a\nstate running\n",
        "skerry heartbeat 1\nname a\nstate well\nmade_ms 1\n",
        "skerry heartbeat 1\nname a\nstate running\nmade_ms -1\n",
        "skerry heartbeat 1\nname a\nstate running\nmade_ms 1\nhits many\n",
        "skerry heartbeat 1\nname a\nstate running\nmade_ms 1\nsilent 2\n",
        "skerry heartbeat 1\nname a\nstate running\nmade_ms 1\n\n",
        "skerry heartbeat 1\nname a\1\nstate running\nmade_ms 1\n",
    };
    struct fleet_heartbeat beat;
    for (size_t i = 0; i < SK_COUNT(bad); i++)
        assert_err(fleet_heartbeat_read(sk_str_from_c(bad[i]), &beat), SK_ERR_MALFORMED);
}

static void a_text_cannot_begin_another_line(void **state) {
    struct fleet_heartbeat beat = example();
    struct sk_buf text;
    sk_buf_init(&text, FLEET_HEARTBEAT_MAX_BYTES);
    beat.why = SK_STR("x\nstate running");
    assert_err(fleet_heartbeat_write(&beat, &text), SK_ERR_INVALID);
    sk_buf_free(&text);
}

/* What JUDGE makes of BEAT, sealed by SIGNER and shown under the name MEMBER, a while later. */
static sk_err judged(struct fleet_identity *signer, const char *member_name, struct fleet_heartbeat beat,
                     int64_t later_ms, size_t damage_at) {
    struct fleet_sealed sealed;
    struct fleet_pair pairs[FLEET_SEALED_PAIRS];
    struct fleet_heartbeat out;
    fleet_heartbeat_sealed_init(&sealed);
    assert_ok(fleet_heartbeat_seal(signer, &beat, &sealed));
    assert_ok(fleet_heartbeat_seal(signer, &beat, &sealed)); /* anew */
    if (damage_at) sealed.said.data[sk_buf_len(&sealed.said) - damage_at] ^= 1;
    fleet_heartbeat_pairs(&sealed, pairs);
    struct fleet_member member = {sk_str_from_c(member_name), pairs, FLEET_SEALED_PAIRS};
    sk_err err = fleet_heartbeat_check(&member, signers, judge, NULL, now_ms + later_ms, &out);
    if (!err) assert_true(sk_str_eq(out.name, sk_str_from_c(member_name)));
    fleet_sealed_free(&sealed);
    return err;
}

static void only_a_nodes_own_recent_word_is_believed(void **state) {
    struct fleet_heartbeat beat = example(), other = example();
    other.name = SK_STR("spiffe://acme/fra/edge/b");
    assert_ok(judged(edge, A, beat, 0, 0));
    assert_ok(judged(edge, A, beat, 60000, 0));
    assert_ok(judged(edge, A, beat, -60000, 0));
    assert_err(judged(edge, A, beat, 121000, 0), SK_ERR_STALE);
    assert_err(judged(edge, A, beat, -121000, 0), SK_ERR_STALE);
    assert_err(judged(edge, "spiffe://acme/fra/edge/b", beat, 0, 0), SK_ERR_DENIED);  /* moved */
    assert_err(judged(edge, "spiffe://acme/fra/edge/b", other, 0, 0), SK_ERR_DENIED); /* said for another */
    assert_err(judged(control, A, beat, 0, 0), SK_ERR_DENIED);
    assert_err(judged(stranger, A, beat, 0, 0), SK_ERR_TLS_CERTIFICATE);
    assert_err(judged(edge, A, beat, 0, 2), SK_ERR_MALFORMED); /* its last digit is another */
}

static void the_word_of_who_was_expelled_counts_for_nothing(void **state) {
    struct fleet_expelled_one one = {test_id(A), now_ms / 1000 + 1};
    struct fleet_expelled expelled = {&one, 1};
    struct fleet_sealed sealed;
    struct fleet_pair pairs[FLEET_SEALED_PAIRS];
    struct fleet_heartbeat beat = example(), out;
    fleet_heartbeat_sealed_init(&sealed);
    assert_ok(fleet_heartbeat_seal(edge, &beat, &sealed));
    fleet_heartbeat_pairs(&sealed, pairs);
    struct fleet_member member = {SK_STR(A), pairs, FLEET_SEALED_PAIRS};
    assert_err(fleet_heartbeat_check(&member, signers, judge, &expelled, now_ms, &out), SK_ERR_DENIED);
    member.pair_count = 1; /* neither signature nor certificate */
    assert_true(fleet_heartbeat_check(&member, signers, judge, NULL, now_ms, &out) != SK_OK);
    fleet_sealed_free(&sealed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(what_is_no_heartbeat_is_refused),
        cmocka_unit_test(a_text_cannot_begin_another_line),
        cmocka_unit_test(only_a_nodes_own_recent_word_is_believed),
        cmocka_unit_test(the_word_of_who_was_expelled_counts_for_nothing),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
