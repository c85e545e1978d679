/* What control keeps in Valkey and nobody else may read (private keys of sites, keys of TLS tickets), sealed by
 * AES-256-GCM (NIST SP 800-38D) under a key made from the fleet's root, which is in no place but control's own folder:
 *
 *     "SKS1"  key (8 bytes: which)  nonce (12)  content  tag (16)
 *
 * The label says what it is ("certificate shop") and is sealed with it: what lies under one name opens under no other.
 * Nonces are random; fewer than 2^32 things are sealed under one root by far. Pure but for their randomness. */
#ifndef SK_FLEET_VAULT_H
#define SK_FLEET_VAULT_H

#include "base/buf.h"
#include "fleet/token.h"

#define FLEET_VAULT_KEYS_MAX 2 /* while the root changes, the old one's and the new one's */
#define FLEET_VAULT_EXTRA_BYTES 40
#define FLEET_VAULT_CONTENT_MAX (1u << 20)

struct fleet_vault_key {
    uint8_t bytes[FLEET_DIGEST_BYTES];
};
/* The first one seals; each opens. */
struct fleet_vault_keys {
    struct fleet_vault_key keys[FLEET_VAULT_KEYS_MAX];
    unsigned count;
};

/* Appends CONTENT sealed. SK_ERR_TOO_LARGE, SK_ERR_NO_MEMORY; SK_ERR_TLS: the library fails. */
sk_err fleet_vault_close(const struct fleet_vault_keys *keys, sk_str label, sk_str content,
                         struct sk_buf *out);
/* Appends the content. SK_ERR_MALFORMED: nothing that was sealed; SK_ERR_DENIED: under no key of KEYS; SK_ERR_CORRUPT: it
 * was changed, or is something else than LABEL; SK_ERR_NO_MEMORY, SK_ERR_TOO_LARGE. OUT is unchanged on failure. */
sk_err fleet_vault_open(const struct fleet_vault_keys *keys, sk_str label, sk_str sealed, struct sk_buf *out);
/* Whether the key that seals now has sealed it. */
bool fleet_vault_is_newest(const struct fleet_vault_keys *keys, sk_str sealed);

#endif
