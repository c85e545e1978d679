#include "edge/fleet.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "base/version.h"
#include "edge/fleet_health.h"
#include "edge/fleet_secrets.h"
#include "edge/health.h"
#include "edge/reload.h"
#include "fleet/admin_client.h"
#include "fleet/messages.h"
#include "fleet/snapshot.h"
#include "io/file.h"

enum {
    CONTROLS_MAX = 8,
    MARGIN_MS = 10000, /* over what control may keep a report waiting */
    FIRST_WAIT_MS = 10000,
    PAUSE_FIRST_MS = 500,
    PAUSE_MAX_MS = 15000,
    RENEW_AGAIN_S = 60,
};

struct edge_fleet {
    /* set once at start */
    struct edge_process *process;
    char folder[FLEET_PATH_BYTES];
    pthread_t thread;
    int stop_fd; /* readable when it is to end */
    /* the thread's own */
    struct observe_thread *metrics;
    struct fleet_identity *identity;
    SSL_CTX *tls;
    struct fleet_expelled expelled;
    char expelled_digest[FLEET_HEX_BYTES];
    char controls[CONTROLS_MAX][256];
    unsigned control_count, control; /* the one that is asked */
    uint64_t refused;
    char why[FLEET_WHY_MAX];
    struct edge_fleet_health health;
    struct edge_fleet_secrets *secrets;
    int64_t again_ms; /* how long control may keep us waiting */
    sk_unix_s renew_after;
    bool out_of_touch;
    /* from the thread to the main one and back; ordered by the post and by DONE */
    struct io_task task;
    sk_str pending;
    struct sk_buf report;
    _Atomic sk_err
        applied; /* released and acquired around DONE, of whose timed wait ThreadSanitizer knows nothing */
    sem_t done;
    /* written by the thread, read by any: only a figure, so relaxed */
    _Atomic uint64_t in_force;
    _Atomic bool stopping;
};

sk_str edge_fleet_pending(const struct edge_fleet *fleet) { return fleet ? fleet->pending : (sk_str){0}; }

double edge_fleet_number(const struct edge_fleet *fleet) {
    return fleet ? (double)atomic_load_explicit(&fleet->in_force, memory_order_relaxed) : 0;
}

static bool stopping(const struct edge_fleet *fleet) {
    return atomic_load_explicit(&fleet->stopping, memory_order_relaxed); /* orders nothing else */
}

/* --- asking control ------------------------------------------------------------------------------------------ */

static sk_err ask(struct edge_fleet *fleet, const char *method, sk_str target, sk_str body,
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

static sk_err use_identity(struct edge_fleet *fleet) {
    struct fleet_identity *identity;
    SSL_CTX *tls;
    sk_err err = fleet_identity_load(sk_str_from_c(fleet->folder), &identity);
    if (err) return err;
    err = fleet_identity_context(identity, FLEET_ASKING, &tls);
    if (err) {
        fleet_identity_unref(identity);
        return err;
    }
    fleet_identity_unref(fleet->identity);
    SSL_CTX_free(fleet->tls);
    fleet->identity = identity;
    fleet->tls = tls;
    return SK_OK;
}

/* --- what control orders ------------------------------------------------------------------------------------- */

static void refuse(struct edge_fleet *fleet, uint64_t number, const char *why) {
    fleet->refused = number;
    snprintf(fleet->why, sizeof fleet->why, "%s", why);
    for (char *c = fleet->why; *c; c++)
        if (*c < 0x20 || *c > 0x7e) *c = ' ';
    observe_count(fleet->metrics, OBSERVE_FLEET_REFUSED);
    sk_log(SK_LOG_ERROR, "fleet", "configuration %llu is refused, the old one stays in force: %s",
           (unsigned long long)number, fleet->why);
}

static void apply_on_main(struct io_task *task) {
    struct edge_fleet *fleet = SK_CONTAINER_OF(task, struct edge_fleet, task);
    sk_err err = edge_reload(fleet->process, &fleet->report);
    fleet->pending = (sk_str){0};
    atomic_store_explicit(&fleet->applied, err, memory_order_release);
    sem_post(&fleet->done);
}

/* Waits for the main thread, unless that ends meanwhile; then the task may still run, so FLEET outlives the loop. */
static sk_err put_in_force(struct edge_fleet *fleet, sk_str body) {
    enum { LOOK_NS = 100 * 1000 * 1000 };
    sk_buf_clear(&fleet->report);
    fleet->pending = body;
    fleet->task.run = apply_on_main;
    io_loop_post(fleet->process->loop, &fleet->task);
    while (!stopping(fleet)) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until); /* the wall clock may step */
        until.tv_nsec += LOOK_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (sem_clockwait(&fleet->done, CLOCK_MONOTONIC, &until) == 0)
            return atomic_load_explicit(&fleet->applied, memory_order_acquire);
    }
    return SK_ERR_CANCELLED;
}

static void use_snapshot(struct edge_fleet *fleet, const struct fleet_snapshot *snapshot, sk_str bytes) {
    sk_err err = put_in_force(fleet, snapshot->body);
    if (err == SK_ERR_CANCELLED || err == SK_ERR_BUSY) return; /* the process ends */
    if (err) {
        sk_str told = sk_buf_str(&fleet->report);
        char why[FLEET_WHY_MAX];
        snprintf(why, sizeof why, "%.*s", (int)SK_MIN(told.len, sizeof why - 1), told.len ? told.data : "");
        refuse(fleet, snapshot->number, told.len ? why : sk_err_text(err));
        return;
    }
    atomic_store_explicit(&fleet->in_force, snapshot->number, memory_order_relaxed);
    edge_fleet_secrets_settle(fleet->secrets);
    observe_count(fleet->metrics, OBSERVE_FLEET_CONFIGURATIONS);
    err = fleet_snapshot_keep(sk_str_from_c(fleet->folder), bytes);
    if (err)
        sk_log(SK_LOG_ERROR, "fleet", "configuration %llu is in force, but not kept on disk: %s",
               (unsigned long long)snapshot->number, sk_err_text(err));
    else
        sk_log(SK_LOG_INFO, "fleet", "configuration %llu (%s) by %.*s is in force",
               (unsigned long long)snapshot->number, snapshot->digest, SK_STR_ARGS(snapshot->author));
}

static sk_err take_snapshot(struct edge_fleet *fleet, uint64_t number) {
    uint64_t in_force = atomic_load_explicit(&fleet->in_force, memory_order_relaxed);
    struct fleet_snapshot snapshot;
    struct sk_buf bytes;
    char target[64];
    uint16_t status = 0;
    if (number <= in_force || number <= fleet->refused) return SK_OK;
    snprintf(target, sizeof target, "/node/snapshot?number=%llu", (unsigned long long)number);
    sk_buf_init(&bytes, FLEET_SNAPSHOT_MAX);
    sk_err err = ask(fleet, "GET", sk_str_from_c(target), (sk_str){0}, 0, &status, &bytes);
    if (err == SK_ERR_TOO_LARGE) {
        refuse(fleet, number, "it is larger than any configuration");
    } else if (!err && status == 200) {
        err =
            fleet_snapshot_check(fleet->identity, sk_buf_str(&bytes), in_force, &fleet->expelled, &snapshot);
        if (!err && snapshot.number != number) err = SK_ERR_STALE;
        if (err)
            refuse(fleet, number, sk_err_text(err));
        else
            use_snapshot(fleet, &snapshot, sk_buf_str(&bytes));
        err = SK_OK;
    }
    sk_buf_free(&bytes);
    return err == SK_ERR_TOO_LARGE ? SK_OK : err;
}

static void take_expelled(struct edge_fleet *fleet, sk_str text) {
    struct fleet_expelled expelled;
    char path[FLEET_PATH_BYTES], hex[FLEET_HEX_BYTES];
    uint8_t digest[FLEET_DIGEST_BYTES];
    fleet_digest(text, digest);
    fleet_hex(digest, hex);
    if (!strcmp(hex, fleet->expelled_digest)) return;
    sk_err err = fleet_expelled_parse(text, &expelled);
    if (err)
        return sk_log(SK_LOG_ERROR, "fleet", "the list of expelled nodes is not good: %s", sk_err_text(err));
    fleet_expelled_free(&fleet->expelled);
    fleet->expelled = expelled;
    memcpy(fleet->expelled_digest, hex, sizeof hex);
    err = fleet_path(sk_str_from_c(fleet->folder), FLEET_FILE_EXPELLED, path);
    if (!err) err = io_file_replace(path, text.data, text.len, 0600);
    if (err) sk_log(SK_LOG_ERROR, "fleet", "the list of expelled nodes is not kept: %s", sk_err_text(err));
}

/* Control's wish outlives a restart, also one without control. */
static void take_drain(struct edge_fleet *fleet, bool drain) {
    char path[FLEET_PATH_BYTES];
    if (drain == edge_is_withdrawn(EDGE_WITHDRAWN_BY_CONTROL)) return;
    edge_withdraw(EDGE_WITHDRAWN_BY_CONTROL, drain);
    sk_log(SK_LOG_INFO, "fleet",
           drain ? "control wants no clients here" : "control wants clients here again");
    sk_err err = fleet_path(sk_str_from_c(fleet->folder), FLEET_FILE_DRAINED, path);
    if (!err && drain) err = io_file_replace(path, "", 0, 0600);
    if (!err && !drain && unlink(path) != 0) err = sk_err_from_errno(errno);
    if (err) sk_log(SK_LOG_ERROR, "fleet", "that is forgotten at a restart: %s", sk_err_text(err));
}

/* KEY NULL: the key and certificate that we have. */
static sk_err save_identity(struct edge_fleet *fleet, EVP_PKEY *key, sk_str certificate, sk_str roots) {
    struct sk_buf node;
    char path[FLEET_PATH_BYTES];
    sk_str folder = sk_str_from_c(fleet->folder);
    sk_buf_init(&node, 0);
    sk_err err = key ? fleet_node_pem(key, certificate, &node) : fleet_path(folder, FLEET_FILE_NODE, path);
    if (!err && !key) err = io_file_load(path, FLEET_PEM_MAX, &node);
    if (!err) err = fleet_identity_save(folder, sk_buf_str(&node), roots);
    if (!err) err = use_identity(fleet);
    OPENSSL_cleanse(node.data, node.capacity);
    sk_buf_free(&node);
    return err;
}

static void take_roots(struct edge_fleet *fleet, sk_str roots) {
    if (sk_str_eq(roots, fleet_identity_roots(fleet->identity))) return;
    sk_err err = save_identity(fleet, NULL, (sk_str){0}, roots);
    if (err)
        sk_log(SK_LOG_ERROR, "fleet", "the fleet's new roots cannot be used: %s", sk_err_text(err));
    else
        sk_log(SK_LOG_INFO, "fleet", "the fleet's roots have changed");
}

static sk_err renew(struct edge_fleet *fleet) {
    struct sk_buf request, answer;
    struct sk_arena arena;
    struct fleet_joined joined;
    EVP_PKEY *key = NULL;
    uint16_t status = 0;
    sk_buf_init(&request, FLEET_PEM_MAX);
    sk_buf_init(&answer, FLEET_MESSAGE_MAX);
    sk_arena_init(&arena, 4096, 0);
    fleet->renew_after = sk_wall_now_s() + RENEW_AGAIN_S;
    sk_err err = fleet_key_request(&key, &request);
    if (!err) err = ask(fleet, "POST", SK_STR("/node/renew"), sk_buf_str(&request), 0, &status, &answer);
    if (!err && status != 200) err = SK_ERR_DENIED;
    if (!err) err = fleet_joined_parse(sk_buf_str(&answer), &arena, &joined);
    if (!err) err = fleet_bus_key_save(sk_str_from_c(fleet->folder), joined.bus_key);
    if (!err) err = save_identity(fleet, key, joined.certificate, joined.roots);
    if (!err) {
        fleet->renew_after = 0;
        sk_log(SK_LOG_INFO, "fleet", "there is another certificate for us");
    }
    EVP_PKEY_free(key);
    sk_buf_free(&request);
    sk_buf_free(&answer);
    sk_arena_free(&arena);
    return err;
}

static sk_err get(void *arg, const char *target, struct sk_buf *out) {
    uint16_t status = 0;
    sk_err err = ask(arg, "GET", sk_str_from_c(target), (sk_str){0}, 0, &status, out);
    return err || status == 200 ? err : SK_ERR_DENIED;
}

/* The configuration before the roots: it may be signed under one that goes. Certificates before the configuration that
 * wants them; what fails there is tried again and keeps nothing else waiting. */
static sk_err obey(struct edge_fleet *fleet, const struct fleet_orders *orders) {
    sk_unix_s now = sk_wall_now_s();
    fleet->again_ms = (int64_t)SK_MIN(orders->again_ms, 60000);
    take_expelled(fleet, orders->expelled);
    take_drain(fleet, orders->drain);
    sk_err missing = edge_fleet_secrets_take(fleet->secrets, orders->secrets, get, fleet);
    sk_err err = take_snapshot(fleet, orders->number);
    if (err) return err;
    take_roots(fleet, orders->roots);
    bool due = orders->renew || now >= fleet_identity_renew_at(fleet->identity);
    err = due && now >= fleet->renew_after ? renew(fleet) : SK_OK;
    return err ? err : missing;
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
        err = ask(fleet, "POST", SK_STR("/node/report"), sk_buf_str(&body), fleet->again_ms + MARGIN_MS,
                  &status, &answer);
    if (!err && status != 200) err = status == 403 || status == 401 ? SK_ERR_DENIED : SK_ERR_BUSY;
    if (!err) err = fleet_orders_parse(sk_buf_str(&answer), &arena, &orders);
    if (!err) err = obey(fleet, &orders);
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
    while (!stopping(fleet)) {
        sk_err err = report_once(fleet);
        if (stopping(fleet)) break;
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
        if (!line.len || line.len >= sizeof fleet->controls[0] || fleet->control_count == CONTROLS_MAX)
            continue;
        memcpy(fleet->controls[fleet->control_count++], line.data, line.len);
    }
    sk_buf_free(&text);
    return err || fleet->control_count ? err : SK_ERR_NOT_FOUND;
}

static void read_expelled(struct edge_fleet *fleet) {
    char path[FLEET_PATH_BYTES];
    uint8_t digest[FLEET_DIGEST_BYTES];
    struct sk_buf text;
    sk_buf_init(&text, 0);
    if (fleet_path(sk_str_from_c(fleet->folder), FLEET_FILE_EXPELLED, path) == SK_OK &&
        io_file_load(path, FLEET_MESSAGE_MAX, &text) == SK_OK &&
        fleet_expelled_parse(sk_buf_str(&text), &fleet->expelled) == SK_OK) {
        fleet_digest(sk_buf_str(&text), digest);
        fleet_hex(digest, fleet->expelled_digest);
    }
    sk_buf_free(&text);
}

static void read_drained(struct edge_fleet *fleet) {
    char path[FLEET_PATH_BYTES];
    if (fleet_path(sk_str_from_c(fleet->folder), FLEET_FILE_DRAINED, path) == SK_OK)
        edge_withdraw(EDGE_WITHDRAWN_BY_CONTROL, access(path, F_OK) == 0);
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
    sem_init(&fleet->done, 0, 0);
    atomic_init(&fleet->in_force, process->start->fleet_number);
    fleet->stop_fd = eventfd(0, EFD_CLOEXEC);
    sk_err err = fleet->stop_fd < 0 ? SK_ERR_FULL : use_identity(fleet);
    if (!err) err = read_controls(fleet);
    if (!err) err = edge_fleet_secrets_create(process, fleet->folder, &fleet->secrets);
    if (!err) read_expelled(fleet);
    if (!err) read_drained(fleet);
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
    if (!fleet || stopping(fleet)) return;
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
    sem_destroy(&fleet->done);
    free(fleet);
}
