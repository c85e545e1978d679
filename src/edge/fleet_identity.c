#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "base/log.h"
#include "edge/fleet_private.h"
#include "fleet/bus_key.h"
#include "fleet/certificate.h"
#include "fleet/enrol.h"
#include "io/file.h"

enum { RENEW_AGAIN_S = 60 };

sk_err edge_fleet_use_identity(struct edge_fleet *fleet) {
    struct fleet_identity *identity;
    sk_err err = fleet_identity_load(sk_str_from_c(fleet->folder), &identity);
    return err ? err : fleet_identity_use(identity, FLEET_ASKING, &fleet->identity, &fleet->tls);
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
    if (!err) err = edge_fleet_use_identity(fleet);
    OPENSSL_cleanse(node.data, node.capacity);
    sk_buf_free(&node);
    return err;
}

void edge_fleet_take_roots(struct edge_fleet *fleet, sk_str roots) {
    if (sk_str_eq(roots, fleet_identity_roots(fleet->identity))) return;
    sk_err err = save_identity(fleet, NULL, (sk_str){0}, roots);
    if (err)
        sk_log(SK_LOG_ERROR, "fleet", "the fleet's new roots cannot be used: %s", sk_err_text(err));
    else
        sk_log(SK_LOG_INFO, "fleet", "the fleet's roots have changed");
}

sk_err edge_fleet_renew(struct edge_fleet *fleet) {
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
    if (!err)
        err = edge_fleet_ask(fleet, "POST", SK_STR("/node/renew"), sk_buf_str(&request), 0, &status, &answer);
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
