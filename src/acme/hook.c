#include "acme/hook.h"

#include <sys/socket.h>
#include <sys/time.h>

#include "acme/challenge.h"

#define WAIT_S 120 /* for the edge, and behind it routers, to say yes */

static const char *const methods[] = {
    [ACME_HOOK_BEGIN] = "begin",
    [ACME_HOOK_DONE] = "done",
    [ACME_HOOK_FAILED] = "failed",
};

sk_err acme_hook_format(const char *const words[5], struct sk_buf *out) {
    for (int i = 0; i < 5; i++) {
        sk_str word = sk_str_from_c(words[i]);
        if (!word.len || sk_str_find_byte(word, '\n') < word.len) return SK_ERR_MALFORMED;
        sk_err err = sk_buf_printf(out, "%.*s\n", SK_STR_ARGS(word));
        if (err) return err;
    }
    return sk_buf_len(out) <= ACME_HOOK_BYTES ? SK_OK : SK_ERR_MALFORMED;
}

/* Letters, digits, '-', '_' and '.': what a host name may have. */
static bool is_name(sk_str text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] != '.' && !acme_is_token(sk_str_slice(text, i, i + 1))) return false;
    return text.len > 0 && text.len <= ACME_HOST_MAX;
}

static bool is_auth(sk_str text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] != '.' && !acme_is_token(sk_str_slice(text, i, i + 1))) return false;
    return text.len > 0 && text.len <= ACME_ANSWER_MAX;
}

static sk_err read_method(sk_str word, enum acme_hook_method *out) {
    for (size_t i = 0; i < SK_COUNT(methods); i++)
        if (sk_str_eq(word, sk_str_from_c(methods[i]))) {
            *out = (enum acme_hook_method)i;
            return SK_OK;
        }
    return SK_ERR_MALFORMED;
}

sk_err acme_hook_parse(sk_str message, struct acme_hook *out_hook) {
    sk_str words[5], rest = message;
    struct acme_hook hook = {.type = ACME_HOOK_OTHER};
    for (int i = 0; i < 5; i++) {
        size_t end = sk_str_find_byte(rest, '\n');
        if (end == rest.len) return SK_ERR_MALFORMED;
        words[i] = sk_str_slice(rest, 0, end);
        rest = sk_str_slice(rest, end + 1, rest.len);
    }
    sk_err err = read_method(words[0], &hook.method);
    if (err) return err;
    if (sk_str_eq(words[1], SK_STR("http-01"))) hook.type = ACME_HOOK_HTTP_01;
    if (sk_str_eq(words[1], SK_STR("dns-01"))) hook.type = ACME_HOOK_DNS_01;
    hook.ident =
        sk_str_starts_with(words[2], SK_STR("*.")) ? sk_str_slice(words[2], 2, words[2].len) : words[2];
    hook.token = words[3];
    hook.auth = words[4];
    bool good = rest.len == 0 && is_name(hook.ident) && hook.token.len <= ACME_TOKEN_MAX &&
                acme_is_token(hook.token) && is_auth(hook.auth);
    if (!good) return SK_ERR_MALFORMED;
    *out_hook = hook;
    return SK_OK;
}

bool acme_hook_ask(int fd, const char *const words[5]) {
    struct timeval wait = {.tv_sec = WAIT_S};
    struct sk_buf message;
    char answer[8];
    sk_buf_init(&message, 0);
    bool sent = acme_hook_format(words, &message) == SK_OK &&
                setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0 &&
                send(fd, message.data, sk_buf_len(&message), MSG_NOSIGNAL) == (ssize_t)sk_buf_len(&message);
    sk_buf_free(&message);
    return sent && recv(fd, answer, sizeof answer, 0) == sizeof ACME_HOOK_YES - 1 &&
           answer[0] == ACME_HOOK_YES[0];
}
