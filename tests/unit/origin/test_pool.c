/* Connections that are used again, and what goes wrong with them; limits and the line before them. */
#include "script.h"

#include <signal.h>

static struct answer first, second;

#define OK "HTTP/1.1 200 OK\r\n"
#define HELLO OK "Content-Length: 5\r\n\r\nhello"

static void tell_one(struct story *story) { ask(story, &first); }

/* --- stale connections ------------------------------------------------------------------------------------- */

/* Closes at once after its first answer, without a word about it. */
static void play_close_behind(struct script_connection *connection) {
    if (script_read_head(connection)) script_send(connection, HELLO);
}

static void tell_closed_while_idle(struct story *story) {
    ask(story, &first);
    await(story, open_connections(story) == 0);
    ask(story, &second);
    expect(story, !second.err && second.result.tries == 1, "%s", sk_err_name(second.err));
    expect(story, story_count(story, OBSERVE_ORIGIN_RETRIES) == 0, "retried");
}

/* Closes when the second request comes. */
static void play_close_on_second(struct script_connection *connection) {
    if (!script_read_head(connection)) return;
    script_send(connection, HELLO);
    script_read_head(connection);
}

static void tell_closed_on_request(struct story *story) {
    int64_t budget = atomic_load(&story->group->budget.balance);
    ask(story, &first);
    ask(story, &second);
    expect(story, !second.err && second.status == 200, "%s", sk_err_name(second.err));
    expect(story, second.result.tries == 2, "%u tries", second.result.tries);
    expect(story, story_count(story, OBSERVE_ORIGIN_RETRIES) == 1, "not counted");
    int64_t paid = budget + 2 * 20 - atomic_load(&story->group->budget.balance);
    expect(story, paid == 0, "%ld hundredths paid", (long)paid);
}

static void tell_post_on_stale(struct story *story) {
    struct http_request request = story_request(HTTP_METHOD_POST, "POST");
    struct origin_request asked = {.group = story->group, .request = &request};
    ask(story, &first);
    ask_as(story, &asked, &second);
    expect(story, second.err == SK_ERR_CLOSED && second.result.phase == ORIGIN_PHASE_FIRST_BYTE, "%s",
           sk_err_name(second.err));
}

/* A POST must not be lost to a connection that has been idle for long: it opens its own. */
static void play_many(struct script_connection *connection) {
    while (script_read_head(connection)) script_send(connection, HELLO);
}

static void tell_post_after_a_while(struct story *story) {
    struct http_request request = story_request(HTTP_METHOD_POST, "POST");
    struct origin_request asked = {.group = story->group, .request = &request};
    ask(story, &first);
    ask_as(story, &asked, &second);
    expect(story, story_count(story, OBSERVE_ORIGIN_CONNECTIONS) == 1, "just used, and not used again");
    pause_ms(story, 2100);
    ask_as(story, &asked, &second);
    expect(story, story_count(story, OBSERVE_ORIGIN_CONNECTIONS) == 2, "idle for long, and used again");
}

/* Says something unasked while the connection is idle. */
static void play_unasked(struct script_connection *connection) {
    if (!script_read_head(connection)) return;
    script_send(connection, HELLO);
    script_sleep_ms(50);
    script_send(connection, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
    script_await_close(connection);
}

static void run_alone(script_play *play, void (*tell)(struct story *story), struct story *story) {
    struct script_server server;
    script_start(&server, "127.0.0.1", play, NULL);
    story_origin(story, "http", "127.0.0.1", server.port);
    story_run(story, tell);
    script_stop(&server);
}

static void test_stale(void **state) {
    struct story story = story_new();
    run_alone(play_close_behind, tell_closed_while_idle, &story);
    story = story_new();
    run_alone(play_close_on_second, tell_closed_on_request, &story);
    story = story_new();
    run_alone(play_close_on_second, tell_post_on_stale, &story);
    story = story_new();
    run_alone(play_unasked, tell_closed_while_idle, &story);
}

static void test_not_repeatable_wants_a_young_connection(void **state) {
    struct story story = story_new();
    story.site.origin.idle_timeout_ms = 10000;
    run_alone(play_many, tell_post_after_a_while, &story);
}

/* --- idle time and number ------------------------------------------------------------------------------------ */

static void tell_idle_timeout(struct story *story) {
    sk_time_ns since = sk_time_now();
    ask(story, &first);
    expect(story, open_connections(story) == 1, "%u", open_connections(story));
    await(story, open_connections(story) == 0);
    expect(story, sk_time_now() - since > 200 * SK_NS_PER_MS, "too early");
}

static void test_idle_timeout(void **state) {
    struct story story = story_new();
    story.site.origin.idle_timeout_ms = 250;
    run_alone(play_many, tell_idle_timeout, &story);
}

struct asker {
    struct story *story;
    struct answer answer;
    bool done;
};
static struct asker askers[4];

static void asker_main(void *arg) {
    struct asker *asker = arg;
    ask(asker->story, &asker->answer);
    asker->done = true;
}

static struct io_fiber *start_asker(struct story *story, size_t i) {
    struct io_fiber *fiber = NULL;
    askers[i].story = story;
    askers[i].done = false;
    sk_err err = io_fiber_spawn(story->loop, "asker", asker_main, &askers[i], &fiber);
    expect(story, !err, "%s", sk_err_name(err));
    return fiber;
}

static void await_askers(struct story *story, size_t count) {
    for (size_t i = 0; i < count; i++) await(story, askers[i].done);
}

static void play_slowly(struct script_connection *connection) {
    while (script_read_head(connection)) {
        script_sleep_ms(200);
        if (!script_send(connection, HELLO)) return;
    }
}

static void tell_max_idle(struct story *story) {
    for (size_t i = 0; i < 4; i++) start_asker(story, i);
    await_askers(story, 4);
    expect(story, story_count(story, OBSERVE_ORIGIN_CONNECTIONS) == 4, "not all at once");
    expect(story, open_connections(story) == 2, "%u kept", open_connections(story));
}

static void test_max_idle(void **state) {
    struct story story = story_new();
    story.site.origin.max_idle = 2;
    run_alone(play_slowly, tell_max_idle, &story);
    story = story_new();
    story.site.origin.max_idle = 0;
    run_alone(play_close_behind, tell_one, &story);
    assert_int_equal(first.status, 200);
}

/* --- the limit and the line ----------------------------------------------------------------------------------- */

static void tell_line(struct story *story) {
    for (size_t i = 0; i < 3; i++) start_asker(story, i);
    await_askers(story, 3);
    for (size_t i = 0; i < 3; i++)
        expect(story, askers[i].answer.status == 200, "%s", sk_err_name(askers[i].answer.err));
    expect(story, story_count(story, OBSERVE_ORIGIN_CONNECTIONS) == 1, "over the limit");
}

static void play_slowly_and_close(struct script_connection *connection) {
    if (!script_read_head(connection)) return;
    script_sleep_ms(50);
    script_send(connection, OK "Connection: close\r\nContent-Length: 5\r\n\r\nhello");
}

static void tell_line_of_closing(struct story *story) {
    for (size_t i = 0; i < 3; i++) start_asker(story, i);
    await_askers(story, 3);
    for (size_t i = 0; i < 3; i++)
        expect(story, askers[i].answer.status == 200, "%s", sk_err_name(askers[i].answer.err));
    expect(story, story_count(story, OBSERVE_ORIGIN_CONNECTIONS) == 3, "not one each");
}

static void play_silence(struct script_connection *connection) { script_await_close(connection); }

static void tell_line_too_long(struct story *story) {
    start_asker(story, 0);
    start_asker(story, 1);
    await_askers(story, 2);
    struct answer *late = &askers[1].answer;
    expect(story, late->err == SK_ERR_BUSY && late->result.phase == ORIGIN_PHASE_CONNECT, "%s",
           sk_err_name(late->err));
    expect(story, late->result.detail != NULL, "no detail");
}

static void tell_leaving_the_line(struct story *story) {
    start_asker(story, 0);
    struct io_fiber *fiber = start_asker(story, 1);
    pause_ms(story, 1); /* while the first one's answer takes its 200 ms */
    io_fiber_cancel(fiber);
    await_askers(story, 2);
    expect(story, askers[1].answer.err == SK_ERR_CANCELLED, "%s", sk_err_name(askers[1].answer.err));
    expect(story, askers[0].answer.status == 200, "%s", sk_err_name(askers[0].answer.err));
    ask(story, &first); /* nobody's place was lost */
    expect(story, first.status == 200, "%s", sk_err_name(first.err));
}

static void test_limit(void **state) {
    struct story story = story_new();
    story.site.origin.max_connections = 1;
    run_alone(play_slowly, tell_line, &story);
    story = story_new();
    story.site.origin.max_connections = 1;
    run_alone(play_slowly_and_close, tell_line_of_closing, &story);
    story = story_new();
    story.site.origin.max_connections = 1;
    story.site.origin.connect_timeout_ms = 300;
    story.site.origin.first_byte_timeout_ms = 1000;
    run_alone(play_silence, tell_line_too_long, &story);
    story = story_new();
    story.site.origin.max_connections = 1;
    run_alone(play_slowly, tell_leaving_the_line, &story);
}

/* --- getting there -------------------------------------------------------------------------------------------- */

static void test_ipv6(void **state) {
    struct story story = story_new();
    struct script_server server;
    script_start(&server, "::1", play_many, NULL);
    story_origin(&story, "http", "[::1]", server.port);
    story_run(&story, tell_one);
    assert_int_equal(first.status, 200);
    script_stop(&server);
}

static void test_refused(void **state) {
    struct story story = story_new();
    struct script_server server;
    script_start(&server, "127.0.0.1", play_many, NULL);
    script_stop(&server); /* so that nobody listens there */
    story_origin(&story, "http", "127.0.0.1", server.port);
    story_run(&story, tell_one);
    assert_int_equal(first.err, SK_ERR_REFUSED);
    assert_int_equal(first.result.phase, ORIGIN_PHASE_CONNECT);
    assert_str(first.result.origin, sk_str_from_c(story.urls[0]));
}

static void test_no_origin(void **state) {
    struct story story = story_new();
    story_run(&story, tell_one);
    assert_int_equal(first.result.phase, ORIGIN_PHASE_SELECT);
    assert_string_equal(first.result.detail, "none is configured");
}

/* --- reloads -------------------------------------------------------------------------------------------------- */

static void tell_reload(struct story *story) {
    struct origin_group *next;
    ask(story, &first);
    sk_err err = origin_group_create(story->registry, &story->site, &next);
    expect(story, !err, "%s", sk_err_name(err));
    origin_group_destroy(story->group);
    story->group = next;
    ask(story, &first);
    expect(story, first.status == 200, "%s", sk_err_name(first.err));
    expect(story, story_count(story, OBSERVE_ORIGIN_CONNECTIONS) == 1, "not kept over a reload");
}

static void test_connections_survive_a_reload(void **state) {
    struct story story = story_new();
    run_alone(play_many, tell_reload, &story);
}

static void tell_origin_gone(struct story *story) {
    struct config_site empty = {.origin = story->site.origin};
    struct origin_group *next;
    ask(story, &first);
    sk_err err = origin_group_create(story->registry, &empty, &next);
    expect(story, !err, "%s", sk_err_name(err));
    origin_group_destroy(story->group);
    story->group = next;
    sk_err slept =
        io_fiber_sleep_until(io_loop_now(story->loop) + 400 * SK_NS_PER_MS); /* over the idle time */
    expect(story, !slept, "%s", sk_err_name(slept));
    ask(story, &first);
    expect(story, first.result.phase == ORIGIN_PHASE_SELECT, "%s", sk_err_name(first.err));
    /* With the thread's leaving, at the story's end, the registry must be empty: it asserts that. */
}

static void test_origin_that_a_reload_removes(void **state) {
    struct story story = story_new();
    story.site.origin.idle_timeout_ms = 100;
    run_alone(play_many, tell_origin_gone, &story);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_not_repeatable_wants_a_young_connection),
        cmocka_unit_test(test_idle_timeout),
        cmocka_unit_test(test_max_idle),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_origin),
        cmocka_unit_test(test_connections_survive_a_reload),
        cmocka_unit_test(test_origin_that_a_reload_removes),
    };
    return SK_RUN_TESTS(tests);
}
