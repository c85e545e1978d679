#include "acme/challenge.h"

#include <pthread.h>

struct challenge {
    char host[ACME_HOST_MAX], token[ACME_TOKEN_MAX], answer[ACME_ANSWER_MAX];
    uint16_t host_bytes, token_bytes, answer_bytes;
};

_Atomic unsigned acme_challenge_count;
/* Protects the table, for the length of one look through it; taken by requests for challenges alone. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct challenge table[ACME_CHALLENGES_MAX];

bool acme_is_token(sk_str text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool good = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                    c == '_';
        if (!good) return false;
    }
    return text.len > 0;
}

static bool is_answer(sk_str text) {
    size_t dot = sk_str_find_byte(text, '.');
    return text.len <= ACME_ANSWER_MAX && dot < text.len && acme_is_token(sk_str_slice(text, 0, dot)) &&
           acme_is_token(sk_str_slice(text, dot + 1, text.len));
}

static sk_str host_of(const struct challenge *item) { return sk_str_make(item->host, item->host_bytes); }

static bool is_same(const struct challenge *item, sk_str host, sk_str token) {
    return sk_str_ieq(host_of(item), host) && sk_str_eq(sk_str_make(item->token, item->token_bytes), token);
}

static unsigned count(void) { return atomic_load_explicit(&acme_challenge_count, memory_order_relaxed); }

/* Under the lock. */
static void set_count(unsigned n) { atomic_store_explicit(&acme_challenge_count, n, memory_order_relaxed); }

/* Under the lock: the one for HOST and TOKEN, or a free one; NULL: there is none. */
static struct challenge *place_for(sk_str host, sk_str token) {
    unsigned n = count();
    for (unsigned i = 0; i < n; i++)
        if (is_same(&table[i], host, token)) return &table[i];
    if (n == ACME_CHALLENGES_MAX) return NULL;
    set_count(n + 1);
    return &table[n];
}

sk_err acme_challenge_add(sk_str host, sk_str token, sk_str answer) {
    if (!host.len || host.len > ACME_HOST_MAX || token.len > ACME_TOKEN_MAX || !acme_is_token(token) ||
        !is_answer(answer))
        return SK_ERR_MALFORMED;
    pthread_mutex_lock(&lock);
    struct challenge *item = place_for(host, token);
    if (item) {
        memcpy(item->host, host.data, host.len);
        memcpy(item->token, token.data, token.len);
        memcpy(item->answer, answer.data, answer.len);
        item->host_bytes = (uint16_t)host.len;
        item->token_bytes = (uint16_t)token.len;
        item->answer_bytes = (uint16_t)answer.len;
    }
    pthread_mutex_unlock(&lock);
    return item ? SK_OK : SK_ERR_FULL;
}

void acme_challenge_remove(sk_str host, sk_str token) {
    pthread_mutex_lock(&lock);
    unsigned n = count();
    for (unsigned i = 0; i < n; i++)
        if (is_same(&table[i], host, token)) {
            table[i] = table[n - 1];
            set_count(n - 1);
            break;
        }
    pthread_mutex_unlock(&lock);
}

void acme_challenge_clear(void) {
    pthread_mutex_lock(&lock);
    set_count(0);
    pthread_mutex_unlock(&lock);
}

static sk_str bare(sk_str host) {
    host = sk_str_slice(host, 0, sk_str_find_byte(host, ':'));
    return sk_str_ends_with(host, SK_STR(".")) ? sk_str_slice(host, 0, host.len - 1) : host;
}

enum acme_found acme_challenge_find(sk_str host, sk_str token, char out_answer[ACME_ANSWER_MAX],
                                    size_t *out_bytes) {
    enum acme_found found = ACME_NOT_OURS;
    host = bare(host);
    pthread_mutex_lock(&lock);
    unsigned n = count();
    for (unsigned i = 0; i < n && found != ACME_FOUND; i++) {
        const struct challenge *item = &table[i];
        if (!sk_str_ieq(host_of(item), host)) continue;
        found = ACME_UNKNOWN;
        if (!sk_str_eq(sk_str_make(item->token, item->token_bytes), token)) continue;
        memcpy(out_answer, item->answer, item->answer_bytes);
        *out_bytes = item->answer_bytes;
        found = ACME_FOUND;
    }
    pthread_mutex_unlock(&lock);
    return found;
}
