#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/acme_private.h"
#include "fleet/admin_json.h"

#define LOCK_AGAIN_S 10

/* --- whose the folder is ------------------------------------------------------------------------------------ */

static sk_err make_folder(const char *path) {
    struct stat st;
    if (mkdir(path, 0700) < 0 && errno != EEXIST) return sk_err_from_errno(errno);
    if (stat(path, &st) < 0) return sk_err_from_errno(errno);
    bool open_to_others = (st.st_mode & 077) != 0; /* keys are in it */
    return open_to_others && chmod(path, 0700) < 0 ? sk_err_from_errno(errno) : SK_OK;
}

static void let_go(struct edge_acme *acme) {
    if (acme->lock_fd >= 0) close(acme->lock_fd);
    acme->lock_fd = -1;
}

/* Of all processes that share the folder one orders: the kernel's lock ends with it, whatever happens. */
static bool take_lock(struct edge_acme *acme) {
    const char *state = edge_acme_settings(acme)->state.data;
    char path[ACME_PATH_BYTES];
    if (acme->lock_fd >= 0) return true;
    sk_err err = make_folder(state);
    if (!err && snprintf(path, sizeof path, "%s/lock", state) >= (int)sizeof path) err = SK_ERR_TOO_LARGE;
    int fd = err ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (!err && fd < 0) err = sk_err_from_errno(errno);
    if (err) {
        SK_LOG_LIMITED(SK_LOG_ERROR, "acme", "nothing can be ordered: %s: %s", state, sk_err_text(err));
        return false;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        close(fd);
        return false;
    }
    acme->lock_fd = fd;
    return true;
}

/* --- the orders of a configuration -------------------------------------------------------------------------- */

static void drop_orders(struct edge_acme *acme) {
    for (uint32_t i = 0; i < acme->order_count; i++) observe_gauge_remove(&acme->orders[i].gauge);
    free(acme->orders);
    acme->orders = NULL;
    acme->order_count = 0;
    config_unref(acme->config);
    acme->config = NULL;
}

/* The orders of the configuration in force, with what their files remember. */
static void follow_config(struct edge_acme *acme) {
    struct config *config = acme->process->snapshot->config;
    uint32_t count = config->acme.certificate_count;
    if (config == acme->config) return;
    drop_orders(acme);
    let_go(acme); /* the folder may be another */
    if (count && !(acme->orders = calloc(count, sizeof *acme->orders))) {
        sk_log(SK_LOG_ERROR, "acme", "nothing is ordered: %s", sk_err_text(SK_ERR_NO_MEMORY));
        return;
    }
    acme->config = config_ref(config);
    acme->order_count = count;
    for (uint32_t i = 0; i < count; i++)
        edge_acme_order_begin(&acme->orders[i], &config->acme.certificates[i]);
}

/* --- the story ------------------------------------------------------------------------------------------------ */

/* Everything that is due; when the next thing is. */
static sk_time_ns attend_all(struct edge_acme *acme) {
    sk_unix_s next = INT64_MAX, now;
    acme->again = false;
    follow_config(acme);
    if (!acme->order_count) {
        let_go(acme);
        return SK_TIME_NEVER;
    }
    bool ours = acme->lock_fd >= 0, taken = take_lock(acme);
    for (uint32_t i = 0; i < acme->order_count && !ours; i++) edge_acme_order_refresh(&acme->orders[i]);
    if (!taken) return sk_time_now() + LOCK_AGAIN_S * SK_NS_PER_S;
    for (uint32_t i = 0; i < acme->order_count && !acme->stopping && !acme->again; i++)
        edge_acme_order_attend(acme, &acme->orders[i]);
    if (acme->again) return sk_time_now();
    now = sk_wall_now_s();
    for (uint32_t i = 0; i < acme->order_count; i++) next = SK_MIN(next, acme->orders[i].state.next);
    /* looked at again within the hour: the wall clock may step */
    int64_t wait_s = SK_MIN(SK_MAX(next - now, 1), 3600);
    return sk_time_now() + wait_s * SK_NS_PER_S;
}

static void run_story(void *arg) {
    struct edge_acme *acme = arg;
    acme->story = io_fiber_self();
    io_fiber_yield(); /* the edge is to serve first */
    while (!acme->stopping) {
        sk_time_ns until = attend_all(acme);
        if (acme->stopping) break;
        (void)io_fiber_park(until);
    }
    let_go(acme);
    acme->story = NULL;
    edge_process_look_whether_done(acme->process);
}

void edge_acme_config_changes(struct edge_acme *acme) {
    if (!acme || !acme->story) return;
    acme->again = true;
    io_fiber_wake(acme->story);
}

uint32_t edge_acme_retry(struct edge_acme *acme) {
    uint32_t n = 0;
    for (uint32_t i = 0; acme && acme->lock_fd >= 0 && i < acme->order_count; i++)
        if (acme->orders[i].state.failures) {
            acme->orders[i].state.next = 0;
            n++;
        }
    edge_acme_config_changes(acme);
    return n;
}

/* --- life ------------------------------------------------------------------------------------------------------- */

void edge_acme_free(struct edge_acme *acme) {
    if (!acme || acme->story) return; /* its loop was stopped amid an order: the process ends */
    drop_orders(acme);
    let_go(acme);
    if (acme->stop_fd >= 0) close(acme->stop_fd);
    acme_client_free(acme->client);
    free(acme);
}

sk_err edge_acme_start(struct edge_process *process, struct edge_acme **out_acme) {
    struct edge_acme *acme = calloc(1, sizeof *acme);
    if (!acme) return SK_ERR_NO_MEMORY;
    *acme = (struct edge_acme){.process = process, .lock_fd = -1, .stop_fd = eventfd(0, EFD_CLOEXEC)};
    sk_err err =
        acme->stop_fd < 0 ? sk_err_from_errno(errno) : acme_client_create(process->loop, &acme->client);
    if (!err) err = io_fiber_spawn(process->loop, "acme", run_story, acme, NULL);
    if (err)
        edge_acme_free(acme);
    else
        *out_acme = acme;
    return err;
}

void edge_acme_stop(struct edge_acme *acme) {
    if (!acme || acme->stopping) return;
    acme->stopping = true;
    if (eventfd_write(acme->stop_fd, 1) < 0) sk_log(SK_LOG_WARN, "acme", "an order cannot be told to end");
    acme_client_stop(acme->client);
    edge_acme_config_changes(acme);
}

bool edge_acme_busy(const struct edge_acme *acme) { return acme && acme->story; }

/* --- for people --------------------------------------------------------------------------------------------- */

static yyjson_mut_val *order_json(yyjson_mut_doc *doc, const struct edge_acme_order *order) {
    yyjson_mut_val *json = yyjson_mut_obj(doc), *names = yyjson_mut_arr(doc);
    for (uint32_t i = 0; i < order->config->name_count; i++)
        yyjson_mut_arr_append(names, fleet_json_text(doc, order->config->names[i]));
    yyjson_mut_obj_add_val(doc, json, "names", names);
    yyjson_mut_obj_add_str(doc, json, "challenge",
                           order->config->challenge == CONFIG_ACME_DNS_01 ? "dns-01" : "http-01");
    fleet_json_add(doc, json, "file", order->config->file);
    yyjson_mut_obj_add_bool(doc, json, "usable", order->held.usable);
    yyjson_mut_obj_add_int(doc, json, "not_after", order->held.not_after);
    yyjson_mut_obj_add_str(doc, json, "last", acme_outcome_word(order->state.last));
    fleet_json_add(doc, json, "why", sk_str_from_c(order->why));
    yyjson_mut_obj_add_int(doc, json, "last_at", order->state.last_at);
    yyjson_mut_obj_add_int(doc, json, "next", order->state.next);
    yyjson_mut_obj_add_uint(doc, json, "failures", order->state.failures);
    return json;
}

yyjson_mut_val *edge_acme_json(const struct edge_acme *acme, yyjson_mut_doc *doc) {
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    for (uint32_t i = 0; acme && i < acme->order_count; i++)
        yyjson_mut_arr_append(list, order_json(doc, &acme->orders[i]));
    return list;
}
