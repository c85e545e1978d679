#include "edge/acme_dns.h"

#include <stdio.h>

#include "base/log.h"
#include "fleet/admin_client.h"
#include "io/file.h"

#define RECORD_LIFE_S 900 /* it goes by itself when nobody takes it back */
#define TOKEN_MAX_BYTES 512
#define ANSWER_MAX_BYTES 4096
#define TIMEOUT_MS 10000

struct telling {
    const struct config_acme *config;
    struct sk_buf body, token;
    int stop_fd;
};

/* The first line of the routers' token's file; none without a file. */
static sk_err read_token(struct telling *telling) {
    sk_str file = telling->config->router_token_file;
    return file.len ? io_file_load(file.data, TOKEN_MAX_BYTES, &telling->token) : SK_OK;
}

static sk_str first_line(sk_str text) {
    return sk_str_trim(sk_str_slice(text, 0, sk_str_find_byte(text, '\n')));
}

static sk_err tell_router(const struct telling *telling, sk_str router) {
    uint16_t status = 0;
    struct sk_buf answer;
    struct fleet_ask ask = {.address = router,
                            .token = first_line(sk_buf_str(&telling->token)),
                            .method = SK_STR("POST"),
                            .target = SK_STR("/acme-challenge"),
                            .body = sk_buf_str(&telling->body),
                            .timeout_ms = TIMEOUT_MS,
                            .cancel_fd = telling->stop_fd};
    sk_buf_init(&answer, ANSWER_MAX_BYTES);
    sk_err err = fleet_ask(&ask, &status, &answer);
    sk_buf_free(&answer);
    if (!err && status == 200) return SK_OK;
    if (err)
        sk_log(SK_LOG_ERROR, "acme", "the router at %.*s does not take a record: %s", SK_STR_ARGS(router),
               sk_err_text(err));
    else
        sk_log(SK_LOG_ERROR, "acme", "the router at %.*s does not take a record: it answers %u",
               SK_STR_ARGS(router), status);
    return err ? err : SK_ERR_REFUSED;
}

/* On a thread that may block. All are told, also after one has failed. */
static sk_err tell_all(void *arg) {
    struct telling *telling = arg;
    sk_err result = read_token(telling);
    for (uint32_t i = 0; i < telling->config->router_count; i++) {
        sk_err err = tell_router(telling, telling->config->routers[i]);
        if (err) result = err;
    }
    return result;
}

bool edge_acme_dns_tell(struct io_loop *loop, const struct config_acme *config, const struct acme_hook *hook,
                        int stop_fd) {
    struct telling telling = {.config = config, .stop_fd = stop_fd};
    sk_buf_init(&telling.body, 0);
    sk_buf_init(&telling.token, 0);
    sk_err err =
        sk_buf_printf(&telling.body, "{\"name\":\"_acme-challenge.%.*s\",\"value\":\"%.*s\",\"ttl\":%d}",
                      SK_STR_ARGS(hook->ident), SK_STR_ARGS(hook->auth),
                      hook->method == ACME_HOOK_BEGIN ? RECORD_LIFE_S : 0);
    if (!err) err = io_blocking(loop, tell_all, &telling);
    sk_buf_free(&telling.body);
    sk_buf_free(&telling.token);
    return err == SK_OK;
}
