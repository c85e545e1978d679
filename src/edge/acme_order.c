/* One certificate that is ordered: what is remembered of it, what the authority is asked, what comes of it. */
#include <stdio.h>
#include <unistd.h>

#include "acme/challenge.h"
#include "base/log.h"
#include "base/random.h"
#include "edge/acme_dns.h"
#include "edge/acme_private.h"
#include "edge/certificates.h"
#include "http/date.h"
#include "io/file.h"

#define STATE_MAX_BYTES 512
#define DAY_S 86400.0
#define ARGUMENTS_MAX 128

/* --- what is remembered ------------------------------------------------------------------------------------- */

/* The certificate's file with another end. */
static bool state_file(const struct edge_acme_order *order, char path[ACME_PATH_BYTES]) {
    return snprintf(path, ACME_PATH_BYTES, "%s.state", order->config->file.data) < ACME_PATH_BYTES;
}

static void load_state(struct edge_acme_order *order) {
    char path[ACME_PATH_BYTES];
    struct sk_buf text;
    sk_buf_init(&text, 0);
    sk_err err = state_file(order, path) ? io_file_load(path, STATE_MAX_BYTES, &text) : SK_ERR_TOO_LARGE;
    if (!err) err = acme_state_parse(sk_buf_str(&text), sk_wall_now_s(), &order->state);
    if (err && err != SK_ERR_NOT_FOUND) sk_log(SK_LOG_WARN, "acme", "%s: %s", path, sk_err_text(err));
    sk_buf_free(&text);
}

static void save_state(const struct edge_acme_order *order) {
    char path[ACME_PATH_BYTES];
    struct sk_buf text;
    sk_buf_init(&text, 0);
    sk_err err = state_file(order, path) ? acme_state_format(&order->state, &text) : SK_ERR_TOO_LARGE;
    if (!err) err = io_file_replace(path, sk_buf_str(&text).data, sk_buf_len(&text), 0600);
    if (err) sk_log(SK_LOG_ERROR, "acme", "%s: %s", path, sk_err_text(err));
    sk_buf_free(&text);
}

/* What is in force, as its file says. */
static void look_at_held(struct edge_acme_order *order) {
    char why[ACME_WHY_BYTES] = "";
    const char *file = order->config->file.data;
    struct acme_held held = {0};
    sk_err err = acme_held_look(file, file, order->config->names, order->config->name_count, sk_wall_now_s(),
                                &held, why);
    if (err && err != SK_ERR_NOT_FOUND)
        SK_LOG_LIMITED(SK_LOG_WARN, "acme", "%s: %s", file, err == SK_ERR_INVALID ? why : sk_err_text(err));
    order->held = held;
    atomic_store_explicit(&order->not_after, held.not_after, memory_order_relaxed);
}

static double read_days(void *arg) {
    const struct edge_acme_order *order = arg;
    int64_t not_after = atomic_load_explicit(&order->not_after, memory_order_relaxed);
    return not_after ? (double)(not_after - sk_wall_now_s()) / DAY_S : 0;
}

void edge_acme_order_refresh(struct edge_acme_order *order) {
    load_state(order);
    look_at_held(order);
}

void edge_acme_order_begin(struct edge_acme_order *order, const struct config_acme_certificate *certificate) {
    order->config = certificate;
    edge_acme_order_refresh(order);
    snprintf(order->metric, sizeof order->metric, "skerry_certificate_days_left{name=\"%s\"}",
             edge_acme_name(order));
    order->gauge =
        (struct observe_gauge){.name = order->metric,
                               .help = "Days until a certificate by ACME expires; 0: there is none",
                               .read = read_days,
                               .arg = order};
    observe_gauge_register(&order->gauge);
}

/* --- challenges ---------------------------------------------------------------------------------------------- */

struct ordering {
    struct edge_acme *acme;
    const struct edge_acme_order *order;
};

/* The authority asks for what we have asked for, and for nothing else. */
static bool is_wanted(const struct edge_acme_order *order, sk_str ident) {
    for (uint32_t i = 0; i < order->config->name_count; i++) {
        sk_str name = order->config->names[i];
        if (sk_str_starts_with(name, SK_STR("*."))) name = sk_str_slice(name, 2, name.len);
        if (sk_str_ieq(name, ident)) return true;
    }
    return false;
}

static bool on_http_01(const struct acme_hook *hook) {
    if (hook->method == ACME_HOOK_BEGIN)
        return acme_challenge_add(hook->ident, hook->token, hook->auth) == SK_OK;
    acme_challenge_remove(hook->ident, hook->token);
    return true;
}

static bool on_hook(void *arg, const struct acme_hook *hook) {
    const struct ordering *ordering = arg;
    const struct edge_acme_order *order = ordering->order;
    enum config_acme_challenge challenge = order->config->challenge;
    if (!is_wanted(order, hook->ident)) return false;
    if (challenge == CONFIG_ACME_HTTP_01) return hook->type == ACME_HOOK_HTTP_01 && on_http_01(hook);
    return hook->type == ACME_HOOK_DNS_01 &&
           edge_acme_dns_tell(ordering->acme->process->loop, edge_acme_settings(ordering->acme), hook,
                              ordering->acme->stop_fd);
}

/* --- an order ------------------------------------------------------------------------------------------------- */

static void client_folder(const struct config_acme *config, char folder[ACME_PATH_BYTES]) {
    snprintf(folder, ACME_PATH_BYTES, "%s/client", config->state.data);
}

static enum acme_outcome ask_client(struct edge_acme *acme, struct edge_acme_order *order,
                                    const struct acme_decision *decision, const char *folder) {
    const struct config_acme *config = edge_acme_settings(acme);
    const char *names[ARGUMENTS_MAX];
    struct ordering ordering = {acme, order};
    struct acme_client_options options = {.program = config->client.data,
                                          .hook = acme->process->start->program,
                                          .directory = config->directory.data,
                                          .email = config->email.data,
                                          .folder = folder,
                                          .timeout_ms = config->timeout_ms};
    struct acme_client_order wanted = {.names = names,
                                       .force = decision->step == ACME_ORDER,
                                       .days_left =
                                           decision->step == ACME_RENEW ? decision->days_left + 1 : 1,
                                       .rsa = order->config->key == CONFIG_ACME_RSA,
                                       .on_hook = on_hook,
                                       .arg = &ordering};
    SK_ASSERT(order->config->name_count < SK_COUNT(names));
    for (uint32_t i = 0; i < order->config->name_count; i++) names[i] = order->config->names[i].data;
    names[order->config->name_count] = NULL;
    enum acme_outcome outcome = acme_client_issue(acme->client, &options, &wanted, order->why);
    acme_challenge_clear();
    return outcome;
}

/* Puts what the client has in its place if it can be used and lasts longer than what is there. SK_ERR_NOT_FOUND: there
 * is nothing; SK_ERR_STALE: nothing better; SK_ERR_INVALID and others, with ORDER's why. */
static sk_err install(struct edge_acme_order *order, const char *folder) {
    char cert[ACME_PATH_BYTES], key[ACME_PATH_BYTES];
    struct acme_held fresh = {0};
    sk_err err = acme_client_files(folder, edge_acme_name(order), cert, key);
    if (!err)
        err = acme_held_look(cert, key, order->config->names, order->config->name_count, sk_wall_now_s(),
                             &fresh, order->why);
    if (!err && order->held.usable && fresh.not_after <= order->held.not_after) err = SK_ERR_STALE;
    if (!err) err = acme_held_install(cert, key, order->config->file.data);
    if (err && err != SK_ERR_INVALID)
        snprintf(order->why, sizeof order->why, "%.160s: %s", cert, sk_err_text(err));
    if (!err) look_at_held(order);
    return err;
}

static void count(struct edge_acme *acme, enum acme_outcome outcome) {
    static const enum observe_counter counters[] = {
        [ACME_NONE] = OBSERVE_ACME_FAILED,      [ACME_ISSUED] = OBSERVE_ACME_ISSUED,
        [ACME_CURRENT] = OBSERVE_ACME_CURRENT,  [ACME_FAILED] = OBSERVE_ACME_FAILED,
        [ACME_LIMITED] = OBSERVE_ACME_LIMITED,  [ACME_REFUSED] = OBSERVE_ACME_REFUSED,
        [ACME_TIMED_OUT] = OBSERVE_ACME_FAILED, [ACME_NO_CLIENT] = OBSERVE_ACME_FAILED,
    };
    _Static_assert(SK_COUNT(counters) == ACME_OUTCOME_COUNT_, "one counter an outcome");
    observe_count(acme->process->metrics, counters[outcome]);
}

static void tell(const struct edge_acme_order *order) {
    enum acme_outcome outcome = order->state.last;
    char date[HTTP_DATE_BYTES + 1] = "";
    if (order->held.usable) http_date_format(order->held.not_after, date);
    int64_t wait_s = order->state.next - sk_wall_now_s();
    if (outcome == ACME_ISSUED)
        sk_log(SK_LOG_INFO, "acme", "%s: %s, until %s", edge_acme_name(order), acme_outcome_text(outcome),
               date);
    else if (outcome == ACME_CURRENT)
        sk_log(SK_LOG_DEBUG, "acme", "%s: %s", edge_acme_name(order), acme_outcome_text(outcome));
    else
        sk_log(SK_LOG_ERROR, "acme", "%s: %s: %s; %s%s; tried again in %lld s", edge_acme_name(order),
               acme_outcome_text(outcome), order->why,
               order->held.usable ? "the old certificate stays in force, until " : "there is no certificate",
               date, (long long)wait_s);
}

static void note(struct edge_acme *acme, struct edge_acme_order *order, enum acme_outcome outcome) {
    const struct config_acme *config = edge_acme_settings(acme);
    struct acme_pace pace = {.check_s = config->check_ms / 1000, .retry_s = config->retry_ms / 1000};
    acme_note(&order->state, &order->held, outcome, &pace, (uint32_t)sk_random_u64(), sk_wall_now_s());
    if (acme_outcome_is_good(outcome)) order->why[0] = 0;
    save_state(order);
    count(acme, outcome);
    tell(order);
    if (outcome == ACME_ISSUED) edge_certificates_look(acme->process);
}

/* Asks the authority, if it is time. */
void edge_acme_order_attend(struct edge_acme *acme, struct edge_acme_order *order) {
    char folder[ACME_PATH_BYTES];
    sk_unix_s now = sk_wall_now_s();
    if (now < order->state.next) return;
    look_at_held(order);
    struct acme_decision decision = acme_decide(&order->state, &order->held, now);
    if (decision.step == ACME_WAIT) {
        order->state.next = decision.at;
        return;
    }
    client_folder(edge_acme_settings(acme), folder);
    /* a process before this one may have come to the certificate but not to its place */
    if (decision.step == ACME_ORDER && install(order, folder) == SK_OK) {
        note(acme, order, ACME_ISSUED);
        return;
    }
    enum acme_outcome outcome = ask_client(acme, order, &decision, folder);
    if (acme->stopping) return;
    if (outcome == ACME_ISSUED && install(order, folder) != SK_OK) outcome = ACME_REFUSED;
    note(acme, order, outcome);
}
