#include "fleet/secrets.h"

#include <openssl/crypto.h>
#include <string.h>

static const sk_str first_line = SK_STR_INIT("skerry secrets 1");

/* --- keys of tickets ----------------------------------------------------------------------------------------- */

void fleet_ticket_format(const struct wire_tls_ticket_key *key, char out[FLEET_TICKET_HEX_BYTES]) {
    sk_hex_write(key->bytes, sizeof key->bytes, out);
    out[FLEET_TICKET_HEX_BYTES - 1] = 0;
}

sk_err fleet_ticket_parse(sk_str text, struct wire_tls_ticket_key *out_key) {
    return sk_str_hex_to_bytes(text, out_key->bytes, sizeof out_key->bytes);
}

/* --- writing ------------------------------------------------------------------------------------------------- */

static sk_err write_ticket(const struct fleet_ticket_item *ticket, struct sk_buf *out) {
    char hex[FLEET_TICKET_HEX_BYTES];
    fleet_ticket_format(&ticket->key, hex);
    sk_err err = sk_buf_printf(out, "ticket %llu %lld %lld %s\n", (unsigned long long)ticket->generation,
                               (long long)ticket->use_until, (long long)ticket->accept_until, hex);
    OPENSSL_cleanse(hex, sizeof hex);
    return err;
}

sk_err fleet_secrets_write(const struct fleet_secrets *secrets, struct sk_buf *out) {
    sk_err err = sk_buf_printf(out, "%.*s\n", SK_STR_ARGS(first_line));
    for (uint32_t i = 0; i < secrets->ticket_count && !err; i++)
        err = write_ticket(&secrets->tickets[i], out);
    for (uint32_t i = 0; i < secrets->certificate_count && !err; i++) {
        const struct fleet_certificate_item *item = &secrets->certificates[i];
        err = sk_buf_printf(out, "certificate %.*s %llu %s\n", SK_STR_ARGS(item->name),
                            (unsigned long long)item->changed, item->digest);
    }
    return err;
}

/* --- reading ------------------------------------------------------------------------------------------------- */

enum { WORDS_MAX = 5 };

/* LINE as COUNT words with one blank between them. */
static sk_err split(sk_str line, sk_str words[WORDS_MAX], unsigned count) {
    unsigned n = 0;
    sk_str word;
    while (sk_str_cut(&line, ' ', &word)) {
        if (n == count || !word.len) return SK_ERR_MALFORMED;
        words[n++] = word;
    }
    return n == count ? SK_OK : SK_ERR_MALFORMED;
}

static sk_err read_time(sk_str word, sk_unix_s *out) {
    uint64_t value;
    if (sk_str_to_u64(word, &value) || value > INT64_MAX / 4) return SK_ERR_MALFORMED;
    *out = (sk_unix_s)value;
    return SK_OK;
}

static sk_err read_ticket(sk_str line, struct fleet_secrets *secrets) {
    sk_str words[WORDS_MAX];
    if (secrets->ticket_count == WIRE_TLS_SHARED_KEYS || split(line, words, 5)) return SK_ERR_MALFORMED;
    struct fleet_ticket_item *ticket = &secrets->tickets[secrets->ticket_count++];
    sk_err err = sk_str_to_u64(words[1], &ticket->generation) ? SK_ERR_MALFORMED : SK_OK;
    if (!err) err = read_time(words[2], &ticket->use_until);
    if (!err) err = read_time(words[3], &ticket->accept_until);
    return err ? err : fleet_ticket_parse(words[4], &ticket->key);
}

static bool is_digest(sk_str word) {
    for (size_t i = 0; i < word.len; i++)
        if (!(word.data[i] >= '0' && word.data[i] <= '9') && !(word.data[i] >= 'a' && word.data[i] <= 'f'))
            return false;
    return word.len == FLEET_HEX_BYTES - 1;
}

static sk_err read_certificate(sk_str line, struct sk_arena *arena, struct fleet_secrets *secrets) {
    sk_str words[WORDS_MAX];
    if (secrets->certificate_count == FLEET_CERTIFICATES_MAX || split(line, words, 4))
        return SK_ERR_MALFORMED;
    struct fleet_certificate_item *item = &secrets->certificates[secrets->certificate_count++];
    if (!fleet_word_valid(words[1]) || sk_str_to_u64(words[2], &item->changed) || !is_digest(words[3]))
        return SK_ERR_MALFORMED;
    memcpy(item->digest, words[3].data, words[3].len);
    item->name = sk_arena_copy(arena, words[1]);
    return item->name.data ? SK_OK : SK_ERR_NO_MEMORY;
}

static sk_err read_line(sk_str line, struct sk_arena *arena, struct fleet_secrets *secrets) {
    if (sk_str_starts_with(line, SK_STR("ticket "))) return read_ticket(line, secrets);
    if (sk_str_starts_with(line, SK_STR("certificate "))) return read_certificate(line, arena, secrets);
    return SK_ERR_MALFORMED;
}

static uint32_t lines_in(sk_str text) {
    uint32_t count = 0;
    for (size_t i = 0; i < text.len; i++) count += text.data[i] == '\n';
    return count;
}

sk_err fleet_secrets_parse(sk_str text, struct sk_arena *arena, struct fleet_secrets *out_secrets) {
    struct fleet_secrets secrets = {0};
    sk_str line;
    if (!text.len || text.len > FLEET_SECRETS_MAX || text.data[text.len - 1] != '\n') return SK_ERR_MALFORMED;
    uint32_t most = SK_MIN(lines_in(text), FLEET_CERTIFICATES_MAX + 1);
    secrets.certificates = sk_arena_zalloc(arena, most * sizeof *secrets.certificates);
    if (!secrets.certificates) return SK_ERR_NO_MEMORY;
    text.len--;
    sk_err err = sk_str_cut(&text, '\n', &line) && sk_str_eq(line, first_line) ? SK_OK : SK_ERR_MALFORMED;
    while (!err && sk_str_cut(&text, '\n', &line)) err = read_line(line, arena, &secrets);
    if (!err) *out_secrets = secrets;
    OPENSSL_cleanse(secrets.tickets, sizeof secrets.tickets);
    return err;
}
