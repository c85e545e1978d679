#include "fleet/vault.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

enum { MAGIC_BYTES = 4, ID_BYTES = 8, NONCE_BYTES = 12, TAG_BYTES = 16 };
enum { HEAD_BYTES = MAGIC_BYTES + ID_BYTES + NONCE_BYTES };
_Static_assert(HEAD_BYTES + TAG_BYTES == FLEET_VAULT_EXTRA_BYTES, "what sealing adds");

static const char magic[MAGIC_BYTES + 1] = "SKS1";

static void id_of(const struct fleet_vault_key *key, char out[ID_BYTES]) {
    static const char purpose[] = "skerry seal id 1";
    char text[sizeof purpose + sizeof key->bytes];
    uint8_t digest[FLEET_DIGEST_BYTES];
    memcpy(text, purpose, sizeof purpose);
    memcpy(text + sizeof purpose, key->bytes, sizeof key->bytes);
    fleet_digest(sk_str_make(text, sizeof text), digest);
    memcpy(out, digest, ID_BYTES);
    OPENSSL_cleanse(text, sizeof text);
}

static const unsigned char *bytes_of(sk_str text) { return (const unsigned char *)text.data; }

/* CONTENT through the cipher into OUT (as long), with HEAD's nonce; HEAD and LABEL are covered by the tag too. */
static bool pass(EVP_CIPHER_CTX *cipher, const struct fleet_vault_key *key, const char *head, sk_str label,
                 sk_str content, char *out, int encrypt) {
    int len = 0;
    const unsigned char *nonce = (const unsigned char *)head + MAGIC_BYTES + ID_BYTES;
    return EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, key->bytes, nonce, encrypt) == 1 &&
           EVP_CipherUpdate(cipher, NULL, &len, (const unsigned char *)head, HEAD_BYTES) == 1 &&
           (!label.len || EVP_CipherUpdate(cipher, NULL, &len, bytes_of(label), (int)label.len) == 1) &&
           (!content.len ||
            EVP_CipherUpdate(cipher, (unsigned char *)out, &len, bytes_of(content), (int)content.len) == 1);
}

static sk_err finish(EVP_CIPHER_CTX *cipher, bool good, sk_err otherwise) {
    EVP_CIPHER_CTX_free(cipher);
    if (!good) ERR_clear_error();
    return good ? SK_OK : otherwise;
}

sk_err fleet_vault_close(const struct fleet_vault_keys *keys, sk_str label, sk_str content,
                         struct sk_buf *out) {
    if (content.len > FLEET_VAULT_CONTENT_MAX || label.len > INT_MAX) return SK_ERR_TOO_LARGE;
    sk_err err = sk_buf_reserve(out, content.len + FLEET_VAULT_EXTRA_BYTES);
    if (err) return err;
    char *head = sk_buf_space(out), *sealed = head + HEAD_BYTES;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    int len = 0;
    memcpy(head, magic, MAGIC_BYTES);
    id_of(&keys->keys[0], head + MAGIC_BYTES);
    bool good = cipher && RAND_bytes((unsigned char *)head + MAGIC_BYTES + ID_BYTES, NONCE_BYTES) == 1 &&
                pass(cipher, &keys->keys[0], head, label, content, sealed, 1) &&
                EVP_CipherFinal_ex(cipher, (unsigned char *)sealed + content.len, &len) == 1 &&
                EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, sealed + content.len) == 1;
    if (good) sk_buf_commit(out, content.len + FLEET_VAULT_EXTRA_BYTES);
    return finish(cipher, good, SK_ERR_TLS);
}

static const struct fleet_vault_key *key_of(const struct fleet_vault_keys *keys, sk_str sealed) {
    for (unsigned i = 0; i < keys->count; i++) {
        char id[ID_BYTES];
        id_of(&keys->keys[i], id);
        if (!memcmp(sealed.data + MAGIC_BYTES, id, ID_BYTES)) return &keys->keys[i];
    }
    return NULL;
}

static bool is_sealed(sk_str text) {
    return text.len >= FLEET_VAULT_EXTRA_BYTES &&
           text.len <= FLEET_VAULT_CONTENT_MAX + FLEET_VAULT_EXTRA_BYTES &&
           !memcmp(text.data, magic, MAGIC_BYTES);
}

sk_err fleet_vault_open(const struct fleet_vault_keys *keys, sk_str label, sk_str sealed,
                        struct sk_buf *out) {
    if (!is_sealed(sealed) || label.len > INT_MAX) return SK_ERR_MALFORMED;
    const struct fleet_vault_key *key = key_of(keys, sealed);
    if (!key) return SK_ERR_DENIED;
    sk_str content = sk_str_slice(sealed, HEAD_BYTES, sealed.len - TAG_BYTES);
    char tag[TAG_BYTES];
    memcpy(tag, sealed.data + sealed.len - TAG_BYTES, TAG_BYTES);
    sk_err err = sk_buf_reserve(out, content.len + 1);
    if (err) return err;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    char *plain = sk_buf_space(out);
    int len = 0;
    bool good = cipher && pass(cipher, key, sealed.data, label, content, plain, 0) &&
                EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1 &&
                EVP_CipherFinal_ex(cipher, (unsigned char *)plain + content.len, &len) == 1;
    if (good)
        sk_buf_commit(out, content.len);
    else
        OPENSSL_cleanse(plain, content.len);
    return finish(cipher, good, SK_ERR_CORRUPT);
}

bool fleet_vault_is_newest(const struct fleet_vault_keys *keys, sk_str sealed) {
    return is_sealed(sealed) && key_of(keys, sealed) == &keys->keys[0];
}
