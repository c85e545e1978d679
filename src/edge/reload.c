#include "edge/reload.h"

#include "base/log.h"
#include "edge/certificates.h"
#include "edge/fleet.h"
#include "edge/fleet_config.h"
#include "edge/settle.h"

static sk_err read_file(struct edge_process *process, struct config **out_config, struct sk_buf *report) {
    const struct config *old = process->snapshot->config;
    struct config *config = NULL;
    struct config_problems problems;
    config_problems_init(&problems);
    sk_err err =
        edge_fleet_config_load(old->path.data, edge_fleet_pending(process->fleet), &config, &problems, NULL);
    if (!err && process->start->arguments) {
        err = config_apply_arguments(config, process->start->arguments, &problems);
        if (err) config_unref(config);
    }
    if (err) {
        sk_err appended = sk_buf_append(report, sk_buf_str(&problems.text));
        if (appended) err = appended;
    } else {
        config->number = old->number + 1;
        *out_config = config;
    }
    config_problems_free(&problems);
    return err;
}

/* What a running process cannot change. */
static sk_err note_fixed(const struct config *old, const struct config *config, struct sk_buf *report) {
    const struct {
        const char *name;
        bool changed;
    } fixed[] = {
        {"threads", old->threads != config->threads},
        {"memory", old->memory_bytes != config->memory_bytes},
        {"the largest object", old->max_object_bytes != config->max_object_bytes},
        {"disk", !config_disk_same(&old->disk, &config->disk)},
        {"user", !sk_str_eq(old->user, config->user)},
        {"the admin address", !sk_str_eq(old->admin, config->admin)},
        {"resolver", !sk_str_eq(old->resolver, config->resolver)},
    };
    sk_err err = SK_OK;
    for (size_t i = 0; i < SK_COUNT(fixed) && !err; i++)
        if (fixed[i].changed)
            err = sk_buf_printf(report, "%s: changes at the next start or upgrade\n", fixed[i].name);
    return err;
}

static sk_err change_log(struct edge_process *process, const struct config *config) {
    return access_log_change(process->log, config->access_log.len ? config->access_log.data : NULL,
                             config->access_log_format == CONFIG_LOG_COMMON ? ACCESS_LOG_COMMON
                                                                            : ACCESS_LOG_JSON);
}

static bool same_log(const struct config *a, const struct config *b) {
    return sk_str_eq(a->access_log, b->access_log) && a->access_log_format == b->access_log_format;
}

static sk_err told_address(struct sk_buf *report, const char *what, const struct io_addr *addr, sk_err err) {
    char text[IO_ADDR_TEXT_BYTES];
    io_addr_format(addr, text);
    return sk_buf_printf(report, "%s %s: %s\n", what, text, sk_err_text(err));
}

/* The sockets change hands only when all of the new ones are there. What waits at those that go is taken, by the old
 * configuration; nobody accepts from new ones yet. */
static sk_err change_listeners(struct edge_process *process, const struct config *config,
                               struct sk_buf *report) {
    struct edge_listeners fresh;
    const struct io_addr *failed = NULL;
    sk_err err = edge_listeners_change(&process->listeners, config, process->worker_count, &fresh, &failed);
    if (err && failed) {
        sk_err appended = told_address(report, "cannot listen on", failed, err);
        return appended ? appended : err;
    }
    if (err) return err;
    struct edge_listeners unwanted = process->listeners;
    process->listeners = fresh;
    for (unsigned i = 0; i < unwanted.count; i++)
        if (unwanted.items[i].fds) edge_process_refuse_from(process, &unwanted.items[i]);
    edge_listeners_free(&unwanted);
    return SK_OK;
}

/* Behind the snapshot, so that no connection is taken for what the address was before. */
static sk_err accept_from_new(struct edge_process *process, struct sk_buf *report) {
    sk_err result = SK_OK;
    for (unsigned i = 0; i < process->listeners.count; i++) {
        struct edge_listener *listener = &process->listeners.items[i];
        if (!listener->unused && !listener->quic_unused) continue;
        sk_err err = edge_process_accept_from(process, listener);
        if (err) result = told_address(report, "not every thread accepts from", &listener->addr, err);
    }
    return result;
}

/* An origin group could not be made: the certificates that it trusts are what it reads. */
static sk_err note_ca_files(const struct config *config, struct sk_buf *report) {
    sk_err err = SK_OK;
    for (uint32_t s = 0; s < config->site_count; s++)
        for (uint32_t o = 0; o < config->sites[s].origin_count && !err; o++) {
            const struct config_origin *origin = &config->sites[s].origins[o];
            const sk_str files[] = {origin->ca_file, origin->client_cert};
            for (size_t i = 0; i < SK_COUNT(files) && !err; i++)
                if (files[i].len)
                    err = sk_buf_printf(report, "site %.*s: %s %.*s: cannot be used\n",
                                        SK_STR_ARGS(config->sites[s].name), i ? "client_cert" : "ca_file",
                                        SK_STR_ARGS(files[i]));
        }
    return err ? err : SK_ERR_INVALID;
}

static sk_err put_in_force(struct edge_process *process, struct config *config, struct sk_buf *report) {
    const struct config *old = process->snapshot->config;
    struct edge_snapshot *snapshot;
    sk_err err = edge_snapshot_create(config, process->registry, process->tickets, report, &snapshot);
    if (err) {
        if (err == SK_ERR_INVALID && !sk_buf_len(report)) err = note_ca_files(config, report);
        config_unref(config);
        return err;
    }
    if ((err = edge_fleet_keep_pending(process->fleet, report)) != SK_OK) {
        edge_snapshot_unref(snapshot);
        return err;
    }
    bool log_changed = !same_log(old, config);
    if (log_changed && (err = change_log(process, config)) != SK_OK) {
        sk_err appended = sk_buf_printf(report, "access log: %s\n", sk_err_text(err));
        if (appended) err = appended;
    } else if ((err = change_listeners(process, config, report)) != SK_OK && log_changed) {
        if (change_log(process, old) != SK_OK)
            sk_log(SK_LOG_ERROR, "edge", "the access log cannot be opened again");
    }
    if (!err) err = note_fixed(old, config, report);
    if (err) {
        edge_fleet_drop_pending(process->fleet);
        edge_snapshot_unref(snapshot);
        return err;
    }
    edge_process_use_snapshot(process, snapshot);
    return accept_from_new(process, report);
}

sk_err edge_reload(struct edge_process *process, struct sk_buf *report) {
    struct config *config;
    sk_err err;
    if (!process->snapshot->config->path.len) {
        err = sk_buf_append(report, SK_STR("started without a file: there is nothing to read again\n"));
        return err ? err : SK_ERR_UNSUPPORTED;
    }
    if (process->stage != EDGE_RUNNING) {
        err = sk_buf_append(report, SK_STR("the edge is stopping\n"));
        return err ? err : SK_ERR_BUSY;
    }
    err = read_file(process, &config, report);
    if (!err) err = put_in_force(process, config, report);
    if (!err && !edge_settle(process))
        sk_log(SK_LOG_WARN, "edge", "a worker is held up: it takes the configuration when it can");
    observe_count(process->metrics, err ? OBSERVE_RELOADS_REFUSED : OBSERVE_RELOADS);
    if (!err)
        sk_log(SK_LOG_INFO, "edge", "configuration %llu is in force",
               (unsigned long long)process->snapshot->config->number);
    return err;
}

void edge_reload_logged(struct edge_process *process) {
    struct sk_buf report;
    if (!process->snapshot->config->path.len) return; /* SIGHUP had only the log to open again */
    sk_buf_init(&report, 0);
    sk_err err = edge_reload(process, &report);
    edge_log_lines(&report, err ? SK_LOG_ERROR : SK_LOG_WARN, "reload");
    if (err)
        sk_log(SK_LOG_ERROR, "edge", "reload refused (%s): the old configuration stays in force",
               sk_err_text(err));
    sk_buf_free(&report);
}
