#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/log.h"
#include "cache/purge.h"
#include "client.h"
#include "clocks.h"
#include "config/load.h"
#include "edge/worker.h"
#include "origin_double.h"
#include "wire/h1.h"

#define MEMORY_BYTES (64u << 20)
#define SMALL_MEMORY_BYTES (8u << 20)
/* After each operation the loop turns so often: more than any chain of wake-ups needs. */
#define TURNS 4
#define FINISHING_ROUNDS 400

struct world {
    struct config *config;
    struct origin_registry *registry;
    struct edge_worker worker;
    struct cache *cache;
    struct model *model;
    struct sk_list clients;
    char complaint[1024];
    bool tell;
    /* the operation under way */
    struct io_task task, turn;
    int turns;
    const struct trace_op *op;
};

static const char configuration[] = "threads: 1\n"
                                    "sites:\n"
                                    "  - name: site\n"
                                    "    hosts: ['*']\n"
                                    "    origins:\n      - url: http://127.0.0.1:9\n";

/* ---- values made when they are needed ---------------------------------------------------------------------------- */

static void make_date(const char *text, char *out, size_t room) {
    bool rfc850 = strncmp(text, "@850:", 5) == 0, asctime = strncmp(text, "@asc:", 5) == 0;
    time_t when = (time_t)(clocks.wall_s + atoll(text + (rfc850 || asctime ? 5 : 1)));
    struct tm tm;
    gmtime_r(&when, &tm);
    char front[32], back[32];
    if (rfc850) { /* with two digits of the year */
        strftime(front, sizeof front, "%A, %d-%b-", &tm);
        strftime(back, sizeof back, "%H:%M:%S GMT", &tm);
        snprintf(out, room, "%s%02d %s", front, tm.tm_year % 100, back);
    } else if (asctime) {
        strftime(out, room, "%a %b %e %H:%M:%S %Y", &tm);
    } else {
        strftime(out, room, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    }
}

static void make_value(const struct trace_line *line, uint32_t uri, char *out, size_t room) {
    const char *tag = origin_double.last_tag[uri], *tilde = strchr(line->value, '~');
    bool date = strstr(line->name, "Since") || strcmp(line->name, "Last-Modified") == 0;
    if (line->value[0] == '@')
        make_date(line->value, out, room);
    else if (tilde && date)
        snprintf(out, room, "%s", origin_double.last_modified[uri]);
    else if (tilde)
        snprintf(out, room, "%.*s%s%s", (int)(tilde - line->value), line->value,
                 tilde[1] == 'W' && strncmp(tag, "W/", 2) != 0 ? "W/" : "", tag);
    else
        snprintf(out, room, "%s", line->value);
}

static void make_values(const struct trace_head *from, uint32_t uri, struct trace_head *out) {
    out->count = from->count;
    for (uint32_t i = 0; i < from->count; i++) {
        memcpy(out->lines[i].name, from->lines[i].name, TRACE_NAME_BYTES);
        make_value(&from->lines[i], uri, out->lines[i].value, TRACE_VALUE_BYTES);
    }
}

/* ---- operations --------------------------------------------------------------------------------------------------- */

static void ask(struct world *world, const struct trace_op *op) {
    struct trace_op made = *op;
    make_values(&op->head, op->uri, &made.head);
    model_request(world->model, double_now(), &made);
    client_start(&world->worker, world->model, &world->clients, &made);
    model_served(world->model, double_now(), op->id);
}

static void answer(const struct trace_op *op) {
    struct double_exchange *exchange = double_pick(true, op->pick);
    struct trace_head head;
    if (!exchange) return;
    make_values(&op->head, exchange->uri, &head);
    double_answer(exchange, op, &head);
}

static void purge(struct world *world, const struct trace_op *op) {
    const struct trace_uri *uri = &trace_uris[op->uri];
    char text[128];
    struct cache_purge purge = {.soft = op->soft, .site = SK_STR("site"), .host = sk_str_from_c(uri->host)};
    *text = '\0';
    switch (op->purge) {
    case TRACE_PURGE_KEY:
        purge.kind = CACHE_PURGE_KEY;
        snprintf(text, sizeof text, "site|%s|%s", uri->host, uri->target);
        break;
    case TRACE_PURGE_PREFIX:
        purge.kind = CACHE_PURGE_PREFIX;
        snprintf(text, sizeof text, "%s", uri->target);
        break;
    case TRACE_PURGE_HOST: purge.kind = CACHE_PURGE_HOST; break;
    case TRACE_PURGE_GLOB:
        purge.kind = CACHE_PURGE_GLOB;
        snprintf(text, sizeof text, "%s%s*", uri->host, uri->target);
        break;
    case TRACE_PURGE_TAG:
        purge.kind = CACHE_PURGE_TAG;
        snprintf(text, sizeof text, "%s", op->purged_tag);
        break;
    case TRACE_PURGE_ALL: purge.kind = CACHE_PURGE_ALL; break;
    }
    purge.text = sk_str_from_c(text);
    if (cache_purge(world->cache, &purge, NULL) != SK_OK)
        model_complain(world->model, "purge %u failed", op->id);
    model_purged(world->model, op);
}

static void play(struct io_task *task) {
    struct world *world = SK_CONTAINER_OF(task, struct world, task);
    const struct trace_op *op = world->op;
    struct double_exchange *exchange;
    switch (op->kind) {
    case TRACE_REQUEST: ask(world, op); break;
    case TRACE_ANSWER: answer(op); break;
    case TRACE_BODY:
        exchange = double_pick(false, op->pick);
        if (exchange) double_continue(exchange, op->more_bytes, op->break_off);
        break;
    case TRACE_READ: client_read_on(&world->clients, op->pick); break;
    case TRACE_ABORT: client_abort(&world->clients, op->pick); break;
    case TRACE_CLOCK:
        clocks.wall_s += op->wall_s;
        clocks.monotonic += op->mono_ms * SK_NS_PER_MS;
        break;
    case TRACE_PURGE: purge(world, op); break;
    }
}

/* Time has to go on a little for those who sleep for a millisecond. */
static void on_turn(struct io_task *task) {
    struct world *world = SK_CONTAINER_OF(task, struct world, turn);
    clocks.monotonic += SK_NS_PER_MS;
    if (--world->turns > 0)
        io_loop_defer_to_next(world->worker.loop, &world->turn);
    else
        io_loop_stop(world->worker.loop);
}

static void turn(struct world *world, const struct trace_op *op) {
    if (world->tell && op) trace_print_op(op);
    world->op = op;
    world->turns = TURNS;
    world->task.run = play;
    world->turn.run = on_turn;
    if (op) io_loop_defer(world->worker.loop, &world->task);
    io_loop_defer_to_next(world->worker.loop, &world->turn);
    io_loop_run(world->worker.loop);
}

/* Everything comes to its end: the origin answers, slow clients read on. */
static void finish(struct world *world) {
    struct trace_op op = {.kind = TRACE_ANSWER, .status = 200, .body_bytes = 10, .at_once = 11};
    for (int i = 0; i < FINISHING_ROUNDS; i++) {
        op.id = 1000000 + (uint32_t)i;
        op.kind = i % 2 ? TRACE_READ : TRACE_BODY;
        if (double_pick(true, 0)) op.kind = TRACE_ANSWER;
        op.more_bytes = 1u << 30;
        if (!double_pick(true, 0) && !double_pick(false, 0) && sk_list_empty(&world->clients)) break;
        turn(world, &op);
    }
    for (int i = 0; i < 3; i++) turn(world, NULL);
    model_over(world->model);
    /* After a disagreement the next run begins without what this one left. */
    op.kind = TRACE_ABORT;
    for (int i = 0; i < FINISHING_ROUNDS && !sk_list_empty(&world->clients); i++) turn(world, &op);
}

/* ---- a run ---------------------------------------------------------------------------------------------------------- */

static bool open_cache(struct world *world, bool small) {
    struct cache_options options = {.memory_bytes = small ? SMALL_MEMORY_BYTES : MEMORY_BYTES, .shards = 2};
    return cache_create(&options, &world->cache) == SK_OK &&
           cache_thread_join(world->cache, world->worker.loop, &world->worker.cache) == SK_OK;
}

static void close_cache(struct world *world) {
    cache_thread_leave(world->worker.cache);
    cache_destroy(world->cache);
}

bool world_play(struct world *world, const struct trace *trace) {
    origin_double = (struct origin_double){0};
    sk_list_init(&origin_double.under_way);
    sk_list_init(&world->clients);
    for (uint32_t i = 0; i < TRACE_URIS; i++) {
        snprintf(origin_double.last_tag[i], sizeof origin_double.last_tag[i], "\"none\"");
        snprintf(origin_double.last_modified[i], sizeof origin_double.last_modified[i], "none");
    }
    if (!open_cache(world, trace->small_memory)) abort();
    world->model = origin_double.model = model_create(trace->small_memory);
    if (world->tell) model_narrate(world->model);
    for (size_t i = 0; i < trace->count && !model_complaint(world->model); i++) turn(world, &trace->ops[i]);
    finish(world);
    const char *complaint = model_complaint(world->model);
    snprintf(world->complaint, sizeof world->complaint, "%s", complaint ? complaint : "");
    if (!sk_list_empty(&world->clients) || io_fiber_count(world->worker.loop)) {
        fprintf(stderr, "after the trace's end %s clients and %zu fibers are left: %s\n",
                sk_list_empty(&world->clients) ? "no" : "some", io_fiber_count(world->worker.loop),
                world->complaint);
        abort();
    }
    model_destroy(world->model);
    close_cache(world);
    return !*world->complaint;
}

bool world_tell(struct world *world, const struct trace *trace) {
    world->tell = true;
    bool agrees = world_play(world, trace);
    world->tell = false;
    return agrees;
}

const char *world_complaint(const struct world *world) { return world->complaint; }

/* ---- life ------------------------------------------------------------------------------------------------------------ */

static sk_err set_up(struct world *world) {
    struct edge_worker *worker = &world->worker;
    struct config_problems problems;
    config_problems_init(&problems);
    sk_err err = config_parse(SK_STR(configuration), "model", &world->config, &problems);
    if (err) fprintf(stderr, "%.*s", SK_STR_ARGS(sk_buf_str(&problems.text)));
    config_problems_free(&problems);
    if (!err) err = origin_registry_create(&world->registry);
    if (!err) err = edge_snapshot_create(world->config, world->registry, NULL, NULL, &worker->snapshot);
    if (!err) err = io_loop_create("model", &worker->loop);
    if (!err) err = observe_thread_join(&worker->metrics);
    return err;
}

struct world *world_create(void) {
    struct world *world = calloc(1, sizeof *world);
    if (!world) return NULL;
    sk_log_set_level(SK_LOG_ERROR);
    sk_list_init(&world->worker.connections);
    sk_list_init(&world->worker.fetches);
    sk_list_init(&world->worker.accepts);
    sk_arena_init(&world->worker.scratch, 32768, 0);
    world->worker.loop_mark = SK_STR("i=0123456789abcdef");
    sk_err err = set_up(world);
    if (!err) return world;
    fprintf(stderr, "setting up: %s\n", sk_err_text(err));
    world_destroy(world);
    return NULL;
}

void world_destroy(struct world *world) {
    if (world->worker.loop) io_loop_destroy(world->worker.loop);
    if (world->worker.snapshot) edge_snapshot_unref(world->worker.snapshot);
    if (world->registry) origin_registry_destroy(world->registry);
    sk_arena_free(&world->worker.scratch);
    free(world);
}
