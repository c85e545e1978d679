#include "wire/tls_record.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <threads.h>

#define HEAD_BYTES 5
#define TAG_BYTES 16
/* Section 5.2: a record's length is at most this; what it holds has at least a type. */
#define PROTECTED_MAX (WIRE_TLS_RECORD_BYTES + 256)
#define PROTECTED_MIN (TAG_BYTES + 1)
/* Nobody needs so many on one connection (section 4.6.3); each costs us keys and an answer. */
#define KEY_UPDATES_MAX 64
#define EMPTY_MAX 32
/* Section 5.5: AES-GCM is good for 2^24.5 full records under one key. */
#define RECORDS_A_KEY (UINT64_C(1) << 24)

enum content { CHANGE_CIPHER_SPEC = 20, ALERT = 21, HANDSHAKE = 22, APPLICATION_DATA = 23 };
enum alert {
    CLOSE_NOTIFY = 0,
    UNEXPECTED_MESSAGE = 10,
    BAD_RECORD_MAC = 20,
    RECORD_OVERFLOW = 22,
    DECODE_ERROR = 50,
    ILLEGAL_PARAMETER = 47,
    INTERNAL_ERROR = 80,
    USER_CANCELED = 90,
};
enum { MESSAGE_KEY_UPDATE = 24 };

struct wire_tls_suite {
    uint16_t number;
    const char *cipher, *digest;
    size_t key_bytes, secret_bytes;
};

static const struct wire_tls_suite suites[] = {
    {0x1301, "AES-128-GCM", "SHA256", 16, 32},
    {0x1302, "AES-256-GCM", "SHA384", 32, 48},
    {0x1303, "ChaCha20-Poly1305", "SHA256", 32, 32},
};
/* Looked up once: by name it costs more than a record. Constant after CALL_ONCE. */
static struct {
    EVP_CIPHER *cipher;
    EVP_MD *digest;
} methods[SK_COUNT(suites)];
static once_flag methods_once = ONCE_FLAG_INIT;

static void fetch_methods(void) {
    for (size_t i = 0; i < SK_COUNT(suites); i++) {
        methods[i].cipher = EVP_CIPHER_fetch(NULL, suites[i].cipher, NULL);
        methods[i].digest = EVP_MD_fetch(NULL, suites[i].digest, NULL);
    }
}

static const struct wire_tls_suite *find_suite(uint16_t number) {
    call_once(&methods_once, fetch_methods);
    for (size_t i = 0; i < SK_COUNT(suites); i++)
        if (suites[i].number == number) return methods[i].cipher && methods[i].digest ? &suites[i] : NULL;
    return NULL;
}

bool wire_tls_record_knows(uint16_t suite) { return find_suite(suite) != NULL; }

/* --- keys ------------------------------------------------------------------------------------------------- */

/* HKDF-Expand-Label (section 7.1) with an empty context, for outputs no longer than the digest: one HMAC. */
static bool expand(const struct wire_tls_suite *suite, const uint8_t *secret, const char *label, uint8_t *out,
                   size_t bytes) {
    uint8_t info[32] = {0, (uint8_t)bytes}, made[EVP_MAX_MD_SIZE];
    size_t label_bytes = strlen(label), n = 2;
    unsigned made_bytes = 0;
    SK_ASSERT(bytes <= suite->secret_bytes && label_bytes + 11 <= sizeof info);
    info[n++] = (uint8_t)(6 + label_bytes);
    memcpy(info + n, "tls13 ", 6);
    memcpy(info + n + 6, label, label_bytes);
    n += 6 + label_bytes;
    info[n++] = 0; /* the context's length */
    info[n++] = 1; /* HKDF's counter (RFC 5869 section 2.3) */
    if (!HMAC(methods[suite - suites].digest, secret, (int)suite->secret_bytes, info, n, made, &made_bytes))
        return false;
    memcpy(out, made, bytes);
    OPENSSL_cleanse(made, sizeof made);
    return true;
}

/* Section 7.3: key and IV of WAY's secret; records are counted anew by the caller. */
static sk_err set_keys(const struct wire_tls_suite *suite, struct wire_tls_way *way, bool encrypt) {
    uint8_t key[32];
    EVP_CIPHER_CTX *ctx = way->cipher;
    if (!ctx) way->cipher = ctx = EVP_CIPHER_CTX_new();
    bool made = ctx && expand(suite, way->secret, "key", key, suite->key_bytes) &&
                expand(suite, way->secret, "iv", way->iv, sizeof way->iv) &&
                EVP_CipherInit_ex2(ctx, methods[suite - suites].cipher, key, NULL, encrypt, NULL) == 1;
    OPENSSL_cleanse(key, sizeof key);
    return made ? SK_OK : SK_ERR_NO_MEMORY;
}

/* Section 7.2: the next generation. */
static sk_err next_keys(const struct wire_tls_suite *suite, struct wire_tls_way *way, bool encrypt) {
    if (!expand(suite, way->secret, "traffic upd", way->secret, suite->secret_bytes)) return SK_ERR_NO_MEMORY;
    way->sequence = 0;
    return set_keys(suite, way, encrypt);
}

/* Section 5.3. */
static void make_nonce(const struct wire_tls_way *way, uint8_t nonce[12]) {
    memcpy(nonce, way->iv, 12);
    for (int i = 0; i < 8; i++) nonce[11 - i] ^= (uint8_t)(way->sequence >> (8 * i));
}

sk_err wire_tls_record_start(struct wire_tls_record *record, uint16_t suite) {
    const struct wire_tls_suite *found = find_suite(suite);
    if (!found) return SK_ERR_UNSUPPORTED;
    sk_err err = set_keys(found, &record->in, false);
    if (!err) err = set_keys(found, &record->out, true);
    if (err) return err;
    sk_buf_init(&record->partial, HEAD_BYTES + PROTECTED_MAX);
    sk_buf_init(&record->plain, HEAD_BYTES + PROTECTED_MAX);
    record->in.sequence = 0;
    record->error = "";
    record->suite = found;
    return SK_OK;
}

void wire_tls_record_free(struct wire_tls_record *record) {
    EVP_CIPHER_CTX_free(record->in.cipher);
    EVP_CIPHER_CTX_free(record->out.cipher);
    sk_buf_free(&record->partial);
    sk_buf_free(&record->plain);
    OPENSSL_cleanse(record, sizeof *record);
}

/* --- out -------------------------------------------------------------------------------------------------- */

/* One record of at most WIRE_TLS_RECORD_BYTES. */
static sk_err seal(struct wire_tls_record *record, enum content type, const void *data, size_t bytes,
                   struct sk_buf *output) {
    EVP_CIPHER_CTX *ctx = record->out.cipher;
    size_t sealed = bytes + 1 + TAG_BYTES;
    uint8_t nonce[12], inner = (uint8_t)type;
    int n = 0, rest = 0;
    sk_err err = sk_buf_reserve(output, HEAD_BYTES + sealed);
    if (err) return err;
    uint8_t *head = (uint8_t *)sk_buf_space(output), *text = head + HEAD_BYTES;
    memcpy(head, (uint8_t[]){APPLICATION_DATA, 3, 3, (uint8_t)(sealed >> 8), (uint8_t)sealed}, HEAD_BYTES);
    make_nonce(&record->out, nonce);
    if (EVP_CipherInit_ex2(ctx, NULL, NULL, nonce, -1, NULL) != 1 ||
        EVP_CipherUpdate(ctx, NULL, &n, head, HEAD_BYTES) != 1 ||
        (bytes && EVP_CipherUpdate(ctx, text, &n, data, (int)bytes) != 1) ||
        EVP_CipherUpdate(ctx, text + bytes, &n, &inner, 1) != 1 ||
        EVP_CipherFinal_ex(ctx, text + bytes + 1, &rest) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, text + bytes + 1) != 1)
        return SK_ERR_NO_MEMORY;
    record->out.sequence++;
    sk_buf_commit(output, HEAD_BYTES + sealed);
    return SK_OK;
}

/* Says that our key changes, and changes it (section 4.6.3). */
static sk_err update_key(struct wire_tls_record *record, struct sk_buf *output) {
    static const uint8_t update[] = {MESSAGE_KEY_UPDATE, 0, 0, 1, 0};
    sk_err err = seal(record, HANDSHAKE, update, sizeof update, output);
    return err ? err : next_keys(record->suite, &record->out, true);
}

sk_err wire_tls_record_write(struct wire_tls_record *record, const char *data, size_t bytes,
                             struct sk_buf *output) {
    sk_err err = SK_OK;
    while (bytes && !err) {
        size_t n = SK_MIN(bytes, (size_t)WIRE_TLS_RECORD_BYTES);
        if (record->out.sequence >= RECORDS_A_KEY) err = update_key(record, output);
        if (!err) err = seal(record, APPLICATION_DATA, data, n, output);
        data += n;
        bytes -= n;
    }
    return err;
}

static void say(struct wire_tls_record *record, enum alert alert, struct sk_buf *output) {
    uint8_t text[] = {alert == CLOSE_NOTIFY ? 1 : 2, (uint8_t)alert};
    (void)!seal(record, ALERT, text, sizeof text, output); /* without memory: without a word */
}

void wire_tls_record_close_notify(struct wire_tls_record *record, struct sk_buf *output) {
    if (!record->failed) say(record, CLOSE_NOTIFY, output);
}

/* --- in --------------------------------------------------------------------------------------------------- */

static sk_err fail(struct wire_tls_record *record, enum alert alert, const char *why, struct sk_buf *output) {
    say(record, alert, output);
    record->failed = true;
    record->error = why;
    return SK_ERR_TLS;
}

/* Decrypts the TEXT of a record with HEAD into OUT, which has room for all but the tag. */
static bool open_record(struct wire_tls_record *record, const char *head, sk_str text, char *out) {
    EVP_CIPHER_CTX *ctx = record->in.cipher;
    size_t inner = text.len - TAG_BYTES;
    uint8_t nonce[12];
    int n = 0, rest = 0;
    make_nonce(&record->in, nonce);
    record->in.sequence++;
    return EVP_CipherInit_ex2(ctx, NULL, NULL, nonce, -1, NULL) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES,
                               (void *)(uintptr_t)(text.data + inner)) == 1 &&
           EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)head, HEAD_BYTES) == 1 &&
           EVP_CipherUpdate(ctx, (uint8_t *)out, &n, (const uint8_t *)text.data, (int)inner) == 1 &&
           EVP_CipherFinal_ex(ctx, (uint8_t *)out + n, &rest) == 1;
}

/* A whole KeyUpdate. */
static sk_err take_key_update(struct wire_tls_record *record, bool asked, struct sk_buf *output) {
    if (++record->key_updates > KEY_UPDATES_MAX)
        return fail(record, UNEXPECTED_MESSAGE, "too many key updates", output);
    sk_err err = next_keys(record->suite, &record->in, false);
    return !err && asked ? update_key(record, output) : err;
}

/* Post-handshake messages: a client has only KeyUpdate to say, and after it the record must be over. */
static sk_err take_messages(struct wire_tls_record *record, const uint8_t *text, size_t bytes,
                            struct sk_buf *output) {
    static const uint8_t update[] = {MESSAGE_KEY_UPDATE, 0, 0, 1};
    if (!bytes) return fail(record, UNEXPECTED_MESSAGE, "empty handshake record", output);
    for (size_t i = 0; i < bytes; i++) {
        uint8_t at = record->message_bytes;
        if (at < sizeof update && text[i] != update[at])
            return fail(record, at ? DECODE_ERROR : UNEXPECTED_MESSAGE, "unexpected message", output);
        record->message[record->message_bytes++] = text[i];
        if (record->message_bytes < sizeof record->message) continue;
        record->message_bytes = 0;
        if (text[i] > 1) return fail(record, ILLEGAL_PARAMETER, "malformed key update", output);
        if (i + 1 < bytes) return fail(record, UNEXPECTED_MESSAGE, "a message behind a key update", output);
        return take_key_update(record, text[i] == 1, output);
    }
    return SK_OK;
}

/* Section 6: everything but close_notify and user_canceled is an error. */
static sk_err take_alert(struct wire_tls_record *record, const uint8_t *text, size_t bytes,
                         struct sk_buf *output) {
    if (bytes != 2) return fail(record, DECODE_ERROR, "malformed alert", output);
    if (text[1] == USER_CANCELED) return SK_OK;
    if (text[1] == CLOSE_NOTIFY) {
        record->ended = true;
        return SK_OK;
    }
    record->failed = true;
    record->error = "alert from the peer";
    return SK_ERR_TLS;
}

/* What was in a record, INNER bytes at TEXT: *OUT_N bytes of plaintext are there, or it is dealt with. */
static sk_err take_inner(struct wire_tls_record *record, const char *text, size_t inner,
                         struct sk_buf *output, size_t *out_n) {
    const uint8_t *bytes = (const uint8_t *)text;
    while (inner && !bytes[inner - 1]) inner--; /* section 5.4: padding */
    if (!inner) return fail(record, UNEXPECTED_MESSAGE, "a record without a type", output);
    enum content type = bytes[--inner];
    if (inner > WIRE_TLS_RECORD_BYTES) return fail(record, RECORD_OVERFLOW, "record overflow", output);
    if (record->message_bytes && type != HANDSHAKE) /* section 5.1: nothing comes between its parts */
        return fail(record, UNEXPECTED_MESSAGE, "a message was interrupted", output);
    if (type == APPLICATION_DATA && inner) {
        record->empty = 0;
        *out_n = inner;
        return SK_OK;
    }
    if (++record->empty > EMPTY_MAX)
        return fail(record, UNEXPECTED_MESSAGE, "too many records without content", output);
    switch (type) {
    case APPLICATION_DATA: return SK_OK;
    case HANDSHAKE: return take_messages(record, bytes, inner, output);
    case ALERT: return take_alert(record, bytes, inner, output);
    default: return fail(record, UNEXPECTED_MESSAGE, "a record of an unexpected type", output);
    }
}

/* A whole record. Its plaintext goes to DATA where there is room for all of it, else it waits in PLAIN. */
static sk_err take_record(struct wire_tls_record *record, sk_str whole, struct sk_buf *output, char *data,
                          size_t bytes, size_t *out_n) {
    sk_str text = sk_str_slice(whole, HEAD_BYTES, whole.len);
    size_t inner = text.len - TAG_BYTES, n = 0;
    bool direct = inner <= bytes;
    if (!direct && sk_buf_reserve(&record->plain, inner) != SK_OK) return SK_ERR_NO_MEMORY;
    char *room = direct ? data : sk_buf_space(&record->plain);
    if (!open_record(record, whole.data, text, room))
        return fail(record, BAD_RECORD_MAC, "bad record mac", output);
    sk_err err = take_inner(record, room, inner, output, &n);
    if (direct)
        *out_n = n;
    else
        sk_buf_commit(&record->plain, n);
    return err;
}

/* Of the record that begins with the HEAD_BYTES at HEAD: all its bytes. */
static sk_err check_head(struct wire_tls_record *record, const char *head, struct sk_buf *output,
                         size_t *out_bytes) {
    const uint8_t *bytes = (const uint8_t *)head;
    size_t length = (size_t)bytes[3] << 8 | bytes[4];
    if (bytes[0] != APPLICATION_DATA) /* section 5.2: nothing is sent without protection any more */
        return fail(record, UNEXPECTED_MESSAGE, "a record without protection", output);
    if (length > PROTECTED_MAX) return fail(record, RECORD_OVERFLOW, "record overflow", output);
    if (length < PROTECTED_MIN) return fail(record, BAD_RECORD_MAC, "malformed record", output);
    *out_bytes = HEAD_BYTES + length;
    return SK_OK;
}

/* PARTIAL grows out of INPUT to BYTES, as far as it goes. */
static sk_err gather(struct wire_tls_record *record, sk_str *input, size_t bytes) {
    size_t missing = bytes - SK_MIN(bytes, sk_buf_len(&record->partial)), n = SK_MIN(missing, input->len);
    sk_err err = sk_buf_append(&record->partial, sk_str_slice(*input, 0, n));
    if (!err) *input = sk_str_slice(*input, n, input->len);
    return err;
}

/* The next whole record, in place or gathered. SK_ERR_AGAIN: it is not there yet. */
static sk_err next_record(struct wire_tls_record *record, sk_str *input, struct sk_buf *output,
                          sk_str *out_whole) {
    struct sk_buf *partial = &record->partial;
    size_t bytes = 0;
    if (!sk_buf_len(partial) && input->len >= HEAD_BYTES) {
        sk_err err = check_head(record, input->data, output, &bytes);
        if (err) return err;
        if (input->len >= bytes) {
            *out_whole = sk_str_slice(*input, 0, bytes);
            *input = sk_str_slice(*input, bytes, input->len);
            return SK_OK;
        }
    }
    sk_err err = input->len ? gather(record, input, HEAD_BYTES) : SK_OK;
    if (!err && sk_buf_len(partial) < HEAD_BYTES) err = SK_ERR_AGAIN;
    if (!err) err = check_head(record, sk_buf_str(partial).data, output, &bytes);
    if (!err && input->len) err = gather(record, input, bytes);
    if (!err && sk_buf_len(partial) < bytes) err = SK_ERR_AGAIN;
    if (!err) *out_whole = sk_buf_str(partial);
    return err;
}

/* Plaintext that waits. */
static size_t take_plain(struct wire_tls_record *record, char *data, size_t bytes) {
    sk_str text = sk_buf_str(&record->plain);
    size_t n = SK_MIN(bytes, text.len);
    if (n) memcpy(data, text.data, n);
    sk_buf_consume(&record->plain, n);
    sk_buf_shrink(&record->plain);
    return n;
}

sk_err wire_tls_record_read(struct wire_tls_record *record, sk_str *input, struct sk_buf *output, char *data,
                            size_t bytes, size_t *out_n) {
    size_t n = take_plain(record, data, bytes);
    while (!n) {
        sk_str whole;
        if (record->failed) return SK_ERR_TLS;
        if (record->ended) return SK_ERR_END;
        sk_err err = next_record(record, input, output, &whole);
        if (err) return err;
        bool gathered = sk_buf_len(&record->partial) > 0;
        err = take_record(record, whole, output, data, bytes, &n);
        if (gathered) {
            sk_buf_clear(&record->partial);
            sk_buf_shrink(&record->partial);
        }
        if (err) return err;
        if (!n) n = take_plain(record, data, bytes);
    }
    *out_n = n;
    return SK_OK;
}
