/* The status of one certificate: what is remembered of it, what the responder is asked, what comes of it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/random.h"
#include "edge/ocsp_private.h"
#include "http/date.h"
#include "io/file.h"
#include "origin/ask.h"

#define TIMEOUT_MS 10000

/* --- what is remembered --------------------------------------------------------------------------------- */

/* A half of its life is over: another one is due at once, whatever the pace. */
static bool is_old(const struct wire_ocsp_answer *answer, sk_unix_s now) {
    return now - answer->this_update > answer->next_update - now;
}

static void take(struct edge_ocsp_status *status, const struct wire_ocsp_answer *answer) {
    status->answer = *answer;
    atomic_store_explicit(&status->since, answer->this_update, memory_order_relaxed);
}

/* What an earlier process has left, if it may be shown: as strange to us as what comes by the network. */
static void load(struct edge_ocsp_status *status) {
    sk_unix_s now = sk_wall_now_s();
    struct wire_ocsp_answer answer;
    char why[WIRE_OCSP_WHY_BYTES];
    sk_err err = io_file_load(status->kept, WIRE_OCSP_MAX_BYTES, &status->response);
    if (!err) err = wire_ocsp_check(status->question, sk_buf_str(&status->response), now, &answer, why);
    if (err) {
        sk_buf_clear(&status->response);
        return;
    }
    take(status, &answer);
    status->next = is_old(&answer, now) ? now : wire_ocsp_next(&answer, (uint32_t)sk_random_u64(), now);
}

/* On a thread that may block. */
static sk_err save(void *arg) {
    const struct edge_ocsp_status *status = arg;
    sk_str response = sk_buf_str(&status->response);
    return io_file_replace(status->kept, response.data, response.len, 0644);
}

static void keep(struct edge_ocsp_status *status) {
    sk_err err = io_blocking(status->all->process->loop, save, status);
    if (err && err != SK_ERR_CANCELLED)
        SK_LOG_LIMITED(SK_LOG_INFO, "ocsp", "%s: not kept for the next start: %s", status->kept,
                       sk_err_text(err));
}

/* --- life ----------------------------------------------------------------------------------------------- */

static double read_age(void *arg) {
    const struct edge_ocsp_status *status = arg;
    int64_t since = atomic_load_explicit(&status->since, memory_order_relaxed);
    return since ? (double)(sk_wall_now_s() - since) : -1;
}

/* A label's value may hold no quote and no backslash. */
static void name_metric(struct edge_ocsp_status *status) {
    int n = snprintf(status->metric, sizeof status->metric, "skerry_ocsp_age_seconds{file=\"%.*s\"}",
                     (int)(sizeof status->metric - 64), status->file);
    for (char *at = status->metric + 30; at < status->metric + n - 2; at++)
        if (*at == '"' || *at == '\\' || *at < ' ') *at = '_';
}

static void register_gauge(struct edge_ocsp_status *status) {
    name_metric(status);
    status->gauge =
        (struct observe_gauge){.name = status->metric,
                               .help = "Age of the OCSP response that is shown with a certificate; -1: "
                                       "none is",
                               .read = read_age,
                               .arg = status};
    observe_gauge_register(&status->gauge);
}

static void complain(const struct wire_tls_certificate *certificate, const char *why) {
    sk_log(certificate->must_staple ? SK_LOG_ERROR : SK_LOG_DEBUG, "ocsp",
           "%s: no status can be asked for: %s%s", certificate->file, why,
           certificate->must_staple ? "; and the certificate asks for it: clients that look refuse it" : "");
}

struct edge_ocsp_status *edge_ocsp_status_create(struct edge_ocsp *all, uint32_t index) {
    const struct wire_tls_certificate *certificate = wire_tls_store_at(all->store, index);
    struct edge_ocsp_status *status = calloc(1, sizeof *status);
    const char *why = "out of memory";
    if (!status) return NULL;
    *status = (struct edge_ocsp_status){.all = all, .must_staple = certificate->must_staple};
    memcpy(status->id, certificate->id, sizeof status->id);
    sk_buf_init(&status->response, 0); /* whoever fills it keeps to the limit */
    sk_err err = wire_ocsp_create(all->store, index, &status->question, &why);
    if (!err && asprintf(&status->kept, "%s.ocsp", certificate->file) < 0) status->kept = NULL;
    if (!err && !(status->file = strdup(certificate->file))) err = SK_ERR_NO_MEMORY;
    if (err || !status->kept) {
        complain(certificate, why);
        wire_ocsp_free(status->question);
        free(status->kept);
        free(status->file);
        free(status);
        return NULL;
    }
    load(status);
    register_gauge(status);
    sk_list_push_back(&all->all, &status->link);
    return status;
}

void edge_ocsp_status_free(struct edge_ocsp_status *status) {
    SK_ASSERT(!status->asking);
    observe_gauge_remove(&status->gauge);
    sk_list_remove(&status->link);
    wire_ocsp_free(status->question);
    sk_buf_free(&status->response);
    free(status->kept);
    free(status->file);
    free(status);
}

/* --- what clients see ----------------------------------------------------------------------------------- */

void edge_ocsp_status_show(const struct edge_ocsp_status *status) {
    struct wire_tls_store *store = status->all->store;
    for (uint32_t i = 0; store && i < wire_tls_store_count(store); i++) {
        const struct wire_tls_certificate *certificate = wire_tls_store_at(store, i);
        if (!certificate->wants_status || memcmp(certificate->id, status->id, sizeof status->id) != 0)
            continue;
        if (wire_tls_store_staple(store, i, sk_buf_str(&status->response), status->answer.next_update) !=
            SK_OK)
            sk_log(SK_LOG_ERROR, "ocsp", "%s: the status cannot be shown: out of memory", status->file);
    }
}

void edge_ocsp_status_expire(struct edge_ocsp_status *status, sk_unix_s now) {
    /* while it is asked for, another thread may be reading it to keep it */
    if (status->asking || !sk_buf_len(&status->response) || now < status->answer.next_update) return;
    sk_buf_clear(&status->response);
    atomic_store_explicit(&status->since, 0, memory_order_relaxed);
    edge_ocsp_status_show(status);
    sk_log(status->must_staple ? SK_LOG_ERROR : SK_LOG_WARN, "ocsp",
           "%s: the status has expired and is shown no more%s", status->file,
           status->must_staple ? ": clients that look refuse the certificate" : "");
}

/* --- asking --------------------------------------------------------------------------------------------- */

static sk_err ask_responder(struct edge_ocsp_status *status, struct sk_buf *out_response,
                            char why[WIRE_OCSP_WHY_BYTES]) {
    struct edge_process *process = status->all->process;
    struct sk_buf segment;
    uint16_t http = 0;
    sk_buf_init(&segment, 0);
    struct origin_ask ask = {.url = wire_ocsp_url(status->question),
                             .accept = SK_STR("application/ocsp-response")};
    sk_err err = wire_ocsp_request_segment(status->question, &segment);
    ask.below = sk_buf_str(&segment);
    sk_time_ns deadline = sk_time_now() + TIMEOUT_MS * SK_NS_PER_MS;
    if (!err) err = origin_ask(process->origins, &ask, deadline, &http, out_response);
    if (err)
        snprintf(why, WIRE_OCSP_WHY_BYTES, "%.100s: %s", ask.url.data, sk_err_text(err));
    else if (http != 200)
        snprintf(why, WIRE_OCSP_WHY_BYTES, "%.100s answers %u", ask.url.data, http);
    sk_buf_free(&segment);
    return err || http == 200 ? err : SK_ERR_REFUSED;
}

static void fail(struct edge_ocsp_status *status, const char *why) {
    sk_unix_s now = sk_wall_now_s();
    bool shown = sk_buf_len(&status->response) > 0;
    observe_count(status->all->process->metrics, OBSERVE_OCSP_FAILED);
    snprintf(status->why, sizeof status->why, "%s", why);
    status->next = wire_ocsp_again(++status->failures, (uint32_t)sk_random_u64(), now);
    sk_log(status->must_staple && !shown ? SK_LOG_ERROR : SK_LOG_WARN, "ocsp",
           "%s: no new status: %s; %s; asked again in %lld s", status->file, status->why,
           shown                 ? "the old one is shown on"
           : status->must_staple ? "none is shown, and clients that look refuse the certificate"
                                 : "none is shown",
           (long long)(status->next - now));
}

static void succeed(struct edge_ocsp_status *status, struct sk_buf *response,
                    const struct wire_ocsp_answer *answer) {
    char date[HTTP_DATE_BYTES];
    sk_unix_s now = sk_wall_now_s();
    observe_count(status->all->process->metrics, answer->revoked ? OBSERVE_OCSP_REVOKED : OBSERVE_OCSP_GOOD);
    sk_buf_free(&status->response);
    status->response = *response;
    sk_buf_init(response, 0);
    take(status, answer);
    status->failures = 0;
    status->why[0] = 0;
    status->next = wire_ocsp_next(answer, (uint32_t)sk_random_u64(), now);
    edge_ocsp_status_show(status);
    http_date_format(answer->next_update, date);
    if (answer->revoked)
        sk_log(SK_LOG_ERROR, "ocsp", "%s: THE CERTIFICATE IS REVOKED, its authority says: replace it",
               status->file);
    else
        sk_log(SK_LOG_INFO, "ocsp", "%s: good, until %.*s", status->file, HTTP_DATE_BYTES, date);
}

void edge_ocsp_status_ask(struct edge_ocsp_status *status) {
    struct sk_buf response;
    struct wire_ocsp_answer answer;
    char why[WIRE_OCSP_WHY_BYTES] = "";
    sk_buf_init(&response, WIRE_OCSP_MAX_BYTES);
    sk_err err = ask_responder(status, &response, why);
    if (err == SK_ERR_CANCELLED) {
        sk_buf_free(&response);
        return;
    }
    if (!err) err = wire_ocsp_check(status->question, sk_buf_str(&response), sk_wall_now_s(), &answer, why);
    if (err == SK_OK) {
        succeed(status, &response, &answer);
        keep(status);
    } else {
        fail(status, *why ? why : sk_err_text(err));
    }
    sk_buf_free(&response);
}
