/* fleetkit make: nodes as joining makes them, all at once. */
#include <openssl/evp.h>
#include <stdio.h>

#include "fleet/ca.h"
#include "fleetkit.h"
#include "io/file.h"

#define LIFE_S 86400
#define POP "home"

static sk_err issue(const struct fleet_ca *ca, const struct fleet_id *id, sk_unix_s now,
                    struct sk_buf *out_pem) {
    struct sk_buf request, certificate;
    EVP_PKEY *key = NULL;
    sk_buf_init(&request, 0);
    sk_buf_init(&certificate, 0);
    sk_err err = fleet_key_request(&key, &request);
    if (!err) err = fleet_ca_issue(ca, sk_buf_str(&request), id, now, LIFE_S, &certificate);
    if (!err) err = fleet_node_pem(key, sk_buf_str(&certificate), out_pem);
    EVP_PKEY_free(key);
    sk_buf_free(&request);
    sk_buf_free(&certificate);
    return err;
}

/* Where control would be asked, were there one: nobody listens there. */
static sk_err write_control(const char *folder) {
    char path[FLEET_PATH_BYTES];
    const sk_str nobody = SK_STR("https://127.0.0.1:1\n");
    sk_err err = fleet_path(sk_str_from_c(folder), FLEET_FILE_CONTROL, path);
    return err ? err : io_file_replace(path, nobody.data, nobody.len, 0600);
}

static sk_err write_key(const struct fleet_ca *ca, const char *folder, const struct fleet_id *id) {
    char name[FLEET_ID_TEXT_BYTES], text[FLEET_HEX_BYTES];
    struct fleet_bus_keys masters;
    sk_err err = fleet_ca_bus_masters(ca, &masters);
    if (err) return err;
    struct fleet_bus_key key = fleet_bus_key_of(&masters.keys[0], fleet_id_format(id, name));
    fleet_bus_key_format(&key, text);
    return fleet_bus_key_save(sk_str_from_c(folder), sk_str_from_c(text));
}

/* NODE is "ROLE/NAME". */
static sk_err make_node(const struct fleet_ca *ca, const char *folder, const char *fleet, const char *node,
                        sk_unix_s now) {
    char path[FLEET_PATH_BYTES];
    struct fleet_id id;
    enum fleet_role role;
    struct sk_buf pem;
    sk_str name = sk_str_from_c(node), word;
    if (!sk_str_cut(&name, '/', &word)) return SK_ERR_INVALID;
    sk_err err = fleet_role_lookup(word, &role);
    if (!err) err = fleet_id_make(sk_str_from_c(fleet), SK_STR(POP), role, name, &id);
    if (err) return err;
    sk_buf_init(&pem, 0);
    err = issue(ca, &id, now, &pem);
    if (!err) err = fleet_path(sk_str_from_c(folder), id.name, path);
    if (!err) err = fleet_folder(sk_str_from_c(path));
    if (!err) err = fleet_identity_save(sk_str_from_c(path), sk_buf_str(&pem), fleet_ca_roots(ca));
    sk_buf_free(&pem);
    if (!err) err = write_key(ca, path, &id);
    return err ? err : write_control(path);
}

int fleetkit_make(const char *folder, const char *fleet, char **nodes, int count) {
    char path[FLEET_PATH_BYTES];
    struct fleet_ca *ca = NULL;
    sk_unix_s now = sk_wall_now_s();
    sk_err err = fleet_path(sk_str_from_c(folder), "ca", path);
    if (!err) err = fleet_ca_open(sk_str_from_c(path), sk_str_from_c(fleet), now, &ca);
    for (int i = 0; i < count && !err; i++) err = make_node(ca, folder, fleet, nodes[i], now);
    fleet_ca_free(ca);
    if (err) fprintf(stderr, "fleetkit: %s\n", sk_err_text(err));
    return err ? 1 : 0;
}
