/* Several threads ask the same origins at once: what they share is seen by ThreadSanitizer, the sums by us. */
#include "script.h"

#include <signal.h>

#define THREADS 3
#define REQUESTS 150

#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static void play_good(struct script_connection *connection) {
    while (script_read_head(connection)) script_send(connection, HELLO);
}

/* Every seventh request fails. */
static void play_shaky(struct script_connection *connection) {
    while (script_read_head(connection)) {
        if (connection->server->requests % 7 == 0) {
            script_reset(connection);
            return;
        }
        script_send(connection, HELLO);
    }
}

struct asking_thread {
    struct story story; /* of its own; registry and group are shared */
    pthread_t thread;
    struct answer answer;
    int answered;
};

static void tell_many(struct story *story) {
    struct asking_thread *asking = SK_CONTAINER_OF(story, struct asking_thread, story);
    struct sk_buf text;
    sk_buf_init(&text, 0);
    for (int i = 0; i < REQUESTS; i++) {
        ask(story, &asking->answer);
        asking->answered += asking->answer.status == 200;
        sk_buf_clear(&text);
        sk_err err = origin_group_describe(story->group, &text);
        expect(story, !err, "%s", sk_err_name(err));
    }
    sk_buf_free(&text);
}

static void *asking_main(void *arg) {
    struct asking_thread *asking = arg;
    struct story *story = &asking->story;
    story->tell = tell_many;
    story->start.run = story_start;
    if (io_loop_create("asking", &story->loop) || observe_thread_join(&story->metrics)) abort();
    io_loop_post(story->loop, &story->start);
    io_loop_run(story->loop);
    io_loop_destroy(story->loop);
    return NULL;
}

static void *reloading_main(void *arg) {
    struct story *story = arg;
    for (int i = 0; i < 200; i++) {
        struct origin_group *group;
        if (origin_group_create(story->registry, &story->site, &group)) abort();
        origin_group_destroy(group);
    }
    return NULL;
}

static void test_threads(void **state) {
    static struct asking_thread asking[THREADS];
    struct script_server good, shaky;
    struct story story = story_new();
    pthread_t reloading;
    int answered = 0;
    story.site.origins = story.origins;
    story.site.origin.retries = 3;
    story.site.origin.retry_budget_percent = 100;
    story.site.origin.fail_after = 2;
    story.site.origin.fail_for_ms = 20;
    script_start(&good, "127.0.0.1", play_good, NULL);
    script_start(&shaky, "127.0.0.1", play_shaky, NULL);
    story_origin(&story, "http", "127.0.0.1", good.port);
    story_origin(&story, "http", "127.0.0.1", shaky.port);
    assert_ok(origin_registry_create(&story.registry));
    assert_ok(origin_group_create(story.registry, &story.site, &story.group));
    for (int i = 0; i < THREADS; i++) {
        asking[i] = (struct asking_thread){.story = {.registry = story.registry, .group = story.group}};
        pthread_create(&asking[i].thread, NULL, asking_main, &asking[i]);
    }
    pthread_create(&reloading, NULL, reloading_main, &story);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(asking[i].thread, NULL);
        answered += asking[i].answered;
        if (asking[i].story.failure[0]) fail_msg("%s", asking[i].story.failure);
    }
    pthread_join(reloading, NULL);
    assert_int_equal(answered, THREADS * REQUESTS);
    assert_true(shaky.requests > THREADS * REQUESTS / 10);
    origin_group_destroy(story.group);
    origin_registry_destroy(story.registry);
    script_stop(&good);
    script_stop(&shaky);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};
    return SK_RUN_TESTS(tests);
}
