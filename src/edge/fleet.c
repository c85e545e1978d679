#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "base/version.h"
#include "edge/fleet_private.h"
#include "edge/health.h"
#include "fleet/admin_client.h"
#include "fleet/snapshot.h"
#include "io/file.h"

enum {
    MARGIN_MS = 10000, /* over what control may keep a report waiting */
    FIRST_WAIT_MS = 10000,
    PAUSE_FIRST_MS = 500,
    PAUSE_MAX_MS = 15000,
};

double edge_fleet_number(const struct edge_fleet *fleet) {
    return fleet ? (double)atomic_load_explicit(&fleet->in_force, memory_order_relaxed) : 0;
}

bool edge_fleet_stopping(const struct edge_fleet *fleet) {
    return atomic_load_explicit(&fleet->stopping, memory_order_relaxed); /* orders nothing else */
}

/* --- asking control ------------------------------------------------------------------------------------------ */

sk_err edge_fleet_ask(struct edge_fleet *fleet, const char *method, sk_str target, sk_str body,
                      int64_t timeout_ms, uint16_t *out_status, struct sk_buf *out_answer) {
    struct fleet_ask ask = {.address = sk_str_from_c(fleet->controls[fleet->control]),
                            .tls = fleet->tls,
                            .method = sk_str_from_c(method),
                            .target = target,
                            .body = body,
                            .fleet = sk_str_from_c(fleet_identity_self(fleet->identity)->id.fleet),
                            .expelled = &fleet->expelled,
                            .timeout_ms = timeout_ms,
                            .cancel_fd = fleet->stop_fd};
    sk_buf_clear(out_answer);
    return fleet_ask(&ask, out_status, out_answer);
}

/* --- the thread ---------------------------------------------------------------------------------------------- */

static sk_err write_report(struct edge_fleet *fleet, struct sk_buf *out) {
    struct fleet_report report = {
        .in_force = atomic_load_explicit(&fleet->in_force, memory_order_relaxed),
        .refused = fleet->refused,
        .why = sk_str_from_c(fleet->why),
        .roots = sk_str_from_c(fleet_identity_roots_digest(fleet->identity)),
        .expelled = sk_str_from_c(fleet->expelled_digest),
        .version = SK_STR(SK_VERSION),
        .drained = edge_is_withdrawn(EDGE_WITHDRAWN_BY_CONTROL),
        .secrets = edge_fleet_secrets_digest(fleet->secrets),
    };
    edge_fleet_health_since(&fleet->health, &report.requests, &report.errors, &report.p99_us);
    return fleet_report_write(&report, out);
}

static sk_err report_once(struct edge_fleet *fleet) {
    struct sk_buf body, answer;
    struct sk_arena arena;
    struct fleet_orders orders;
    uint16_t status = 0;
    sk_buf_init(&body, FLEET_MESSAGE_MAX);
    sk_buf_init(&answer, 2 * FLEET_MESSAGE_MAX);
    sk_arena_init(&arena, 4096, 0);
    sk_err err = write_report(fleet, &body);
    if (!err)
        err = edge_fleet_ask(fleet, "POST", SK_STR("/node/report"), sk_buf_str(&body),
                             fleet->again_ms + MARGIN_MS, &status, &answer);
    if (!err && status != 200) err = status == 403 || status == 401 ? SK_ERR_DENIED : SK_ERR_BUSY;
    if (!err) err = fleet_orders_parse(sk_buf_str(&answer), &arena, &orders);
    if (!err) err = edge_fleet_obey(fleet, &orders);
    sk_buf_free(&body);
    sk_buf_free(&answer);
    sk_arena_free(&arena);
    return err;
}

static void pause_for(struct edge_fleet *fleet, int64_t ms) {
    struct pollfd waiting = {.fd = fleet->stop_fd, .events = POLLIN};
    (void)poll(&waiting, 1, (int)ms);
}

/* Once when touch is lost, once when it is there again; between them at debug. */
static void note_touch(struct edge_fleet *fleet, sk_err err) {
    const char *control = fleet->controls[fleet->control];
    if (err) {
        observe_count(fleet->metrics, OBSERVE_FLEET_CONTROL_FAILED);
        sk_log(fleet->out_of_touch ? SK_LOG_DEBUG : SK_LOG_WARN, "fleet",
               "control at %s: %s: what is in force stays so", control, sk_err_text(err));
    } else if (fleet->out_of_touch) {
        sk_log(SK_LOG_INFO, "fleet", "control at %s answers again", control);
    }
    fleet->out_of_touch = err != SK_OK;
}

static void *run(void *arg) {
    struct edge_fleet *fleet = arg;
    int64_t pause_ms = PAUSE_FIRST_MS;
    if (observe_thread_join(&fleet->metrics) != SK_OK) return NULL;
    while (!edge_fleet_stopping(fleet)) {
        sk_err err = report_once(fleet);
        if (edge_fleet_stopping(fleet)) break;
        note_touch(fleet, err);
        if (!err) {
            pause_ms = PAUSE_FIRST_MS;
            continue;
        }
        fleet->control = (fleet->control + 1) % fleet->control_count;
        pause_for(fleet, pause_ms / 2 + (int64_t)sk_random_below((uint64_t)pause_ms));
        pause_ms = SK_MIN(2 * pause_ms, PAUSE_MAX_MS);
    }
    return NULL;
}

/* --- the beginning and the end ------------------------------------------------------------------------------- */

static sk_err read_controls(struct edge_fleet *fleet) {
    char path[FLEET_PATH_BYTES];
    struct sk_buf text;
    sk_str rest, line;
    sk_buf_init(&text, 0);
    sk_err err = fleet_path(sk_str_from_c(fleet->folder), FLEET_FILE_CONTROL, path);
    if (!err) err = io_file_load(path, FLEET_PEM_MAX, &text);
    rest = sk_buf_str(&text);
    while (!err && sk_str_cut(&rest, '\n', &line)) {
        if (!line.len || line.len >= sizeof fleet->controls[0] ||
            fleet->control_count == EDGE_FLEET_CONTROLS_MAX)
            continue;
        memcpy(fleet->controls[fleet->control_count++], line.data, line.len);
    }
    sk_buf_free(&text);
    return err || fleet->control_count ? err : SK_ERR_NOT_FOUND;
}

sk_err edge_fleet_start(struct edge_process *process, struct edge_fleet **out_fleet) {
    const struct config *config = process->snapshot->config;
    *out_fleet = NULL;
    if (!config->fleet.state.len) return SK_OK;
    struct edge_fleet *fleet = calloc(1, sizeof *fleet);
    if (!fleet) return SK_ERR_NO_MEMORY;
    fleet->process = process;
    fleet->again_ms = FIRST_WAIT_MS;
    snprintf(fleet->folder, sizeof fleet->folder, "%.*s", SK_STR_ARGS(config->fleet.state));
    sk_buf_init(&fleet->report, FLEET_MESSAGE_MAX);
    sk_buf_init(&fleet->before, FLEET_SNAPSHOT_MAX);
    sem_init(&fleet->done, 0, 0);
    atomic_init(&fleet->in_force, process->start->fleet_number);
    fleet->stop_fd = eventfd(0, EFD_CLOEXEC);
    sk_err err = fleet->stop_fd < 0 ? SK_ERR_FULL : edge_fleet_use_identity(fleet);
    if (!err) err = read_controls(fleet);
    if (!err) err = edge_fleet_secrets_create(process, fleet->folder, &fleet->secrets);
    if (!err) edge_fleet_read_expelled(fleet);
    if (!err) edge_fleet_read_drained(fleet);
    if (!err && pthread_create(&fleet->thread, NULL, run, fleet) != 0) err = SK_ERR_NO_MEMORY;
    if (err) {
        sk_log(SK_LOG_ERROR, "fleet", "%s holds no node's identity (skerry join makes it): %s", fleet->folder,
               sk_err_text(err));
        edge_fleet_free(fleet);
        return err;
    }
    *out_fleet = fleet;
    return SK_OK;
}

void edge_fleet_stop(struct edge_fleet *fleet) {
    if (!fleet || edge_fleet_stopping(fleet)) return;
    const uint64_t one = 1;
    atomic_store_explicit(&fleet->stopping, true, memory_order_relaxed);
    if (write(fleet->stop_fd, &one, sizeof one) != sizeof one)
        sk_log(SK_LOG_ERROR, "fleet", "the thread stays");
    pthread_join(fleet->thread, NULL);
}

void edge_fleet_free(struct edge_fleet *fleet) {
    if (!fleet) return;
    if (fleet->stop_fd >= 0) close(fleet->stop_fd);
    SSL_CTX_free(fleet->tls);
    fleet_identity_unref(fleet->identity);
    fleet_expelled_free(&fleet->expelled);
    edge_fleet_secrets_free(fleet->secrets);
    sk_buf_free(&fleet->report);
    sk_buf_free(&fleet->before);
    sem_destroy(&fleet->done);
    free(fleet);
}
