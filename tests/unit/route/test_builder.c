#include "route/builder.h"

#include <unistd.h>

#include "dns_unit.h"

/* A configuration with so many networks that a table of them takes a while. */
static struct route_config *big_config(const char *zone_path) {
    static struct challenges none;
    struct cookie_secrets secrets = {0};
    struct config_problems config_problems;
    struct sk_buf text, problems;
    struct config_route *config = NULL;
    struct route_config *made = NULL;
    sk_buf_init(&text, 0);
    sk_buf_init(&problems, 0);
    config_problems_init(&config_problems);
    assert_ok(sk_buf_printf(
        &text,
        "rate_limit: {answers: 0}\nzones: [{name: example.com, file: %s}]\nnames: [{name: www.example.com}]\n"
        "sites: [{name: a, edges: [192.0.2.1]}, {name: b, edges: [192.0.2.2]}]\noverrides:\n",
        zone_path));
    for (int i = 0; i < 10000; i++)
        assert_ok(sk_buf_printf(&text, "  - {prefix: %d.%d.%d.0/24, sites: [%s]}\n", 20 + i % 100, i / 100,
                                i % 7, i % 2 ? "a" : "b"));
    assert_ok(config_route_parse(sk_buf_str(&text), "test", &config, &config_problems));
    struct route_config_input input = {
        .config = config, .secrets = &secrets, .challenges = &none, .problems = &problems};
    assert_ok(route_config_create(&input, &made));
    sk_buf_free(&text);
    sk_buf_free(&problems);
    config_problems_free(&config_problems);
    return made;
}

static struct route_config *make_config(void) {
    static const char zone[] = "$TTL 60\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 127.0.0.1\n";
    char path[] = "/tmp/builder-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, zone, sizeof zone - 1) == (ssize_t)sizeof zone - 1);
    close(fd);
    struct route_config *config = big_config(path);
    unlink(path);
    return config;
}

struct scene {
    struct io_loop *loop;
    struct builder *builder;
    struct io_task tick;
    struct route_plan *before, *made;
    struct answerer *answerer;
    sk_err err;
    int answered, done;
};

static void on_done(void *arg, sk_err err, struct route_plan *plan) {
    struct scene *scene = arg;
    scene->done++;
    scene->err = err;
    scene->made = plan;
    io_loop_stop(scene->loop);
}

/* What this thread goes on with: answering from the plan in force. */
static void on_tick(struct io_task *task) {
    struct scene *scene = SK_CONTAINER_OF(task, struct scene, tick);
    struct asked query = ask("www.example.com", DNS_TYPE_A);
    struct io_addr client = addr_of("20.0.0.1:53");
    uint8_t out[DNS_UDP_PAYLOAD];
    if (scene->done) return;
    assert_true(answer_query(scene->answerer, scene->before->snapshot, ANSWER_UDP, &client, query.data,
                             query.bytes, SK_NS_PER_S, 1, out, sizeof out, NULL) > 0);
    scene->answered++;
    io_loop_post(scene->loop, task);
}

static void set_up(struct scene *scene, struct route_config *config) {
    struct route_plan_input input = {.config = config, .sites = config->sites, .version = 1};
    *scene = (struct scene){.tick.run = on_tick};
    assert_ok(io_loop_create("test", &scene->loop));
    assert_ok(answerer_create(NULL, &scene->answerer));
    assert_ok(route_plan_create(&input, &scene->before));
    assert_ok(builder_create(scene->loop, on_done, scene, &scene->builder));
}

static void tear_down(struct scene *scene) {
    builder_free(scene->builder);
    io_loop_destroy(scene->loop);
    answerer_free(scene->answerer);
    route_plan_unref(scene->before);
    route_plan_unref(scene->made);
}

static void a_large_table_delays_no_answer(void **state) {
    struct route_config *config = make_config();
    struct scene scene;
    set_up(&scene, config);
    struct route_plan_input input = {
        .config = config, .sites = config->sites, .previous = scene.before, .version = 2};
    assert_ok(builder_start(scene.builder, &input));
    assert_true(builder_runs(scene.builder));
    io_loop_post(scene.loop, &scene.tick);
    io_loop_run(scene.loop);
    assert_ok(scene.err);
    assert_false(builder_runs(scene.builder));
    assert_int_equal(table_version(answer_snapshot_table(scene.made->snapshot)), 2);
    assert_true(scene.answered > 10); /* while it was made */
    tear_down(&scene);
    route_config_unref(config);
}

static void on_stop(struct io_task *task) { io_loop_stop(SK_CONTAINER_OF(task, struct scene, tick)->loop); }

static void one_that_is_cancelled_is_dropped(void **state) {
    struct route_config *config = make_config();
    struct scene scene;
    set_up(&scene, config);
    struct route_plan_input input = {.config = config, .sites = config->sites, .version = 2};
    assert_ok(builder_start(scene.builder, &input));
    builder_cancel(scene.builder);
    assert_false(builder_runs(scene.builder));
    input.version = 3;
    assert_ok(builder_start(scene.builder, &input)); /* at once again */
    builder_cancel(scene.builder);
    scene.tick.run = on_stop;
    io_loop_post(scene.loop, &scene.tick);
    io_loop_run(scene.loop);
    assert_int_equal(scene.done, 0);
    tear_down(&scene);
    route_config_unref(config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_table_delays_no_answer),
        cmocka_unit_test(one_that_is_cancelled_is_dropped),
    };
    return SK_RUN_TESTS(tests);
}
