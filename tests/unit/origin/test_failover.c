/* Several origins: another one when the first fails, who is out and who comes back, checks, budget. */
#include "script.h"

#include <signal.h>

static struct answer first;

#define NAMED(name) "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" name

static void play_good(struct script_connection *connection) {
    while (script_read_head(connection)) script_send(connection, NAMED("g"));
}
static void play_reset(struct script_connection *connection) {
    if (script_read_head(connection)) script_reset(connection);
}
static void play_garbage(struct script_connection *connection) {
    if (script_read_head(connection)) script_send(connection, "garbage\r\n\r\n");
}
static void play_silence(struct script_connection *connection) { script_await_close(connection); }
static void play_reset_at_once(struct script_connection *connection) { script_reset(connection); }

/* The first origin plays BAD, the second is good. NULL: nobody listens there. */
struct pair {
    struct script_server bad, good;
    bool listening;
};
static struct pair pair;

static void start_pair(struct story *story, script_play *bad) {
    script_start(&pair.bad, "127.0.0.1", bad ? bad : play_good, NULL);
    script_start(&pair.good, "127.0.0.1", play_good, NULL);
    pair.listening = bad != NULL;
    if (!bad) script_stop(&pair.bad);
    story_origin(story, "http", "127.0.0.1", pair.bad.port);
    story_origin(story, "http", "127.0.0.1", pair.good.port);
}

static void stop_pair(void) {
    if (pair.listening) script_stop(&pair.bad);
    script_stop(&pair.good);
}

/* --- another origin ----------------------------------------------------------------------------------------- */

static enum http_method method;
static bool with_body;
static struct pieces pieces;

static void tell_failover(struct story *story) {
    bool post = method == HTTP_METHOD_POST, put = method == HTTP_METHOD_PUT;
    struct http_request request = story_request(method, post ? "POST" : put ? "PUT" : "GET");
    struct origin_request asked = {.group = story->group, .request = &request};
    if (with_body) {
        pieces = (struct pieces){.piece = "hello", .count = 1, .story = story, .end = SK_ERR_END};
        request.body_kind = HTTP_BODY_LENGTH;
        request.content_length = 5;
        asked.body = (struct origin_body_source){pieces_read, NULL, &pieces};
    }
    ask_as(story, &asked, &first);
}

static void test_failover(void **state) {
    static const struct {
        const char *behaviour;
        script_play *bad;
        enum http_method method;
        bool body;
        uint32_t retries;
        sk_err expected;
        uint32_t tries;
    } cases[] = {
        {"refused", NULL, HTTP_METHOD_GET, false, 2, SK_OK, 2},
        {"reset", play_reset, HTTP_METHOD_GET, false, 2, SK_OK, 2},
        {"garbage", play_garbage, HTTP_METHOD_GET, false, 2, SK_OK, 2},
        {"silence", play_silence, HTTP_METHOD_GET, false, 2, SK_OK, 2},
        {"no retries are configured", play_reset, HTTP_METHOD_GET, false, 0, SK_ERR_RESET, 1},
        {"RFC 9110 9.2.2: a POST that was sent is not repeated", play_reset, HTTP_METHOD_POST, false, 2,
         SK_ERR_RESET, 1},
        {"a POST that was not sent is", NULL, HTTP_METHOD_POST, true, 2, SK_OK, 2},
        {"nor a PUT whose body was begun", play_reset, HTTP_METHOD_PUT, true, 2, SK_ERR_RESET, 1},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct story story = story_new();
        if (cases[i].bad == play_silence) story_impatient(&story);
        story.site.origin.retries = cases[i].retries;
        method = cases[i].method;
        with_body = cases[i].body;
        start_pair(&story, cases[i].bad);
        story_run(&story, tell_failover);
        stop_pair();
        if (first.err != cases[i].expected || first.result.tries != cases[i].tries)
            fail_msg("%s: %s after %u tries", cases[i].behaviour, sk_err_name(first.err), first.result.tries);
        if (!first.err) assert_str(first.result.origin, sk_str_from_c(story.urls[1]));
    }
}

/* Resets the first connection and answers on the next. */
static void play_recover(struct script_connection *connection) {
    if (connection->number == 0)
        play_reset(connection);
    else
        play_good(connection);
}

static void tell_only_one(struct story *story) {
    sk_time_ns begun = sk_time_now();
    ask(story, &first);
    expect(story, first.status == 200 && first.result.tries == 2, "%s", sk_err_name(first.err));
    expect(story, sk_time_now() - begun >= 25 * SK_NS_PER_MS, "no pause before the second try");
}

static void test_only_one_is_asked_again_after_a_pause(void **state) {
    struct story story = story_new();
    struct script_server server;
    story.site.origin.retries = 1;
    script_start(&server, "127.0.0.1", play_recover, NULL);
    story_origin(&story, "http", "127.0.0.1", server.port);
    story_run(&story, tell_only_one);
    script_stop(&server);
}

static void tell_deadline(struct story *story) {
    sk_time_ns begun = sk_time_now();
    ask(story, &first);
    expect(story, first.err == SK_ERR_TIMEOUT && first.result.tries > 1, "%s", sk_err_name(first.err));
    sk_time_ns took = sk_time_now() - begun;
    expect(story, took < 3000 * SK_NS_PER_MS, "%ld ms", (long)(took / SK_NS_PER_MS));
}

static void test_one_deadline_over_all_tries(void **state) {
    struct story story = story_new();
    struct script_server servers[4];
    story.site.origin.retries = 5;
    story.site.origin.connect_timeout_ms = 500;
    story.site.origin.first_byte_timeout_ms = 1000; /* 1.5 seconds for all; 4 if each had its own */
    for (int i = 0; i < 4; i++) {
        script_start(&servers[i], "127.0.0.1", play_silence, NULL);
        story_origin(&story, "http", "127.0.0.1", servers[i].port);
    }
    story_run(&story, tell_deadline);
    for (int i = 0; i < 4; i++) script_stop(&servers[i]);
}

/* --- budget --------------------------------------------------------------------------------------------------- */

static void tell_budget(struct story *story) {
    int answered = 0;
    for (int i = 0; i < 40; i++) {
        ask(story, &first);
        answered += first.err == SK_OK;
    }
    /* Ten retries to begin with, and one for each ten requests. While they last, each request begins at the bad
     * one and goes on to the good one; then they take turns. */
    uint64_t retries = story_count(story, OBSERVE_ORIGIN_RETRIES);
    expect(story, retries >= 12 && retries <= 14, "%lu", retries);
    expect(story, answered >= 26 && answered <= 28, "%d", answered);
    expect(story, story_count(story, OBSERVE_ORIGIN_ERRORS) == (uint64_t)(40 - answered), "errors");
}

static void test_budget(void **state) {
    struct story story = story_new();
    story.site.origin.retries = 1;
    story.site.origin.retry_budget_percent = 10;
    start_pair(&story, play_reset);
    story_run(&story, tell_budget);
    stop_pair();
}

/* --- passive health ------------------------------------------------------------------------------------------- */

static void tell_taken_out(struct story *story) {
    for (int i = 0; i < 10; i++) {
        ask(story, &first);
        expect(story, first.status == 200, "%s", sk_err_name(first.err));
    }
    expect(story, pair.bad.accepted == 2, "%d connections to the bad one", pair.bad.accepted);
    pause_ms(story, 1600);
    for (int i = 0; i < 10; i++) ask(story, &first);
    expect(story, pair.bad.accepted == 3, "%d: not one trial", pair.bad.accepted);
    struct sk_buf text;
    sk_buf_init(&text, 0);
    sk_err err = origin_group_describe(story->group, &text);
    sk_str json = sk_buf_str(&text);
    expect(story, !err && sk_str_find(json, SK_STR("\"state\":\"out\"")) < json.len, "%.*s",
           SK_STR_ARGS(json));
    expect(story, sk_str_find(json, SK_STR("\"why\":\"connection reset by the other end\"")) < json.len,
           "%.*s", SK_STR_ARGS(json));
    sk_buf_free(&text);
}

static void test_taken_out(void **state) {
    struct story story = story_new();
    story.site.origin.retries = 1;
    story.site.origin.retry_budget_percent = 100;
    story.site.origin.fail_after = 2;
    story.site.origin.fail_for_ms = 1500;
    start_pair(&story, play_reset);
    story_run(&story, tell_taken_out);
    stop_pair();
}

/* Cuts off every body: the heads are good. */
static void play_cut_off(struct script_connection *connection) {
    if (script_read_head(connection))
        script_send(connection, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
}

static void tell_cut_off(struct story *story) {
    for (int i = 0; i < 10; i++) ask(story, &first);
    expect(story, pair.bad.accepted == 2, "%d connections to the bad one", pair.bad.accepted);
}

static void test_cut_off_bodies_count(void **state) {
    struct story story = story_new();
    story.site.origin.fail_after = 2;
    story.site.origin.fail_for_ms = 10000;
    start_pair(&story, play_cut_off);
    story_run(&story, tell_cut_off);
    stop_pair();
}

static void tell_last_resort(struct story *story) {
    for (int i = 0; i < 5; i++) ask(story, &first);
    expect(story, first.err == SK_ERR_RESET, "%s", sk_err_name(first.err));
}

static void test_last_resort(void **state) {
    struct story story = story_new();
    struct script_server server;
    story.site.origin.fail_after = 1;
    story.site.origin.fail_for_ms = 10000;
    script_start(&server, "127.0.0.1", play_reset, NULL);
    story_origin(&story, "http", "127.0.0.1", server.port);
    story_run(&story, tell_last_resort);
    assert_int_equal(server.accepted, 5);
    script_stop(&server);
}

static void tell_spare(struct story *story) {
    for (int i = 0; i < 6; i++) {
        ask(story, &first);
        expect(story, first.status == 200, "%s", sk_err_name(first.err));
    }
}

static void test_spare(void **state) {
    struct story story = story_new();
    story.site.origin.retries = 1;
    story.site.origin.fail_after = 2;
    story.site.origin.fail_for_ms = 10000;
    start_pair(&story, play_reset);
    story.origins[1].weight = 0;
    story_run(&story, tell_spare);
    assert_int_equal(pair.bad.accepted, 2);
    stop_pair();
}

static void tell_clients_fault(struct story *story) {
    for (int i = 0; i < 5; i++) {
        struct http_request request = story_request(HTTP_METHOD_PUT, "PUT");
        request.body_kind = HTTP_BODY_CHUNKED;
        pieces = (struct pieces){.piece = "x", .count = 1, .story = story, .end = SK_ERR_RESET};
        ask_as(story,
               &(struct origin_request){
                   .group = story->group, .request = &request, .body = {pieces_read, NULL, &pieces}},
               &first);
        expect(story, first.result.phase == ORIGIN_PHASE_BODY_READ, "%s",
               origin_phase_text(first.result.phase));
    }
    struct origin_health_state health = origin_health_copy(&story->group->members[0].origin->health);
    expect(story, health.out_until == 0 && !health.why, "the origin was blamed");
}

static void test_clients_fault_is_not_the_origins(void **state) {
    struct story story = story_new();
    struct script_server server;
    story.site.origin.fail_after = 2;
    story.site.origin.fail_for_ms = 10000;
    script_start(&server, "127.0.0.1", play_silence, NULL);
    story_origin(&story, "http", "127.0.0.1", server.port);
    story_run(&story, tell_clients_fault);
    script_stop(&server);
}

/* --- turns ------------------------------------------------------------------------------------------------------ */

static void tell_turns(struct story *story) {
    for (int i = 0; i < 40; i++) ask(story, &first);
}

static void test_weights(void **state) {
    struct story story = story_new();
    start_pair(&story, play_good);
    story.origins[0].weight = 3;
    story_run(&story, tell_turns);
    assert_int_equal(pair.bad.requests, 30);
    assert_int_equal(pair.good.requests, 10);
    stop_pair();
}

/* --- active checks ------------------------------------------------------------------------------------------------ */

static _Atomic int check_status;
static char check_head[1024];

static void play_checked(struct script_connection *connection) {
    char text[128];
    while (script_read_head(connection)) {
        bool check = strstr(connection->head, "GET /alive ");
        if (check && !check_head[0]) script_keep_head(connection, check_head, sizeof check_head);
        snprintf(text, sizeof text, "HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n",
                 check ? (int)check_status : 200);
        script_send(connection, text);
        if (check) return;
    }
}

static enum origin_state state_of(const struct story *story) {
    return origin_health_state_now(&story->group->members[0].origin->health, io_loop_now(story->loop));
}

static void tell_checks(struct story *story) {
    struct origin_group *groups[] = {story->group};
    check_status = 503;
    sk_err err = origin_health_start(story->thread, groups, 1);
    expect(story, !err, "%s", sk_err_name(err));
    await(story, state_of(story) == ORIGIN_STATE_DOWN);
    ask(story, &first);
    expect(story, first.result.phase == ORIGIN_PHASE_SELECT, "%s", origin_phase_text(first.result.phase));
    check_status = 204;
    await(story, state_of(story) == ORIGIN_STATE_UP);
    ask(story, &first);
    expect(story, first.status == 200, "%s", sk_err_name(first.err));
    check_status = 500;
    await(story, state_of(story) == ORIGIN_STATE_DOWN);
    /* A reload without checks: what they said does not hold for ever. */
    story->site.origin.health.enabled = false;
    err = origin_health_start(story->thread, groups, 1);
    expect(story, !err && state_of(story) == ORIGIN_STATE_UP, "held down by a check that is gone");
    origin_health_stop(story->thread);
    await(story, io_fiber_count(story->loop) == 1);
}

static void test_checks(void **state) {
    struct story story = story_new();
    struct script_server server;
    check_head[0] = 0;
    story.site.origin.health = (struct config_health_check){.enabled = true,
                                                            .path = SK_STR("/alive"),
                                                            .interval_ms = 30,
                                                            .timeout_ms = 5000,
                                                            .healthy_after = 2,
                                                            .unhealthy_after = 2,
                                                            .expect_status_min = 200,
                                                            .expect_status_max = 299};
    script_start(&server, "127.0.0.1", play_checked, NULL);
    struct config_origin *origin = story_origin(&story, "http", "127.0.0.1", server.port);
    origin->host = SK_STR("checked.test");
    story_run(&story, tell_checks);
    script_stop(&server);
    assert_non_null(strstr(check_head, "Host: checked.test\r\n"));
}

/* Closed, silent, garbage: each is down, and says why. */
static void tell_bad_check(struct story *story) {
    struct origin_group *groups[] = {story->group};
    sk_err err = origin_health_start(story->thread, groups, 1);
    expect(story, !err, "%s", sk_err_name(err));
    await(story, state_of(story) == ORIGIN_STATE_DOWN);
    expect(story, origin_health_copy(&story->group->members[0].origin->health).why, "no reason");
    origin_health_stop(story->thread);
    await(story, io_fiber_count(story->loop) == 1);
}

static void test_bad_checks(void **state) {
    static script_play *const plays[] = {play_reset_at_once, play_silence, play_garbage};
    for (size_t i = 0; i < SK_COUNT(plays); i++) {
        struct story story = story_new();
        struct script_server server;
        story.site.origin.health = (struct config_health_check){.enabled = true,
                                                                .interval_ms = 30,
                                                                .timeout_ms = 100,
                                                                .healthy_after = 1,
                                                                .unhealthy_after = 2,
                                                                .expect_status_min = 200,
                                                                .expect_status_max = 299};
        script_start(&server, "127.0.0.1", plays[i], NULL);
        story_origin(&story, "http", "127.0.0.1", server.port);
        story_run(&story, tell_bad_check);
        script_stop(&server);
    }
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failover),
        cmocka_unit_test(test_only_one_is_asked_again_after_a_pause),
        cmocka_unit_test(test_one_deadline_over_all_tries),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_taken_out),
        cmocka_unit_test(test_cut_off_bodies_count),
        cmocka_unit_test(test_last_resort),
        cmocka_unit_test(test_spare),
        cmocka_unit_test(test_clients_fault_is_not_the_origins),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_bad_checks),
    };
    return SK_RUN_TESTS(tests);
}
