#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/fleet_private.h"
#include "edge/reload.h"
#include "fleet/snapshot.h"

sk_str edge_fleet_pending(const struct edge_fleet *fleet) { return fleet ? fleet->pending : (sk_str){0}; }

/* Said once, however often it is tried. */
static void refuse(struct edge_fleet *fleet, uint64_t number, const char *why) {
    char before[FLEET_WHY_MAX];
    bool known = fleet->refused == number;
    memcpy(before, fleet->why, sizeof before);
    fleet->refused = number;
    snprintf(fleet->why, sizeof fleet->why, "%s", why);
    for (char *c = fleet->why; *c; c++)
        if (*c < 0x20 || *c > 0x7e) *c = ' ';
    if (known && !strcmp(before, fleet->why)) return;
    observe_count(fleet->metrics, OBSERVE_FLEET_REFUSED);
    sk_log(SK_LOG_ERROR, "fleet", "configuration %llu is refused, the old one stays in force: %s",
           (unsigned long long)number, fleet->why);
}

/* ---- on disk before it is in force ------------------------------------------------------------------------------- */

sk_err edge_fleet_keep_pending(struct edge_fleet *fleet, struct sk_buf *report) {
    if (!fleet || !fleet->pending.len) return SK_OK;
    sk_str folder = sk_str_from_c(fleet->folder);
    sk_buf_clear(&fleet->before);
    sk_err err = fleet_snapshot_read(folder, &fleet->before);
    if (err) sk_buf_clear(&fleet->before); /* there was none, or none that a start could use */
    err = fleet_snapshot_keep(folder, fleet->pending_whole);
    fleet->unkept = err != SK_OK;
    if (!err) return SK_OK;
    sk_err told = sk_buf_printf(report, "it cannot be kept on disk: %s\n", sk_err_text(err));
    return told ? told : err;
}

void edge_fleet_drop_pending(struct edge_fleet *fleet) {
    char path[FLEET_PATH_BYTES];
    if (!fleet || !fleet->pending.len) return;
    sk_str folder = sk_str_from_c(fleet->folder);
    sk_err err;
    if (sk_buf_len(&fleet->before))
        err = fleet_snapshot_keep(folder, sk_buf_str(&fleet->before));
    else if ((err = fleet_path(folder, FLEET_FILE_SNAPSHOT, path)) == SK_OK && unlink(path) != 0)
        err = sk_err_from_errno(errno);
    if (err)
        sk_log(SK_LOG_ERROR, "fleet", "a start would begin with a configuration that is refused: %s",
               sk_err_text(err));
}

/* ---- in force ---------------------------------------------------------------------------------------------------- */

static void apply_on_main(struct io_task *task) {
    struct edge_fleet *fleet = SK_CONTAINER_OF(task, struct edge_fleet, task);
    sk_err err = edge_reload(fleet->process, &fleet->report);
    fleet->pending = fleet->pending_whole = (sk_str){0};
    atomic_store_explicit(&fleet->applied, err, memory_order_release);
    sem_post(&fleet->done);
}

/* Waits for the main thread, unless that ends meanwhile; then the task may still run, so FLEET outlives the loop. */
static sk_err put_in_force(struct edge_fleet *fleet, sk_str body, sk_str whole) {
    enum { LOOK_NS = 100 * 1000 * 1000 };
    sk_buf_clear(&fleet->report);
    fleet->unkept = false;
    fleet->pending = body;
    fleet->pending_whole = whole;
    fleet->task.run = apply_on_main;
    io_loop_post(fleet->process->loop, &fleet->task);
    while (!edge_fleet_stopping(fleet)) {
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
    sk_err err = put_in_force(fleet, snapshot->body, bytes);
    if (err == SK_ERR_CANCELLED) return;              /* then UNKEPT may still be written */
    if (err == SK_ERR_BUSY && !fleet->unkept) return; /* the process ends */
    if (err) {
        sk_str told = sk_buf_str(&fleet->report);
        char why[FLEET_WHY_MAX];
        snprintf(why, sizeof why, "%.*s", (int)SK_MIN(told.len, sizeof why - 1), told.len ? told.data : "");
        refuse(fleet, snapshot->number, told.len ? why : sk_err_text(err));
        fleet->again = fleet->unkept;
        return;
    }
    atomic_store_explicit(&fleet->in_force, snapshot->number, memory_order_relaxed);
    edge_fleet_secrets_settle(fleet->secrets);
    observe_count(fleet->metrics, OBSERVE_FLEET_CONFIGURATIONS);
    if (fleet->refused == snapshot->number) fleet->refused = fleet->why[0] = 0;
    sk_log(SK_LOG_INFO, "fleet", "configuration %llu (%s) by %.*s is in force",
           (unsigned long long)snapshot->number, snapshot->digest, SK_STR_ARGS(snapshot->author));
}

sk_err edge_fleet_take_snapshot(struct edge_fleet *fleet, uint64_t number) {
    uint64_t in_force = atomic_load_explicit(&fleet->in_force, memory_order_relaxed);
    struct fleet_snapshot snapshot;
    struct sk_buf bytes;
    char target[64];
    uint16_t status = 0;
    if (number <= in_force || number < fleet->refused) return SK_OK;
    if (number == fleet->refused && !fleet->again) return SK_OK;
    fleet->again = false;
    snprintf(target, sizeof target, "/node/snapshot?number=%llu", (unsigned long long)number);
    sk_buf_init(&bytes, FLEET_SNAPSHOT_MAX);
    sk_err err = edge_fleet_ask(fleet, "GET", sk_str_from_c(target), (sk_str){0}, 0, &status, &bytes);
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
