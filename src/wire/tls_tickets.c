#include "wire/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "wire/tls_early.h"

#define TICKETS_MAGIC 0x746c746bu
#define KEY_S (3 * 3600)
/* The one in use and those that older tickets were made with. */
#define KEYS 3

struct key {
    unsigned char name[16], cipher[32], mac[32];
    bool valid;
};
_Static_assert(sizeof(struct wire_tls_ticket_key) == offsetof(struct key, valid), "a key's bytes");

struct wire_tls_tickets {
    uint32_t magic;
    _Atomic uint32_t references;
    struct wire_tls_early *early; /* has a lock of its own */
    /* protects what follows; held for a copy of 80 bytes, or to make a key every few hours */
    pthread_mutex_t lock;
    struct key keys[KEYS]; /* the newest first */
    sk_time_ns next_at;
    struct wire_tls_shared_key shared[WIRE_TLS_SHARED_KEYS]; /* those of other nodes too, the newest first */
    unsigned shared_count;
};

/* Of a connection: it came with a ticket that another node may have seen as well. */
static int shared_mark = -1;
static pthread_once_t shared_mark_once = PTHREAD_ONCE_INIT;
static void make_shared_mark(void) { shared_mark = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL); }

static bool make_key(struct key *key) {
    key->valid = RAND_bytes(key->name, sizeof key->name) == 1 &&
                 RAND_priv_bytes(key->cipher, sizeof key->cipher) == 1 &&
                 RAND_priv_bytes(key->mac, sizeof key->mac) == 1;
    return key->valid;
}

sk_err wire_tls_tickets_create(struct wire_tls_tickets **out_tickets) {
    struct wire_tls_tickets *tickets = calloc(1, sizeof *tickets);
    if (!tickets) return SK_ERR_NO_MEMORY;
    pthread_once(&shared_mark_once, make_shared_mark);
    tickets->magic = TICKETS_MAGIC;
    tickets->references = 1;
    tickets->next_at = sk_time_now() + KEY_S * SK_NS_PER_S;
    if (wire_tls_early_create(&tickets->early) != SK_OK || pthread_mutex_init(&tickets->lock, NULL) != 0 ||
        !make_key(&tickets->keys[0])) {
        wire_tls_early_free(tickets->early);
        free(tickets);
        return SK_ERR_NO_MEMORY;
    }
    *out_tickets = tickets;
    return SK_OK;
}

struct wire_tls_tickets *wire_tls_tickets_ref(struct wire_tls_tickets *tickets) {
    /* relaxed: whoever hands the pointer over holds a reference already */
    atomic_fetch_add_explicit(&tickets->references, 1, memory_order_relaxed);
    return tickets;
}

void wire_tls_tickets_unref(struct wire_tls_tickets *tickets) {
    /* acq_rel: the last one frees only after all others are done with it */
    if (!tickets || atomic_fetch_sub_explicit(&tickets->references, 1, memory_order_acq_rel) != 1) return;
    SK_CHECK_MAGIC(tickets, TICKETS_MAGIC);
    pthread_mutex_destroy(&tickets->lock);
    wire_tls_early_free(tickets->early);
    OPENSSL_cleanse(tickets, sizeof *tickets);
    free(tickets);
}

/* Lock held. What made the oldest tickets is gone for good then. */
static void rotate(struct wire_tls_tickets *tickets) {
    sk_time_ns now = sk_time_now();
    struct key fresh;
    if (now < tickets->next_at || !make_key(&fresh)) return;
    memmove(&tickets->keys[1], &tickets->keys[0], (KEYS - 1) * sizeof(struct key));
    tickets->keys[0] = fresh;
    tickets->next_at = now + KEY_S * SK_NS_PER_S;
    OPENSSL_cleanse(&fresh, sizeof fresh);
}

void wire_tls_tickets_share(struct wire_tls_tickets *tickets, const struct wire_tls_shared_key *keys,
                            unsigned count) {
    SK_CHECK_MAGIC(tickets, TICKETS_MAGIC);
    SK_ASSERT(count <= WIRE_TLS_SHARED_KEYS);
    pthread_mutex_lock(&tickets->lock);
    OPENSSL_cleanse(tickets->shared, sizeof tickets->shared);
    if (count) memcpy(tickets->shared, keys, count * sizeof *keys);
    tickets->shared_count = count;
    pthread_mutex_unlock(&tickets->lock);
}

static void take_shared(const struct wire_tls_shared_key *shared, struct key *out_key) {
    memcpy(out_key, &shared->key, sizeof shared->key);
    out_key->valid = true;
}

/* Lock held. The newest that may still be used; NULL: there is none. */
static const struct wire_tls_shared_key *shared_in_use(const struct wire_tls_tickets *tickets,
                                                       sk_time_ns now) {
    for (unsigned i = 0; i < tickets->shared_count; i++)
        if (now < tickets->shared[i].use_until) return &tickets->shared[i];
    return NULL;
}

static bool current_key(struct wire_tls_tickets *tickets, enum wire_tls_sharing sharing,
                        struct key *out_key) {
    pthread_mutex_lock(&tickets->lock);
    rotate(tickets);
    const struct wire_tls_shared_key *shared =
        sharing == WIRE_TLS_SHARES ? shared_in_use(tickets, sk_time_now()) : NULL;
    if (shared)
        take_shared(shared, out_key);
    else
        *out_key = tickets->keys[0];
    pthread_mutex_unlock(&tickets->lock);
    return out_key->valid;
}

enum found { FOUND_NONE, FOUND_IN_USE, FOUND_OLD };

/* Lock held. */
static enum found find_own(const struct wire_tls_tickets *tickets, const unsigned char name[16],
                           struct key *out_key) {
    for (int i = 0; i < KEYS; i++) {
        if (!tickets->keys[i].valid || memcmp(tickets->keys[i].name, name, 16) != 0) continue;
        *out_key = tickets->keys[i];
        return i ? FOUND_OLD : FOUND_IN_USE;
    }
    return FOUND_NONE;
}

/* Lock held. */
static enum found find_shared(const struct wire_tls_tickets *tickets, const unsigned char name[16],
                              struct key *out_key) {
    sk_time_ns now = sk_time_now();
    for (unsigned i = 0; i < tickets->shared_count; i++) {
        const struct wire_tls_shared_key *shared = &tickets->shared[i];
        if (now >= shared->accept_until || memcmp(shared->key.bytes, name, 16) != 0) continue;
        take_shared(shared, out_key);
        return shared == shared_in_use(tickets, now) ? FOUND_IN_USE : FOUND_OLD;
    }
    return FOUND_NONE;
}

static enum found find_key(struct wire_tls_tickets *tickets, enum wire_tls_sharing sharing,
                           const unsigned char name[16], struct key *out_key, bool *out_shared) {
    pthread_mutex_lock(&tickets->lock);
    rotate(tickets);
    enum found found = find_own(tickets, name, out_key);
    *out_shared = false;
    if (found == FOUND_NONE && sharing != WIRE_TLS_SHARES_NOTHING) {
        found = find_shared(tickets, name, out_key);
        *out_shared = found != FOUND_NONE;
        if (sharing == WIRE_TLS_SHARES_OTHERS && *out_shared) found = FOUND_OLD;
    }
    pthread_mutex_unlock(&tickets->lock);
    return found;
}

static bool set_keys(const struct key *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                     int encrypt) {
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac, sizeof key->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, encrypt) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

int wire_tls_tickets_on_early(SSL *ssl, void *arg) {
    struct wire_tls_tickets *tickets = arg;
    unsigned char random[WIRE_TLS_RANDOM_BYTES] = {0};
    if (SSL_get_ex_data(ssl, shared_mark)) return 0; /* another node may have taken the same first flight */
    if (SSL_get_client_random(ssl, random, sizeof random) != sizeof random) return 0;
    return wire_tls_early_first(tickets->early, random, sk_time_now());
}

/* The key for a ticket that is made (NAME is written) or was shown (NAME is read); 0: there is none. Else as OpenSSL wants
 * it: 1, or 2 for one that a newer ticket is to replace. */
static int choose_key(struct wire_tls_tickets *tickets, enum wire_tls_sharing sharing, SSL *ssl,
                      unsigned char name[16], unsigned char *iv, int encrypt, struct key *out_key) {
    bool shared;
    if (encrypt) {
        if (!current_key(tickets, sharing, out_key) || RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1) return -1;
        memcpy(name, out_key->name, sizeof out_key->name);
        return 1;
    }
    enum found found = find_key(tickets, sharing, name, out_key, &shared);
    if (found == FOUND_NONE) return 0; /* unknown: a full handshake */
    if (shared && SSL_set_ex_data(ssl, shared_mark, tickets) != 1) return 0;
    return found == FOUND_OLD ? 2 : 1;
}

int wire_tls_tickets_on_ticket(struct wire_tls_tickets *tickets, enum wire_tls_sharing sharing, SSL *ssl,
                               unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                               EVP_MAC_CTX *mac, int encrypt) {
    struct key key;
    int chosen = choose_key(tickets, sharing, ssl, name, iv, encrypt, &key);
    bool set = chosen <= 0 || set_keys(&key, iv, cipher, mac, encrypt);
    OPENSSL_cleanse(&key, sizeof key);
    return set ? chosen : -1;
}
