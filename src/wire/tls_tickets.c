#include "wire/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
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

struct wire_tls_tickets {
    uint32_t magic;
    _Atomic uint32_t references;
    struct wire_tls_early *early; /* has a lock of its own */
    /* protects what follows; held for a copy of 80 bytes, or to make a key every few hours */
    pthread_mutex_t lock;
    struct key keys[KEYS]; /* the newest first */
    sk_time_ns next_at;
};

static bool make_key(struct key *key) {
    key->valid = RAND_bytes(key->name, sizeof key->name) == 1 &&
                 RAND_priv_bytes(key->cipher, sizeof key->cipher) == 1 &&
                 RAND_priv_bytes(key->mac, sizeof key->mac) == 1;
    return key->valid;
}

sk_err wire_tls_tickets_create(struct wire_tls_tickets **out_tickets) {
    struct wire_tls_tickets *tickets = calloc(1, sizeof *tickets);
    if (!tickets) return SK_ERR_NO_MEMORY;
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

static bool current_key(struct wire_tls_tickets *tickets, struct key *out_key) {
    pthread_mutex_lock(&tickets->lock);
    rotate(tickets);
    *out_key = tickets->keys[0];
    pthread_mutex_unlock(&tickets->lock);
    return out_key->valid;
}

/* The age of the key with NAME, 0 for the one in use; -1: none. */
static int find_key(struct wire_tls_tickets *tickets, const unsigned char name[16], struct key *out_key) {
    int found = -1;
    pthread_mutex_lock(&tickets->lock);
    rotate(tickets);
    for (int i = 0; i < KEYS && found < 0; i++)
        if (tickets->keys[i].valid && !memcmp(tickets->keys[i].name, name, 16)) found = i;
    if (found >= 0) *out_key = tickets->keys[found];
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
    if (SSL_get_client_random(ssl, random, sizeof random) != sizeof random) return 0;
    return wire_tls_early_first(tickets->early, random, sk_time_now());
}

int wire_tls_tickets_on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                               EVP_MAC_CTX *mac, int encrypt) {
    struct wire_tls_tickets *tickets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct key key;
    int age = 0;
    if (encrypt) {
        if (!current_key(tickets, &key) || RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1) return -1;
        memcpy(name, key.name, sizeof key.name);
    } else if ((age = find_key(tickets, name, &key)) < 0) {
        return 0; /* unknown: a full handshake */
    }
    bool set = set_keys(&key, iv, cipher, mac, encrypt);
    OPENSSL_cleanse(&key, sizeof key);
    if (!set) return -1;
    return age > 0 ? 2 : 1; /* 2: known, but to be replaced by a newer ticket */
}
