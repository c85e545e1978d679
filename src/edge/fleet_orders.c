#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/fleet_private.h"
#include "edge/health.h"
#include "io/file.h"

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

void edge_fleet_read_expelled(struct edge_fleet *fleet) {
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

void edge_fleet_read_drained(struct edge_fleet *fleet) {
    char path[FLEET_PATH_BYTES];
    if (fleet_path(sk_str_from_c(fleet->folder), FLEET_FILE_DRAINED, path) == SK_OK)
        edge_withdraw(EDGE_WITHDRAWN_BY_CONTROL, access(path, F_OK) == 0);
}

static sk_err get(void *arg, const char *target, struct sk_buf *out) {
    uint16_t status = 0;
    sk_err err = edge_fleet_ask(arg, "GET", sk_str_from_c(target), (sk_str){0}, 0, &status, out);
    return err || status == 200 ? err : SK_ERR_DENIED;
}

/* The configuration before the roots: it may be signed under one that goes. Certificates before the configuration that
 * wants them; what fails there is tried again and keeps nothing else waiting. */
sk_err edge_fleet_obey(struct edge_fleet *fleet, const struct fleet_orders *orders) {
    sk_unix_s now = sk_wall_now_s();
    fleet->again_ms = (int64_t)SK_MIN(orders->again_ms, 60000);
    take_expelled(fleet, orders->expelled);
    take_drain(fleet, orders->drain);
    sk_err missing = edge_fleet_secrets_take(fleet->secrets, orders->secrets, get, fleet);
    sk_err err = edge_fleet_take_snapshot(fleet, orders->number);
    if (err) return err;
    edge_fleet_take_roots(fleet, orders->roots);
    bool due = orders->renew || now >= fleet_identity_renew_at(fleet->identity);
    err = due && now >= fleet->renew_after ? edge_fleet_renew(fleet) : SK_OK;
    return err ? err : missing;
}
