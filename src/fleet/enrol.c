#include "fleet/enrol.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/version.h"
#include "fleet/admin_client.h"
#include "fleet/messages.h"
#include "fleet/secrets.h"
#include "fleet/snapshot.h"
#include "io/file.h"

/* --- becoming a node ----------------------------------------------------------------------------------------- */

struct enrolling {
    const struct fleet_enrolment *how;
    char *why;
    struct fleet_token token;
    EVP_PKEY *key;
    SSL_CTX *tls;
    struct sk_buf request, body, answer, node;
    struct sk_arena arena;
};

static sk_err failed(const struct enrolling *enrolling, sk_err err, const char *what) {
    snprintf(enrolling->why, FLEET_ENROL_WHY_BYTES, "%s: %s", what, sk_err_text(err));
    return err;
}

static sk_err prepare(struct enrolling *enrolling) {
    char host[FLEET_WORD_BYTES] = "";
    struct fleet_join join = {.token = enrolling->how->token, .name = enrolling->how->name};
    if (!join.name.len) {
        gethostname(host, sizeof host - 1);
        for (char *c = host; *c; c++) *c = sk_ascii_lower_byte(*c);
        join.name = sk_str_from_c(host);
    }
    sk_err err = fleet_folder(enrolling->how->folder);
    if (err) return failed(enrolling, err, "the state's folder (it must be ours alone, mode 0700)");
    err = fleet_key_request(&enrolling->key, &enrolling->request);
    join.request = sk_buf_str(&enrolling->request);
    if (!err) err = fleet_join_write(&join, &enrolling->body);
    if (!err) err = fleet_stranger_context(enrolling->token.root, &enrolling->tls);
    return err ? failed(enrolling, err, "not begun") : SK_OK;
}

static sk_err ask_to_join(struct enrolling *enrolling) {
    uint16_t status = 0;
    sk_str url = enrolling->how->url;
    struct fleet_ask ask = {.address = url,
                            .tls = enrolling->tls,
                            .method = SK_STR("POST"),
                            .target = SK_STR("/join"),
                            .body = sk_buf_str(&enrolling->body),
                            .cancel_fd = -1};
    sk_err err = fleet_ask(&ask, &status, &enrolling->answer);
    if (err == SK_ERR_TLS_CERTIFICATE)
        snprintf(enrolling->why, FLEET_ENROL_WHY_BYTES,
                 "%.*s is not the control that the token is of: nothing was sent", SK_STR_ARGS(url));
    else if (err)
        snprintf(enrolling->why, FLEET_ENROL_WHY_BYTES, "%.*s: %s", SK_STR_ARGS(url), sk_err_text(err));
    if (err || status == 200) return err;
    sk_str said = sk_buf_str(&enrolling->answer);
    said = sk_str_slice(said, 0, sk_str_find_byte(said, '\n'));
    snprintf(enrolling->why, FLEET_ENROL_WHY_BYTES, "refused: %.*s", (int)SK_MIN(said.len, 400),
             said.len ? said.data : "");
    return SK_ERR_DENIED;
}

/* The key of the bus before the certificate: who has the certificate is a node. */
static sk_err keep(struct enrolling *enrolling, struct fleet_id *out_id) {
    char path[FLEET_PATH_BYTES], text[300];
    sk_str folder = enrolling->how->folder;
    struct fleet_joined joined;
    int len = snprintf(text, sizeof text, "%.*s\n", SK_STR_ARGS(enrolling->how->url));
    sk_err err = fleet_joined_parse(sk_buf_str(&enrolling->answer), &enrolling->arena, &joined);
    if (!err) err = fleet_id_parse(joined.id, out_id);
    if (!err) err = fleet_node_pem(enrolling->key, joined.certificate, &enrolling->node);
    if (!err) err = fleet_path(folder, FLEET_FILE_CONTROL, path);
    if (!err && len >= (int)sizeof text) err = SK_ERR_TOO_LARGE;
    if (!err) err = io_file_replace(path, text, (size_t)len, 0600);
    if (!err) err = fleet_bus_key_save(folder, joined.bus_key);
    if (!err) err = fleet_identity_save(folder, sk_buf_str(&enrolling->node), joined.roots);
    return err ? failed(enrolling, err, "what control sent cannot be used") : SK_OK;
}

sk_err fleet_enrol(const struct fleet_enrolment *enrolment, struct fleet_id *out_id,
                   char why[FLEET_ENROL_WHY_BYTES]) {
    struct enrolling enrolling = {.how = enrolment, .why = why};
    if (fleet_token_parse(enrolment->token, &enrolling.token) || enrolling.token.kind != FLEET_TOKEN_JOIN) {
        snprintf(why, FLEET_ENROL_WHY_BYTES, "this is no invitation: it begins with skj1.");
        return SK_ERR_INVALID;
    }
    struct sk_buf *const bufs[] = {&enrolling.request, &enrolling.body, &enrolling.answer, &enrolling.node};
    for (size_t i = 0; i < SK_COUNT(bufs); i++) sk_buf_init(bufs[i], FLEET_MESSAGE_MAX);
    sk_arena_init(&enrolling.arena, 4096, 0);
    sk_err err = prepare(&enrolling);
    if (!err) err = ask_to_join(&enrolling);
    if (!err) err = keep(&enrolling, out_id);
    if (enrolling.node.data) OPENSSL_cleanse(enrolling.node.data, enrolling.node.capacity);
    EVP_PKEY_free(enrolling.key);
    SSL_CTX_free(enrolling.tls);
    sk_arena_free(&enrolling.arena);
    for (size_t i = 0; i < SK_COUNT(bufs); i++) sk_buf_free(bufs[i]);
    return err;
}

/* --- the first configuration --------------------------------------------------------------------------------- */

struct fetching {
    sk_str folder, url;
    struct fleet_identity *identity;
    SSL_CTX *tls;
    struct sk_buf body, answer, kept;
    struct sk_arena arena;
    struct fleet_expelled expelled;
};

static sk_err call(struct fetching *fetching, const char *method, const char *target) {
    uint16_t status = 0;
    struct fleet_ask ask = {.address = fetching->url,
                            .tls = fetching->tls,
                            .method = sk_str_from_c(method),
                            .target = sk_str_from_c(target),
                            .body = sk_buf_str(&fetching->body),
                            .fleet = sk_str_from_c(fleet_identity_self(fetching->identity)->id.fleet),
                            .cancel_fd = -1};
    sk_buf_clear(&fetching->answer);
    sk_err err = fleet_ask(&ask, &status, &fetching->answer);
    return err || status == 200 ? err : SK_ERR_DENIED;
}

/* A node that has nothing is answered at once. */
static sk_err ask_for_orders(struct fetching *fetching, struct fleet_orders *out_orders) {
    struct fleet_report report = {.version = SK_STR(SK_VERSION)};
    sk_err err = fleet_report_write(&report, &fetching->body);
    if (!err) err = call(fetching, "POST", "/node/report");
    if (!err) err = fleet_orders_parse(sk_buf_str(&fetching->answer), &fetching->arena, out_orders);
    if (!err) err = fleet_expelled_parse(out_orders->expelled, &fetching->expelled);
    sk_buf_clear(&fetching->body);
    return err;
}

static uint64_t number_kept(struct fetching *fetching) {
    struct fleet_snapshot snapshot;
    sk_err err = fleet_snapshot_read(fetching->folder, &fetching->kept);
    if (!err)
        err = fleet_snapshot_check(fetching->identity, sk_buf_str(&fetching->kept), 0, &fetching->expelled,
                                   &snapshot);
    return err ? 0 : snapshot.number;
}

static sk_err fetch_certificate(struct fetching *fetching, const struct fleet_certificate_item *item) {
    char target[64 + FLEET_WORD_BYTES];
    bool have = false;
    sk_err err = fleet_certificate_look(fetching->folder, item, &have);
    if (err || have) return err;
    snprintf(target, sizeof target, "/node/certificate?name=%.*s", SK_STR_ARGS(item->name));
    err = call(fetching, "GET", target);
    return err ? err : fleet_certificate_keep(fetching->folder, item, sk_buf_str(&fetching->answer));
}

/* Certificates before the configuration that wants them. */
static sk_err fetch_certificates(struct fetching *fetching) {
    struct fleet_secrets list;
    sk_err err = call(fetching, "GET", "/node/secrets");
    if (!err) err = fleet_secrets_parse(sk_buf_str(&fetching->answer), &fetching->arena, &list);
    for (uint32_t i = 0; !err && i < list.certificate_count; i++)
        err = fetch_certificate(fetching, &list.certificates[i]);
    OPENSSL_cleanse(&list, sizeof list);
    return err;
}

static sk_err fetch(struct fetching *fetching, uint64_t *out_number) {
    struct fleet_orders orders;
    struct fleet_snapshot snapshot;
    char target[64];
    sk_err err = ask_for_orders(fetching, &orders);
    if (!err && orders.secrets.len) err = fetch_certificates(fetching);
    if (err) return err;
    *out_number = number_kept(fetching);
    if (orders.number <= *out_number) return SK_OK;
    snprintf(target, sizeof target, "/node/snapshot?number=%llu", (unsigned long long)orders.number);
    err = call(fetching, "GET", target);
    sk_str bytes = sk_buf_str(&fetching->answer);
    if (!err)
        err = fleet_snapshot_check(fetching->identity, bytes, *out_number, &fetching->expelled, &snapshot);
    if (!err && snapshot.number != orders.number) err = SK_ERR_STALE;
    if (!err) err = fleet_snapshot_keep(fetching->folder, bytes);
    if (!err) *out_number = snapshot.number;
    return err;
}

sk_err fleet_enrol_fetch(sk_str folder, sk_str url, uint64_t *out_number) {
    struct fetching fetching = {.folder = folder, .url = url};
    sk_buf_init(&fetching.body, FLEET_MESSAGE_MAX);
    sk_buf_init(&fetching.answer, FLEET_SNAPSHOT_MAX);
    sk_buf_init(&fetching.kept, 0);
    sk_arena_init(&fetching.arena, 4096, 0);
    sk_err err = fleet_identity_load(folder, &fetching.identity);
    if (!err) err = fleet_identity_context(fetching.identity, FLEET_ASKING, &fetching.tls);
    if (!err) err = fetch(&fetching, out_number);
    SSL_CTX_free(fetching.tls);
    fleet_identity_unref(fetching.identity);
    fleet_expelled_free(&fetching.expelled);
    sk_arena_free(&fetching.arena);
    if (fetching.answer.data) OPENSSL_cleanse(fetching.answer.data, fetching.answer.capacity);
    sk_buf_free(&fetching.body);
    sk_buf_free(&fetching.answer);
    sk_buf_free(&fetching.kept);
    return err;
}
