#include "fleet/bus_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static void code_of(const struct fleet_bus_key *key, sk_str message, uint8_t out[FLEET_DIGEST_BYTES]) {
    unsigned len = FLEET_DIGEST_BYTES;
    SK_ASSERT(HMAC(EVP_sha256(), key->bytes, sizeof key->bytes, (const unsigned char *)message.data,
                   message.len, out, &len));
}

struct fleet_bus_key fleet_bus_key_of(const struct fleet_bus_key *master, sk_str name) {
    struct fleet_bus_key key;
    code_of(master, name, key.bytes);
    return key;
}

struct fleet_bus_keys fleet_bus_keys_of(const struct fleet_bus_keys *masters, sk_str name) {
    struct fleet_bus_keys keys = {.count = masters->count};
    for (unsigned i = 0; i < masters->count; i++) keys.keys[i] = fleet_bus_key_of(&masters->keys[i], name);
    return keys;
}

void fleet_bus_code(const struct fleet_bus_key *key, sk_str message, char out[FLEET_HEX_BYTES]) {
    uint8_t code[FLEET_DIGEST_BYTES];
    code_of(key, message, code);
    fleet_hex(code, out);
}

bool fleet_bus_code_good(const struct fleet_bus_keys *keys, sk_str message, sk_str code) {
    char wanted[FLEET_HEX_BYTES];
    if (code.len != FLEET_HEX_BYTES - 1) return false;
    for (unsigned i = 0; i < keys->count; i++) {
        fleet_bus_code(&keys->keys[i], message, wanted);
        if (!CRYPTO_memcmp(wanted, code.data, code.len)) return true;
    }
    return false;
}

sk_err fleet_bus_key_parse(sk_str text, struct fleet_bus_key *out_key) {
    return sk_str_hex_to_bytes(text, out_key->bytes, sizeof out_key->bytes);
}

void fleet_bus_key_format(const struct fleet_bus_key *key, char out[FLEET_HEX_BYTES]) {
    fleet_hex(key->bytes, out);
}
