#include "edge/certificates.h"

#include "edge/settle.h"

#define CHECK_MS (30 * 1000)

void edge_log_lines(const struct sk_buf *report, enum sk_log_level level, const char *what) {
    sk_str text = sk_buf_str(report), line;
    while (text.len && sk_str_cut(&text, '\n', &line))
        if (line.len) sk_log(level, "edge", "%s: %.*s", what, SK_STR_ARGS(line));
}

static void warn_of_certificates(const struct edge_snapshot *snapshot) {
    struct sk_buf report;
    sk_buf_init(&report, 0);
    if (snapshot->tls.store && edge_tls_warn(snapshot->config, snapshot->tls.store,
                                             sk_wall_now_ns() / SK_NS_PER_S, &report) == SK_OK)
        edge_log_lines(&report, SK_LOG_WARN, "certificates");
    sk_buf_free(&report);
}

sk_err edge_first_snapshot(struct edge_process *process, struct config *config) {
    struct sk_buf report;
    sk_buf_init(&report, 0);
    sk_err err =
        edge_snapshot_create(config, process->registry, process->tickets, &report, &process->snapshot);
    edge_log_lines(&report, SK_LOG_ERROR, "certificates");
    if (!err) warn_of_certificates(process->snapshot);
    sk_buf_free(&report);
    return err;
}

/* The same configuration with the certificates as they are now. */
static sk_err renew_certificates(struct edge_process *process, struct sk_buf *report) {
    struct config *config = config_ref(process->snapshot->config);
    struct edge_snapshot *snapshot;
    sk_err err = edge_snapshot_create(config, process->registry, process->tickets, report, &snapshot);
    if (err) {
        config_unref(config);
        return err;
    }
    edge_process_use_snapshot(process, snapshot);
    if (!edge_settle(process))
        sk_log(SK_LOG_WARN, "edge", "a worker is held up: it takes the certificates when it can");
    return SK_OK;
}

void edge_certificates_look(struct edge_process *process) {
    struct sk_buf report;
    if (process->stage != EDGE_RUNNING || !process->snapshot->tls.store) return;
    uint64_t files = edge_tls_files(process->snapshot->config);
    if (files == process->snapshot->tls.files || files == process->refused_files) return;
    sk_buf_init(&report, 0);
    sk_err err = renew_certificates(process, &report);
    process->refused_files = err ? files : 0; /* told once, not every minute */
    edge_log_lines(&report, SK_LOG_ERROR, "certificates");
    if (err)
        sk_log(SK_LOG_ERROR, "edge", "changed certificates are refused (%s): the old ones stay in force",
               sk_err_text(err));
    else
        sk_log(SK_LOG_INFO, "edge", "certificates were read again");
    if (!err) warn_of_certificates(process->snapshot);
    sk_buf_free(&report);
}

static void on_certificates_timer(struct io_timer *timer) {
    struct edge_process *process = SK_CONTAINER_OF(timer, struct edge_process, certificates_timer);
    if (process->stage != EDGE_RUNNING) return;
    edge_certificates_look(process);
    edge_certificates_watch(process);
}

void edge_certificates_watch(struct edge_process *process) {
    io_timer_start(process->loop, &process->certificates_timer,
                   io_loop_now(process->loop) + CHECK_MS * SK_NS_PER_MS, on_certificates_timer);
}
