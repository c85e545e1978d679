#include "edge/fleet_config.h"

#include "base/log.h"
#include "fleet/snapshot.h"

/* The last good one in FOLDER, checked as if it had just come. */
static sk_err read_kept(sk_str folder, struct sk_buf *bytes, struct fleet_snapshot *out_snapshot) {
    struct fleet_identity *identity;
    sk_err err = fleet_snapshot_read(folder, bytes);
    if (err) return err;
    err = fleet_identity_load(folder, &identity);
    if (err) return err;
    err = fleet_snapshot_check(identity, sk_buf_str(bytes), 0, NULL, out_snapshot);
    fleet_identity_unref(identity);
    return err;
}

static sk_err load_kept(const char *path, sk_str folder, struct config **out_config,
                        struct config_problems *problems, uint64_t *out_number) {
    struct sk_buf bytes;
    struct fleet_snapshot snapshot;
    struct config *whole;
    sk_buf_init(&bytes, 0);
    sk_err err = read_kept(folder, &bytes, &snapshot);
    if (err) {
        if (err != SK_ERR_NOT_FOUND)
            sk_log(SK_LOG_ERROR, "fleet", "the configuration kept in %.*s is not used: %s",
                   SK_STR_ARGS(folder), sk_err_text(err));
        sk_buf_free(&bytes);
        return SK_OK;
    }
    err = config_load_file_with(path, snapshot.body, &whole, problems);
    if (!err) {
        config_unref(*out_config);
        *out_config = whole;
        if (out_number) *out_number = snapshot.number;
    }
    sk_buf_free(&bytes);
    return err;
}

sk_err edge_fleet_config_load(const char *path, sk_str shared, struct config **out_config,
                              struct config_problems *problems, uint64_t *out_number) {
    struct config *config;
    if (out_number) *out_number = 0;
    if (shared.len) return config_load_file_with(path, shared, out_config, problems);
    sk_err err = config_load_file(path, &config, problems);
    if (!err && config->fleet.state.len) {
        err = load_kept(path, config->fleet.state, &config, problems, out_number);
        if (err) config_unref(config);
    }
    if (!err) *out_config = config;
    return err;
}
