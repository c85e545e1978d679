/* Keys with which edges prove what they say of themselves on the bus: how far they are, that they live. Whoever can write
 * to Valkey can say anything there; that an edge has applied a purge counts only under its own key. A code (HMAC) and no
 * signature, because fifty edges say it of each purge. Control makes an edge's key from its own root and gives it away
 * with the certificate, so no table of keys is kept, and every control of the fleet knows it. Pure, any thread. */
#ifndef SK_FLEET_BUS_KEY_H
#define SK_FLEET_BUS_KEY_H

#include "base/str.h"
#include "fleet/token.h"

#define FLEET_BUS_KEYS_MAX 2 /* of one edge: while the root changes, the old one's and the new one's */

struct fleet_bus_key {
    uint8_t bytes[FLEET_DIGEST_BYTES];
};
/* None, or those that are good. */
struct fleet_bus_keys {
    struct fleet_bus_key keys[FLEET_BUS_KEYS_MAX];
    unsigned count;
};

/* The key of the edge NAME (its id), from its control's secret. */
struct fleet_bus_key fleet_bus_key_of(const struct fleet_bus_key *master, sk_str name);
/* That of each master. */
struct fleet_bus_keys fleet_bus_keys_of(const struct fleet_bus_keys *masters, sk_str name);
/* HMAC-SHA256 (FIPS 198-1) of MESSAGE, hexadecimal. Messages of different kinds begin differently. */
void fleet_bus_code(const struct fleet_bus_key *key, sk_str message, char out[FLEET_HEX_BYTES]);
/* Whether CODE is that of MESSAGE under one of KEYS. */
bool fleet_bus_code_good(const struct fleet_bus_keys *keys, sk_str message, sk_str code);

/* As text: 64 hexadecimal digits. SK_ERR_MALFORMED. */
sk_err fleet_bus_key_parse(sk_str text, struct fleet_bus_key *out_key);
void fleet_bus_key_format(const struct fleet_bus_key *key, char out[FLEET_HEX_BYTES]);

#endif
