#include "edge/admin.h"

#include <stdio.h>

#include "edge/upgrade.h"

static const struct fleet_admin_endpoint endpoints[] = {
#define X(method, path, handler, help) {HTTP_METHOD_##method, SK_STR_INIT(path), edge_admin_##handler, help},
    EDGE_ADMIN_TABLE(X)
#undef X
};

static sk_str token_in_force(void *role) {
    const struct edge_process *process = role;
    return process->snapshot->config->admin_token;
}

static sk_err announce(const struct fleet_admin_server *server) {
    struct sk_buf text;
    sk_buf_init(&text, 0);
    sk_err err = fleet_admin_text(server, &text);
    if (!err) fprintf(stderr, "admin on %.*s\n", SK_STR_ARGS(sk_buf_str(&text)));
    sk_buf_free(&text);
    return err;
}

sk_err edge_admin_start(struct edge_process *process) {
    struct fleet_admin_options options = {
        .role_name = "edge",
        .where = process->snapshot->config->admin,
        .inherited_fd = edge_upgrade_take_admin(),
        .endpoints = endpoints,
        .endpoint_count = SK_COUNT(endpoints),
        .role = process,
        .token = token_in_force,
    };
    sk_err err = fleet_admin_start(process->loop, &options, &process->admin);
    return err ? err : announce(process->admin);
}
