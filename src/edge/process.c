#include "edge/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/random.h"
#include "edge/acme.h"
#include "edge/admin.h"
#include "edge/bus.h"
#include "edge/certificates.h"
#include "edge/descriptors.h"
#include "edge/fleet.h"
#include "edge/gauges.h"
#include "edge/notify.h"
#include "edge/ocsp.h"
#include "edge/quic_upgrade.h"
#include "edge/reclaim.h"
#include "edge/reload.h"
#include "edge/ring.h"
#include "edge/tier.h"
#include "edge/upgrade.h"
#include "edge/withdraw.h"
#include "io/user.h"

/* --- while it runs -------------------------------------------------------------------------------------- */

const char *edge_process_resolver(const struct edge_process *process) {
    /* sk_arena_copy put a NUL after it */
    return process->snapshot->config->resolver.len ? process->snapshot->config->resolver.data : NULL;
}

void edge_process_use_snapshot(struct edge_process *process, struct edge_snapshot *snapshot) {
    struct edge_snapshot *old = process->snapshot;
    const struct config *config = snapshot->config;
    process->snapshot = snapshot;
    edge_bus_config_changes(process->bus, config);
    edge_ring_config_changes(process->ring, snapshot->config);
    edge_acme_config_changes(process->acme);
    edge_ocsp_use(process->ocsp, snapshot->tls.store);
    for (unsigned i = 0; i < process->worker_count; i++) {
        struct edge_message message = {.kind = EDGE_TELL_SNAPSHOT, .snapshot = edge_snapshot_ref(snapshot)};
        if (edge_process_tell(process, i, message) != SK_OK) edge_snapshot_unref(snapshot);
    }
    sk_log_set_level((enum sk_log_level)config->log_level);
    edge_limits_set(process->limits, edge_connection_limit(config), config->limits.connections_per_client);
    if (origin_health_start(process->origins, snapshot->groups, config->site_count) != SK_OK)
        sk_log(SK_LOG_ERROR, "edge", "health checks could not be started");
    if (old) edge_snapshot_unref(old);
}

/* --- the end ---------------------------------------------------------------------------------------------- */

static void end(void *arg) { io_loop_stop(((struct edge_process *)arg)->loop); }

/* An edge that was replaced stays a member: its successor has the same name. */
void edge_process_look_whether_done(struct edge_process *process) {
    if (process->stage == EDGE_RUNNING || process->workers_done < process->worker_count) return;
    if (edge_acme_busy(process->acme) || edge_ocsp_busy(process->ocsp)) return;
    if (process->handed_over)
        end(process);
    else
        edge_bus_leave(process->bus, end, process);
}

static void on_drain_over(struct io_timer *timer) {
    struct edge_process *process = SK_CONTAINER_OF(timer, struct edge_process, drain_timer);
    sk_log(SK_LOG_WARN, "edge", "connections are cut: they did not end in time");
    process->stage = EDGE_STOPPING;
    if (edge_process_tell_all(process, EDGE_TELL_STOP) != SK_OK) io_loop_stop(process->loop);
}

void edge_process_drain(struct edge_process *process, bool handed_over) {
    if (process->stage == EDGE_DRAINING) {
        process->stage = EDGE_STOPPING;
        if (edge_process_tell_all(process, EDGE_TELL_STOP) != SK_OK) io_loop_stop(process->loop);
    }
    if (process->stage != EDGE_RUNNING) return;
    sk_log(SK_LOG_INFO, "edge",
           handed_over ? "handed over: the last requests are answered"
                       : "stopping: the last requests are answered");
    process->stage = EDGE_DRAINING;
    process->handed_over = handed_over;
    if (!handed_over) edge_notify("STOPPING=1");
    if (handed_over) edge_tier_hand_over(process);
    int64_t drain_ms = process->snapshot->config->timeouts.drain_ms;
    io_timer_start(process->loop, &process->drain_timer, io_loop_now(process->loop) + drain_ms * SK_NS_PER_MS,
                   on_drain_over);
    origin_health_stop(process->origins);
    edge_fleet_stop(process->fleet);
    edge_acme_stop(process->acme);
    edge_ocsp_stop(process->ocsp);
    /* Ours first, so that the workers' duplicates are the last ones. */
    edge_listeners_free(&process->listeners);
    if (edge_process_tell_all(process, handed_over ? EDGE_TELL_HAND_OVER : EDGE_TELL_DRAIN) != SK_OK)
        on_drain_over(&process->drain_timer);
}

static void on_stop_signal(int signo, void *arg) { edge_process_drain(arg, false); }

static void on_reload_signal(int signo, void *arg) {
    struct edge_process *process = arg;
    access_log_rotate(process->log);
    edge_reload_logged(process);
}

static void on_upgrade_signal(int signo, void *arg) { edge_upgrade_start(arg); }

static sk_err watch_signals(struct edge_process *process) {
    signal(SIGXFSZ,
           SIG_IGN); /* a file that may not grow is an error where it is written, as a full disk is */
    sk_err err = io_loop_on_signal(process->loop, SIGTERM, on_stop_signal, process);
    if (!err) err = io_loop_on_signal(process->loop, SIGINT, on_stop_signal, process);
    if (!err) err = io_loop_on_signal(process->loop, SIGHUP, on_reload_signal, process);
    if (!err) err = io_loop_on_signal(process->loop, SIGUSR2, on_upgrade_signal, process);
    return err;
}

/* --- the beginning ---------------------------------------------------------------------------------------- */

static sk_err failed(const char *what, sk_err err) {
    sk_log(SK_LOG_ERROR, "edge", "%s: %s", what, sk_err_text(err));
    return err;
}

static sk_err create_parts(struct edge_process *process, struct config *config) {
    struct cache_options options = {.memory_bytes = config->memory_bytes,
                                    .max_object_bytes = config->max_object_bytes};
    sk_err err = io_loop_create("main", &process->loop);
    if (err) return failed("event loop", err);
    err = observe_thread_join(&process->metrics);
    if (!err) err = cache_create(&options, &process->cache);
    if (err) return failed("cache", err);
    if ((err = edge_limits_create(&process->limits)) != SK_OK) return failed("limits", err);
    if ((err = origin_registry_create(&process->registry)) != SK_OK) return failed("origins", err);
    if ((err = wire_tls_tickets_create(&process->tickets)) != SK_OK) return failed("TLS", err);
    if ((err = edge_first_snapshot(process, config)) != SK_OK) return failed("configuration", err);
    err = origin_thread_join(process->registry, process->loop, process->metrics,
                             edge_process_resolver(process), &process->origins);
    if (err) return failed("origins", err);
    snprintf(process->loop_mark, sizeof process->loop_mark, "i=%016llx", (unsigned long long)sk_random_u64());
    return SK_OK;
}

static sk_err open_log(struct edge_process *process) {
    const struct config *config = process->snapshot->config;
    enum access_log_format format =
        config->access_log_format == CONFIG_LOG_COMMON ? ACCESS_LOG_COMMON : ACCESS_LOG_JSON;
    sk_err err =
        access_log_open(config->access_log.len ? config->access_log.data : NULL, format, &process->log);
    return err ? failed("access log", err) : SK_OK;
}

static sk_err listen_all(struct edge_process *process) {
    struct edge_listeners inherited = {0};
    const struct io_addr *failed_addr = NULL;
    const struct config *config = process->snapshot->config;
    int quic_fd = -1;
    sk_err err = edge_upgrade_inherit(&inherited, &quic_fd);
    if (quic_fd >= 0) edge_quic_inherit(process, quic_fd);
    if (!err)
        err = edge_listeners_change(&inherited, config, process->worker_count, &process->listeners,
                                    &failed_addr);
    edge_listeners_free(&inherited);
    if (err && failed_addr) {
        char text[IO_ADDR_TEXT_BYTES];
        io_addr_format(failed_addr, text);
        sk_log(SK_LOG_ERROR, "edge", "cannot listen on %s: %s", text,
               err == SK_ERR_EXISTS ? "the address is in use" : sk_err_text(err));
    } else if (err) {
        return failed("listening sockets", err);
    }
    return err;
}

static sk_err accept_all(struct edge_process *process) {
    for (unsigned i = 0; i < process->listeners.count; i++) {
        sk_err err = edge_process_accept_from(process, &process->listeners.items[i]);
        if (err) return failed("listening sockets", err);
    }
    return SK_OK;
}

static void say_ready(struct edge_process *process) {
    char text[IO_ADDR_TEXT_BYTES + 8];
    for (unsigned i = 0; i < process->listeners.count; i++) {
        const struct edge_listener *listener = &process->listeners.items[i];
        if (!listener->fd_count) continue;
        size_t len =
            edge_listener_text(listener, edge_snapshot_tls(process->snapshot, &listener->addr), text);
        fprintf(stderr, "listening on %.*s\n", (int)len, text);
    }
    fprintf(stderr, "ready in %lld ms\n", (long long)((sk_time_now() - process->started) / SK_NS_PER_MS));
    edge_upgrade_say_ready();
    edge_notify_ready();
}

static sk_err start(struct edge_process *process, struct config *config) {
    edge_raise_descriptor_limit();
    io_signals_block();
    uint8_t secret[SK_HASH_SECRET_BYTES];
    uint64_t tick;
    sk_log_set_level((enum sk_log_level)config->log_level);
    sk_err err = edge_tier_secret(config, secret, &tick);
    if (err) return failed(config->disk.state.data, err);
    sk_hash_set_secret(secret);
    err = create_parts(process, config);
    if (!err) err = listen_all(process);
    if (!err) err = io_user_settle(config->user, "edge");
    if (!err) err = open_log(process);
    if (!err) err = edge_tier_start(process, secret, tick);
    if (!err && config->admin.len) err = edge_admin_start(process);
    if (!err) err = edge_ring_start(process, &process->ring); /* before the workers: they keep it */
    if (!err && (err = edge_process_start_workers(process)) != SK_OK) return failed("worker threads", err);
    if (!err) err = watch_signals(process);
    if (!err) err = edge_reclaim_start(process, &process->reclaim);
    if (!err) err = edge_bus_start(process, &process->bus);
    if (!err) err = edge_fleet_start(process, &process->fleet);
    if (!err) err = edge_acme_start(process, &process->acme);
    if (!err) err = edge_ocsp_start(process, &process->ocsp);
    if (!err) err = edge_withdrawal_start(process, &process->withdrawal);
    if (err) return err;
    edge_limits_set(process->limits, edge_connection_limit(config), config->limits.connections_per_client);
    if (origin_health_start(process->origins, process->snapshot->groups, config->site_count) != SK_OK)
        return failed("health checks", SK_ERR_NO_MEMORY);
    edge_gauges_register(process);
    edge_load_start(process);
    edge_certificates_watch(process);
    edge_bus_await(process->bus);
    return process->stage == EDGE_RUNNING ? accept_all(process) : SK_OK;
}

/* The process ends right after it: what a running worker still uses is left to the kernel when start failed. */
static void tear_down(struct edge_process *process) {
    bool stuck = false;
    for (unsigned i = 0; i < process->worker_count; i++) {
        pthread_join(process->workers[i].thread, NULL);
        stuck |= process->workers[i].stuck;
    }
    edge_gauges_remove(process);
    if (!stuck) edge_tier_stop(process);
    edge_reclaim_stop(process->reclaim);
    edge_quic_end(process);
    edge_bus_free(process->bus);
    edge_withdrawal_free(process->withdrawal);
    if (process->upgrade) edge_upgrade_free(process);
    fleet_admin_stop(process->admin);
    access_log_close(process->log);
    if (stuck) {
        sk_log(SK_LOG_WARN, "edge", "some requests did not end when told");
        return;
    }
    origin_health_stop(process->origins);
    edge_acme_free(process->acme);
    edge_ocsp_free(process->ocsp);
    edge_ring_free(process->ring);
    origin_thread_leave(process->origins);
    edge_listeners_free(&process->listeners);
    io_loop_destroy(process->loop);
    edge_fleet_free(process->fleet);
    edge_snapshot_unref(process->snapshot);
    wire_tls_tickets_unref(process->tickets);
    origin_registry_destroy(process->registry);
    cache_destroy(process->cache);
    edge_limits_destroy(process->limits);
    free(process->workers);
    free(process->reachable);
}

int edge_main(struct config *config, const struct edge_start *start_options) {
    static struct edge_process process; /* one a process; too large for a stack to be sure of */
    process.start = start_options;
    process.started = sk_time_now();
    process.worker_count = config->threads;
    process.workers = calloc(config->threads, sizeof *process.workers);
    process.reachable = calloc(config->threads, sizeof *process.reachable);
    pthread_mutex_init(&process.posts, NULL);
    edge_quic_begin(&process);
    if (!process.workers || !process.reachable || sem_init(&process.started_workers, 0, 0) != 0) return 1;
    if (start(&process, config) != SK_OK) return 1;
    if (process.stage == EDGE_RUNNING) {
        say_ready(&process);
        io_loop_run(process.loop);
    }
    tear_down(&process);
    return 0;
}
