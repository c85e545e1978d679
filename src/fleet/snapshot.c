#include "fleet/snapshot.h"

#include "io/file.h"

static const sk_str magic = SK_STR_INIT("SKSNAP1\n");
enum { HEAD_BYTES = 8 + 8 + 8 + 2 + 4 + 2 + 2, CERTIFICATE_MAX = 12 * 1024 };

static uint64_t get(const char **at, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | (unsigned char)*(*at)++;
    return value;
}

static sk_err put(struct sk_buf *out, uint64_t value, int bytes) {
    char text[8];
    for (int i = 0; i < bytes; i++) text[i] = (char)(value >> 8 * (bytes - 1 - i));
    return sk_buf_append(out, sk_str_make(text, (size_t)bytes));
}

static bool author_valid(sk_str author) {
    if (author.len > FLEET_SNAPSHOT_AUTHOR_MAX) return false;
    for (size_t i = 0; i < author.len; i++)
        if (author.data[i] < 0x20 || author.data[i] > 0x7e) return false;
    return true;
}

static sk_str take(const char **at, size_t bytes) {
    sk_str piece = sk_str_make(*at, bytes);
    *at += bytes;
    return piece;
}

sk_err fleet_snapshot_parse(sk_str bytes, struct fleet_snapshot *out_snapshot) {
    struct fleet_snapshot snapshot = {0};
    uint8_t digest[FLEET_DIGEST_BYTES];
    if (bytes.len > FLEET_SNAPSHOT_MAX) return SK_ERR_TOO_LARGE;
    if (bytes.len < HEAD_BYTES || !sk_str_starts_with(bytes, magic)) return SK_ERR_MALFORMED;
    const char *at = bytes.data + magic.len;
    snapshot.number = get(&at, 8);
    uint64_t created = get(&at, 8);
    size_t author = get(&at, 2), body = get(&at, 4), certificate = get(&at, 2), signature = get(&at, 2);
    if (!snapshot.number || created > INT64_MAX || !body || body > FLEET_SNAPSHOT_BODY_MAX ||
        certificate > CERTIFICATE_MAX || signature != FLEET_SIGNATURE_BYTES ||
        bytes.len != HEAD_BYTES + author + body + certificate + signature)
        return SK_ERR_MALFORMED;
    snapshot.created = (sk_unix_s)created;
    snapshot.author = take(&at, author);
    snapshot.body = take(&at, body);
    snapshot.certificate = take(&at, certificate);
    snapshot.signature = take(&at, signature);
    snapshot.covered = sk_str_slice(bytes, 0, bytes.len - signature);
    if (!author_valid(snapshot.author)) return SK_ERR_MALFORMED;
    fleet_digest(snapshot.covered, digest);
    fleet_hex(digest, snapshot.digest);
    *out_snapshot = snapshot;
    return SK_OK;
}

static sk_err write_covered(const struct fleet_snapshot *snapshot, sk_str certificate, struct sk_buf *out) {
    sk_err err = sk_buf_append(out, magic);
    if (!err) err = put(out, snapshot->number, 8);
    if (!err) err = put(out, (uint64_t)snapshot->created, 8);
    if (!err) err = put(out, snapshot->author.len, 2);
    if (!err) err = put(out, snapshot->body.len, 4);
    if (!err) err = put(out, certificate.len, 2);
    if (!err) err = put(out, FLEET_SIGNATURE_BYTES, 2);
    if (!err) err = sk_buf_append(out, snapshot->author);
    if (!err) err = sk_buf_append(out, snapshot->body);
    return err ? err : sk_buf_append(out, certificate);
}

sk_err fleet_snapshot_make(const struct fleet_identity *identity, const struct fleet_snapshot *snapshot,
                           struct sk_buf *out) {
    struct sk_buf certificate;
    size_t before = sk_buf_len(out);
    if (!snapshot->number || snapshot->created < 0 || !snapshot->body.len || !author_valid(snapshot->author))
        return SK_ERR_INVALID;
    if (snapshot->body.len > FLEET_SNAPSHOT_BODY_MAX) return SK_ERR_TOO_LARGE;
    sk_buf_init(&certificate, CERTIFICATE_MAX);
    sk_err err = fleet_identity_certificate(identity, &certificate);
    if (!err) err = write_covered(snapshot, sk_buf_str(&certificate), out);
    if (!err) err = sk_buf_reserve(out, FLEET_SIGNATURE_BYTES); /* the next must not move what it reads */
    sk_str covered = sk_buf_str(out);
    if (!err)
        err = fleet_sign(identity, FLEET_SNAPSHOT_PURPOSE, sk_str_slice(covered, before, covered.len), out);
    sk_buf_free(&certificate);
    return err;
}

sk_err fleet_snapshot_check(const struct fleet_identity *identity, sk_str bytes, uint64_t in_force,
                            const struct fleet_expelled *expelled, struct fleet_snapshot *out_snapshot) {
    struct fleet_snapshot snapshot;
    struct fleet_id signer;
    sk_err err = fleet_snapshot_parse(bytes, &snapshot);
    if (err) return err;
    struct fleet_signed what = {.purpose = FLEET_SNAPSHOT_PURPOSE,
                                .message = snapshot.covered,
                                .signature = snapshot.signature,
                                .certificate = snapshot.certificate,
                                .at = snapshot.created,
                                .verb = FLEET_VERB_SIGN_SNAPSHOT};
    err = fleet_verify(identity, &what, expelled, &signer);
    if (!err && snapshot.number <= in_force) err = SK_ERR_STALE;
    if (!err) *out_snapshot = snapshot;
    return err;
}

sk_err fleet_snapshot_read(sk_str folder, struct sk_buf *out) {
    char path[FLEET_PATH_BYTES];
    sk_err err = fleet_path(folder, FLEET_FILE_SNAPSHOT, path);
    return err ? err : io_file_load(path, FLEET_SNAPSHOT_MAX, out);
}

sk_err fleet_snapshot_keep(sk_str folder, sk_str bytes) {
    char path[FLEET_PATH_BYTES];
    sk_err err = fleet_path(folder, FLEET_FILE_SNAPSHOT, path);
    return err ? err : io_file_replace(path, bytes.data, bytes.len, 0600);
}
