#include "route/prober.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/random.h"
#include "io/fiber.h"
#include "route/http_get.h"

/* What is checked, and how. Made by the main thread, then the prober's; it lives until its last check ends. */
struct round {
    uint64_t number;
    struct prober *prober;
    bool over; /* another one is in force */
    uint32_t alive;
    struct config_route_health health; /* its texts are in `arena`, those of `reports` too */
    struct config_route_reports reports;
    size_t report_bytes;
    struct sk_arena arena;
    struct wire_tls_context *tls; /* NULL: plain */
    uint32_t count;
    struct probe {
        struct round *round;
        uint32_t target;
        bool is_report;
        struct io_addr addr;
        struct io_fiber *fiber;
    } probes[];
};

struct prober {
    /* set once at start */
    struct io_loop *main_loop, *loop;
    pthread_t thread;
    prober_told *told;
    void *arg;
    /* main thread */
    uint64_t number; /* of the round given last */
    /* own thread */
    struct round *round; /* in force */
    uint32_t rounds;     /* that have not ended yet */
    bool ending;
};

/* --- results ---------------------------------------------------------------------------------------- */

struct report {
    struct io_task task;
    struct prober *prober;
    uint64_t number;
    struct probe_result result;
    struct sk_buf body;
};

static void on_report(struct io_task *task) {
    struct report *report = SK_CONTAINER_OF(task, struct report, task);
    struct prober *prober = report->prober;
    report->result.report = sk_buf_str(&report->body);
    if (report->number == prober->number && prober->told) prober->told(prober->arg, &report->result);
    sk_buf_free(&report->body);
    free(report);
}

/* Takes what is in BODY (may be NULL). */
static void tell(const struct probe *probe, enum health_result result, const char *why, struct sk_buf *body) {
    struct report *report = calloc(1, sizeof *report);
    if (!report) return; /* the next result is not far away */
    *report = (struct report){
        .task.run = on_report,
        .prober = probe->round->prober,
        .number = probe->round->number,
        .result = {.target = probe->target, .is_report = probe->is_report, .result = result, .why = why}};
    if (body) {
        report->body = *body;
        sk_buf_init(body, 0);
    }
    io_loop_post(probe->round->prober->main_loop, &report->task);
}

/* --- one check -------------------------------------------------------------------------------------- */

static enum health_result judge(uint16_t status, const char **out_why) {
    *out_why = NULL;
    if (status >= 200 && status < 400) return HEALTH_GOOD;
    *out_why = status == 503 ? "it says itself that it cannot serve" : "unexpected status";
    return status == 503 ? HEALTH_SICK : HEALTH_BAD;
}

static sk_err check(const struct probe *probe) {
    const struct round *round = probe->round;
    const char *why;
    uint16_t status = 0;
    struct http_get get = {.loop = round->prober->loop,
                           .addr = probe->addr,
                           .tls = round->tls,
                           .host = round->health.host,
                           .target = round->health.path,
                           .deadline = sk_time_now() + round->health.timeout_ms * SK_NS_PER_MS};
    sk_err err = http_get(&get, &status, NULL);
    if (err == SK_ERR_CANCELLED) return err;
    enum health_result result = err ? HEALTH_BAD : judge(status, &why);
    if (err) why = sk_err_text(err);
    tell(probe, result, why, NULL);
    return SK_OK;
}

/* What the edge reports; nothing is told when it does not. */
static sk_err fetch_report(const struct probe *probe) {
    const struct round *round = probe->round;
    struct sk_buf body;
    uint16_t status = 0;
    struct http_get get = {.loop = round->prober->loop,
                           .addr = probe->addr,
                           .target = SK_STR("/rtt"),
                           .token = round->reports.token,
                           .deadline = sk_time_now() + round->reports.timeout_ms * SK_NS_PER_MS};
    sk_buf_init(&body, round->report_bytes);
    sk_err err = http_get(&get, &status, &body);
    if (!err && status == 200)
        tell(probe, HEALTH_GOOD, NULL, &body);
    else if (err != SK_ERR_CANCELLED)
        SK_LOG_LIMITED(SK_LOG_WARN, "route", "no report from an edge: %s, status %u", sk_err_text(err),
                       status);
    sk_buf_free(&body);
    return err == SK_ERR_CANCELLED ? err : SK_OK;
}

static void round_free(struct round *round) {
    wire_tls_context_free(round->tls);
    sk_arena_free(&round->arena);
    free(round);
}

static void round_end(struct round *round) {
    struct prober *prober = round->prober;
    round_free(round);
    if (--prober->rounds == 0 && prober->ending) io_loop_stop(prober->loop);
}

/* Spread by a tenth to either side, so that routers do not ask in step; the first one within an interval. */
static sk_time_ns pause_of(const struct probe *probe, bool first) {
    const struct round *round = probe->round;
    sk_time_ns interval =
        (probe->is_report ? round->reports.interval_ms : round->health.interval_ms) * SK_NS_PER_MS;
    if (first) return (sk_time_ns)sk_random_below((uint64_t)interval / 2 + 1);
    return interval - interval / 10 + (sk_time_ns)sk_random_below((uint64_t)interval / 5 + 1);
}

static void probe_main(void *arg) {
    struct probe *probe = arg;
    struct round *round = probe->round;
    sk_time_ns next = sk_time_now() + pause_of(probe, true);
    sk_err err = SK_OK;
    while (err != SK_ERR_CANCELLED && !round->over) {
        err = io_fiber_sleep_until(next);
        /* Counted from the beginning of a check, so that slow answers do not make checks rarer. */
        next = sk_time_now() + pause_of(probe, false);
        if (err != SK_ERR_CANCELLED && !round->over)
            err = probe->is_report ? fetch_report(probe) : check(probe);
    }
    if (--round->alive == 0) round_end(round);
}

/* --- rounds ----------------------------------------------------------------------------------------- */

static void end_round(struct round *round) {
    round->over = true;
    round->alive++; /* ours, until all have been told */
    for (uint32_t i = 0; i < round->count; i++)
        if (round->probes[i].fiber) io_fiber_cancel(round->probes[i].fiber);
    if (--round->alive == 0) round_end(round);
}

static void begin_round(struct prober *prober, struct round *round) {
    prober->round = round;
    prober->rounds++;
    for (uint32_t i = 0; i < round->count; i++) {
        struct probe *probe = &round->probes[i];
        round->alive++;
        if (io_fiber_spawn(prober->loop, "probe", probe_main, probe, &probe->fiber)) {
            round->alive--;
            sk_log(SK_LOG_ERROR, "route", "an edge is not checked: out of memory");
        }
    }
}

struct order {
    struct io_task task;
    struct prober *prober;
    struct round *round; /* NULL: end */
};

static void on_order(struct io_task *task) {
    struct order *order = SK_CONTAINER_OF(task, struct order, task);
    struct prober *prober = order->prober;
    struct round *old = prober->round;
    prober->round = NULL;
    prober->ending = !order->round;
    if (order->round) begin_round(prober, order->round);
    if (old) end_round(old);
    if (prober->ending && prober->rounds == 0) io_loop_stop(prober->loop);
    free(order);
}

static sk_err command(struct prober *prober, struct round *round) {
    struct order *order = calloc(1, sizeof *order);
    if (!order) return SK_ERR_NO_MEMORY;
    *order = (struct order){.task.run = on_order, .prober = prober, .round = round};
    io_loop_post(prober->loop, &order->task);
    return SK_OK;
}

static sk_err copy_texts(struct round *round, const struct prober_work *work) {
    round->health = *work->health;
    round->reports = *work->reports;
    round->health.path = sk_arena_copy(&round->arena, work->health->path);
    round->health.host = sk_arena_copy(&round->arena, work->health->host);
    round->reports.token = sk_arena_copy(&round->arena, work->reports->token);
    bool all = round->health.path.data && round->health.host.data && round->reports.token.data;
    return all ? SK_OK : SK_ERR_NO_MEMORY;
}

static void add_probes(struct round *round, const struct io_addr *addrs, size_t count, bool is_report) {
    for (uint32_t i = 0; i < count; i++)
        round->probes[round->count++] =
            (struct probe){.round = round, .target = i, .is_report = is_report, .addr = addrs[i]};
}

static sk_err make_round(struct prober *prober, const struct prober_work *work, struct round **out_round) {
    const struct config_route_health *health = work->health;
    size_t edges = health->check == CONFIG_ROUTE_CHECK_NONE ? 0 : work->edge_count;
    struct round *round = calloc(1, sizeof *round + (edges + work->report_count) * sizeof round->probes[0]);
    if (!round) return SK_ERR_NO_MEMORY;
    round->prober = prober;
    round->number = prober->number + 1;
    round->report_bytes = work->report_bytes;
    sk_arena_init(&round->arena, 256, 0);
    add_probes(round, work->edges, edges, false);
    add_probes(round, work->report_addrs, work->report_count, true);
    struct wire_tls_client_options tls = {.ca_file = health->ca_file.len ? health->ca_file.data : NULL,
                                          .verify = health->verify};
    sk_err err = copy_texts(round, work);
    if (!err && health->check == CONFIG_ROUTE_CHECK_HTTPS) err = wire_tls_client_context(&tls, &round->tls);
    if (err)
        round_free(round);
    else
        *out_round = round;
    return err;
}

sk_err prober_use(struct prober *prober, const struct prober_work *work) {
    struct round *round;
    sk_err err = make_round(prober, work, &round);
    if (err) return err;
    err = command(prober, round);
    if (err)
        round_free(round);
    else
        prober->number++;
    return err;
}

/* --- the thread ------------------------------------------------------------------------------------- */

static void *run(void *arg) {
    struct prober *prober = arg;
    io_loop_run(prober->loop);
    return NULL;
}

sk_err prober_start(struct io_loop *main_loop, prober_told *told, void *arg, struct prober **out_prober) {
    struct prober *prober = calloc(1, sizeof *prober);
    if (!prober) return SK_ERR_NO_MEMORY;
    *prober = (struct prober){.main_loop = main_loop, .told = told, .arg = arg};
    sk_err err = io_loop_create("probe", &prober->loop);
    if (!err && pthread_create(&prober->thread, NULL, run, prober) != 0) err = SK_ERR_NO_MEMORY;
    if (err) {
        if (prober->loop) io_loop_destroy(prober->loop);
        free(prober);
        return err;
    }
    *out_prober = prober;
    return SK_OK;
}

void prober_stop(struct prober *prober) {
    if (!prober || !prober->loop) return;
    prober->told = NULL;
    if (command(prober, NULL)) io_loop_stop(prober->loop);
    pthread_join(prober->thread, NULL);
    io_loop_destroy(prober->loop);
    prober->loop = NULL;
}

void prober_free(struct prober *prober) { free(prober); }
