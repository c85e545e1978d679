#include "route/process.h"

#include <signal.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/random.h"
#include "config/value.h"
#include "io/user.h"
#include "route/admin.h"
#include "route/builder.h"
#include "route/keep.h"
#include "route/notify.h"
#include "route/redirect.h"
#include "route/upgrade.h"
#include "route/watch.h"

enum { SIGNATURES_KEPT = 65536 }; /* of routed names */

/* --- starting --------------------------------------------------------------------------------------- */

static sk_err open_query_log(struct route_process *process, const struct config_route *config) {
    sk_err err = access_log_open(config->query_log.path.len ? config->query_log.path.data : NULL,
                                 ACCESS_LOG_JSON, &process->query_log);
    if (err)
        sk_log(SK_LOG_ERROR, "route", "query_log %.*s: %s", SK_STR_ARGS(config->query_log.path),
               sk_err_text(err));
    return err;
}

/* --- running ---------------------------------------------------------------------------------------- */

void route_process_stop(struct route_process *process) {
    if (process->stopping) return;
    process->stopping = true;
    sk_log(SK_LOG_INFO, "route", "stopping: what has been asked is answered");
    for (unsigned i = 0; i < process->udp_running; i++) udp_thread_stop(&process->udp[i]);
    for (unsigned i = 0; i < process->running; i++) route_worker_stop(&process->workers[i]);
    io_loop_stop(process->loop);
}

/* What failed is tried again each hour. */
static void on_sign_timer(struct io_timer *timer) {
    struct route_process *process = SK_CONTAINER_OF(timer, struct route_process, sign_timer);
    route_process_sign(process);
    io_timer_start(process->loop, timer, io_loop_now(process->loop) + 3600 * SK_NS_PER_S, on_sign_timer);
}

static void on_stop(int signo, void *arg) { route_process_stop(arg); }

static void on_reload(int signo, void *arg) {
    const struct route_process *process = arg;
    if (!process->handed_over) (void)!route_process_reload(arg);
}

static void on_upgrade(int signo, void *arg) { route_upgrade_start(arg); }

static sk_err watch_signals(struct route_process *process) {
    sk_err err = io_loop_on_signal(process->loop, SIGTERM, on_stop, process);
    if (!err) err = io_loop_on_signal(process->loop, SIGINT, on_stop, process);
    if (!err) err = io_loop_on_signal(process->loop, SIGHUP, on_reload, process);
    if (!err) err = io_loop_on_signal(process->loop, SIGUSR2, on_upgrade, process);
    return err;
}

static sk_err start_udp(struct route_process *process) {
    size_t count = (size_t)process->worker_count * process->sockets.listeners;
    if (!count) return SK_OK;
    process->udp = calloc(count, sizeof *process->udp);
    if (!process->udp) return SK_ERR_NO_MEMORY;
    for (unsigned i = 0; i < count; i++) {
        process->udp[i].index = i;
        process->udp[i].log = process->query_log;
        sk_err err = udp_thread_start(&process->udp[i], process->sockets.udp[i], process->plan);
        if (err) return err;
        process->udp_running++;
    }
    return SK_OK;
}

static sk_err start_workers(struct route_process *process) {
    for (unsigned i = 0; i < process->worker_count; i++) {
        process->workers[i].index = i;
        process->workers[i].log = process->query_log;
        sk_err err = route_worker_start(&process->workers[i],
                                        process->sockets.tcp + (size_t)i * process->sockets.listeners,
                                        process->sockets.listeners, process->plan);
        if (err) return err;
        process->running++;
    }
    return start_udp(process);
}

static sk_err set_up(struct route_process *process, struct config_route *config) {
    sk_log_set_level((enum sk_log_level)config->log_level);
    process->worker_count = config->threads ? config->threads : config_machine_cores();
    process->worker_count =
        SK_MAX(process->worker_count, route_inherited_threads(&process->inherited, config));
    process->workers = calloc(process->worker_count, sizeof *process->workers);
    sk_err err = process->workers ? io_loop_create("route", &process->loop) : SK_ERR_NO_MEMORY;
    if (!err) err = observe_thread_join(&process->metrics);
    if (!err) err = dnssec_memo_create(SIGNATURES_KEPT, &process->memo);
    if (!err) err = builder_create(process->loop, route_process_built, process, &process->builder);
    if (!err) err = notify_create(process->loop, &process->notify);
    if (!err) err = watch_start(process);
    if (!err) err = watch_signals(process);
    return err;
}

static void tear_down(struct route_process *process) {
    for (unsigned i = 0; i < process->udp_running; i++) udp_thread_join(&process->udp[i]);
    for (unsigned i = 0; i < process->running; i++) route_worker_join(&process->workers[i]);
    io_upgrade_free(process->upgrade);
    redirect_stop(process->redirect);
    fleet_admin_stop(process->admin);
    builder_free(process->builder);
    notify_free(process->notify);
    watch_stop(process);
    if (process->loop) io_loop_destroy(process->loop);
    watch_free(process);
    route_plan_unref(process->plan);
    overlay_unref(process->overlay);
    access_log_close(process->query_log);
    table_free(process->kept);
    dnssec_memo_free(process->memo);
    free(process->workers);
    free(process->udp);
}

/* From the loaded configuration to the end. */
static int run(struct route_process *process, struct config_route *config) {
    enum { FINE = 0, FAILED = 1, USAGE = 2 };
    struct route_plan *plan;
    sk_err err = route_process_plan(process, config, &plan);
    if (err) return err == SK_ERR_NO_MEMORY ? FAILED : USAGE;
    route_plan_overlay(plan, process->overlay);
    process->plan = plan;
    table_free(process->kept);
    process->kept = NULL;
    config = plan->config->config;
    err = route_sockets_open(&process->sockets, config, process->worker_count, &process->inherited);
    if (!err) err = route_admin_start(process);
    if (!err) err = redirect_create(plan, &process->redirect);
    if (!err) err = io_user_settle(config->user, "route");
    if (!err) err = open_query_log(process, config);
    if (!err) keep_save(process, true);
    if (!err) err = redirect_start(process->redirect);
    if (!err) err = start_workers(process);
    if (err) {
        sk_log(SK_LOG_ERROR, "route", "not started: %s", sk_err_text(err));
        route_process_stop(process);
        return FAILED;
    }
    notify_changes(process->notify, NULL, plan);
    if (config->site_count && config->health.check == CONFIG_ROUTE_CHECK_NONE)
        sk_log(SK_LOG_WARN, "route", "health.check is none: a site that is dead stays in the answers");
    watch_look(process);
    io_timer_start(process->loop, &process->sign_timer, sk_time_now() + 3600 * SK_NS_PER_S, on_sign_timer);
    sk_log(SK_LOG_INFO, "route", "ready: %u zones, %u threads", config->zone_count, process->worker_count);
    if (process->reload_due) (void)!route_process_reload(process); /* for challenges of the process before */
    route_upgrade_say_ready(process);
    io_loop_run(process->loop);
    keep_save(process, true);
    return FINE;
}

int route_main(struct config_route *config, const struct route_start *start) {
    struct route_process process = {.start = start};
    uint8_t hash_secret[SK_HASH_SECRET_BYTES];
    sk_random_secret(hash_secret, sizeof hash_secret);
    sk_hash_set_secret(hash_secret);
    sk_random_secret(process.secrets.current, sizeof process.secrets.current);
    io_signals_block();
    int code = 1;
    if (route_upgrade_inherit(&process) == SK_OK && set_up(&process, config) == SK_OK)
        code = run(&process, config);
    else
        config_route_free(config);
    tear_down(&process);
    route_sockets_close(&process.sockets);
    route_inherited_free(&process.inherited);
    return code;
}
