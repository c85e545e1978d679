#include "control/process.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "control/control.h"
#include "io/user.h"

enum { CONNECTIONS = 4096, QUIET_MS = 3000, FINE = 0, FAILED = 1, USAGE = 2 };

static sk_err failed(const char *what, sk_err err) {
    if (err) sk_log(SK_LOG_ERROR, "control", "%s: %s", what, sk_err_text(err));
    return err;
}

/* --- who we are ---------------------------------------------------------------------------------------------- */

static sk_err make_self(struct control_process *process, struct fleet_identity **out_identity) {
    const struct config_control *config = process->config;
    struct sk_buf request, certificate, node;
    struct fleet_id id;
    EVP_PKEY *key = NULL;
    sk_buf_init(&request, FLEET_PEM_MAX);
    sk_buf_init(&certificate, FLEET_PEM_MAX);
    sk_buf_init(&node, FLEET_PEM_MAX);
    sk_err err = fleet_id_make(config->fleet, config->pop, FLEET_ROLE_CONTROL, config->name, &id);
    if (!err) err = fleet_key_request(&key, &request);
    if (!err)
        err = fleet_ca_issue(process->ca, sk_buf_str(&request), &id, sk_wall_now_s(),
                             SK_MAX(config->certificate_life_ms / 1000, 1), &certificate);
    if (!err) err = fleet_node_pem(key, sk_buf_str(&certificate), &node);
    if (!err) err = fleet_identity_make(sk_buf_str(&node), fleet_ca_roots(process->ca), out_identity);
    EVP_PKEY_free(key);
    OPENSSL_cleanse(node.data, node.capacity);
    sk_buf_free(&request);
    sk_buf_free(&certificate);
    sk_buf_free(&node);
    return err;
}

sk_err control_renew_self(struct control_process *process) {
    struct fleet_identity *identity;
    sk_err err = fleet_ca_bus_masters(process->ca, &process->bus_masters);
    if (!err) err = fleet_ca_vault_keys(process->ca, &process->seal_keys);
    if (!err) err = make_self(process, &identity);
    return err ? err : fleet_identity_use(identity, FLEET_ANSWERING_ALL, &process->identity, &process->tls);
}

static SSL_CTX *tls_in_force(void *role) { return ((struct control_process *)role)->tls; }

/* --- the end ------------------------------------------------------------------------------------------------- */

static void on_valkey_stopped(void *arg) { io_loop_stop(((struct control_process *)arg)->loop); }

/* The last word on the bus comes before our own Valkey ends. */
static void end_on_fiber(void *arg) {
    struct control_process *process = arg;
    control_purges_end(process);
    if (process->valkey_server)
        control_valkey_stop(process->valkey_server, on_valkey_stopped, process);
    else
        io_loop_stop(process->loop);
}

static void on_stop(int signo, void *arg) {
    struct control_process *process = arg;
    if (process->stopping) return io_loop_stop(process->loop);
    sk_log(SK_LOG_INFO, "control", "stopping");
    process->stopping = true;
    fleet_admin_hand_over(process->remote);
    if (process->keeper) io_fiber_cancel(process->keeper);
    if (io_fiber_spawn(process->loop, "end", end_on_fiber, process, NULL) != SK_OK)
        io_loop_stop(process->loop);
}

static void tear_down(struct control_process *process) {
    fleet_admin_stop(process->local);
    fleet_admin_stop(process->remote);
    control_valkey_free(process->valkey_server);
    fleet_publisher_free(process->publisher);
    fleet_valkey_destroy(process->store.valkey); /* its socket is the loop's as long as there is one */
    if (process->loop) io_loop_destroy(process->loop);
    SSL_CTX_free(process->tls);
    fleet_signers_free(process->signers);
    fleet_identity_unref(process->identity);
    fleet_ca_free(process->ca);
    control_secrets_free(process->secrets);
    OPENSSL_cleanse(&process->seal_keys, sizeof process->seal_keys);
    fleet_expelled_free(&process->view.expelled);
    sk_buf_free(&process->view.expelled_text);
    sk_buf_free(&process->view.drained);
}

/* --- the beginning ------------------------------------------------------------------------------------------- */

static sk_err open_state(struct control_process *process) {
    const struct config_control *config = process->config;
    char folder[FLEET_PATH_BYTES], resolved[PATH_MAX];
    sk_err err = fleet_folder(config->state);
    if (!err && !realpath(config->state.data, resolved)) err = SK_ERR_INVALID;
    if (!err && strlen(resolved) >= sizeof process->state) err = SK_ERR_TOO_LARGE;
    if (err) return failed("the state's folder (it must be ours alone, mode 0700)", err);
    memcpy(process->state, resolved, strlen(resolved) + 1);
    err = fleet_path(sk_str_from_c(process->state), "ca", folder);
    if (!err) err = fleet_ca_open(sk_str_from_c(folder), config->fleet, sk_wall_now_s(), &process->ca);
    if (!err) err = control_renew_self(process);
    return failed("the fleet's roots", err);
}

static sk_err open_store(struct control_process *process) {
    const struct config_control *config = process->config;
    char folder[FLEET_PATH_BYTES], url[FLEET_PATH_BYTES + 32];
    struct fleet_valkey_where where;
    sk_err err = fleet_path(sk_str_from_c(process->state), "valkey", folder);
    if (!err && !config->valkey.len)
        err = control_valkey_start(process->loop, config->valkey_server, sk_str_from_c(folder),
                                   &process->valkey_server);
    if (err) return failed("Valkey", err);
    snprintf(url, sizeof url, "unix:%s/valkey.sock", folder);
    err = fleet_valkey_where_parse(config->valkey.len ? config->valkey : sk_str_from_c(url), &where);
    where.ca = config->valkey_ca;
    where.cert = config->valkey_cert;
    where.key = config->valkey_key;
    if (!err) err = fleet_valkey_create(process->loop, &where, &process->store.valkey);
    if (!err) err = control_purges_start(process, &where);
    process->store.fleet = config->fleet;
    process->store.quiet_until = sk_time_now() + QUIET_MS * SK_NS_PER_MS;
    return failed("Valkey", err);
}

static sk_err say_where(const struct fleet_admin_server *server) {
    struct sk_buf text;
    sk_buf_init(&text, 0);
    sk_err err = fleet_admin_text(server, &text);
    if (!err) fprintf(stderr, "control on %.*s\n", SK_STR_ARGS(sk_buf_str(&text)));
    sk_buf_free(&text);
    return err;
}

static sk_err serve(struct control_process *process) {
    struct fleet_admin_options options = {.role_name = "control",
                                          .where = process->config->admin,
                                          .inherited_fd = -1,
                                          .endpoints = control_endpoints,
                                          .endpoint_count = control_endpoint_count,
                                          .role = process,
                                          .allow = control_allow,
                                          .connections_max = CONNECTIONS};
    sk_err err = fleet_admin_start(process->loop, &options, &process->local);
    if (err) return err;
    options.where = process->config->listen;
    options.tls = tls_in_force;
    err = fleet_admin_start(process->loop, &options, &process->remote);
    if (!err) err = say_where(process->local);
    return err ? err : say_where(process->remote);
}

static sk_err set_up(struct control_process *process) {
    sk_err err = observe_thread_join(&process->metrics);
    if (!err) err = io_loop_create("control", &process->loop);
    if (!err) err = io_loop_on_signal(process->loop, SIGTERM, on_stop, process);
    if (!err) err = io_loop_on_signal(process->loop, SIGINT, on_stop, process);
    if (!err) err = io_user_settle(process->config->user, "control");
    if (!err) err = open_state(process);
    if (!err) err = open_store(process);
    if (!err) err = serve(process);
    return err ? err : control_keeper_start(process);
}

int control_main(struct config_control *config) {
    static struct control_process process; /* one a process */
    process.config = config;
    sk_list_init(&process.waiting);
    sk_buf_init(&process.view.expelled_text, 0);
    sk_buf_init(&process.view.drained, 0);
    sk_log_set_level((enum sk_log_level)config->log_level);
    io_signals_block();
    sk_err err = set_up(&process);
    if (err)
        sk_log(SK_LOG_ERROR, "control", "not started: %s", sk_err_text(err));
    else
        io_loop_run(process.loop);
    tear_down(&process);
    config_control_free(config);
    return !err ? FINE : err == SK_ERR_INVALID ? USAGE : FAILED;
}
