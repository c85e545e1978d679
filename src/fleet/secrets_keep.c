/* Certificates of control's on an edge's disk. */
#include <dirent.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "fleet/identity.h"
#include "fleet/secrets.h"
#include "io/file.h"

#define ENDING ".pem"
#define HEAD "Changed: "
#define HEAD_BYTES 40

static sk_err folder_of(sk_str folder, char out[FLEET_PATH_BYTES]) {
    return fleet_path(folder, CONFIG_FLEET_CERTIFICATES, out);
}

static sk_err path_of(sk_str folder, sk_str name, char out[FLEET_PATH_BYTES]) {
    char file[sizeof CONFIG_FLEET_CERTIFICATES + FLEET_WORD_BYTES + sizeof ENDING];
    int len = snprintf(file, sizeof file, CONFIG_FLEET_CERTIFICATES "/%.*s" ENDING, SK_STR_ARGS(name));
    return len >= (int)sizeof file ? SK_ERR_TOO_LARGE : fleet_path(folder, file, out);
}

static void digest_of(sk_str text, char out[FLEET_HEX_BYTES]) {
    uint8_t digest[FLEET_DIGEST_BYTES];
    fleet_digest(text, digest);
    fleet_hex(digest, out);
}

/* A file of ours as two: when it was changed, and the text. */
static sk_err take_apart(sk_str file, uint64_t *out_changed, sk_str *out_text) {
    sk_str line;
    if (!sk_str_cut(&file, '\n', &line) || !sk_str_starts_with(line, SK_STR(HEAD))) return SK_ERR_CORRUPT;
    if (sk_str_to_u64(sk_str_slice(line, sizeof HEAD - 1, line.len), out_changed)) return SK_ERR_CORRUPT;
    *out_text = file;
    return SK_OK;
}

sk_err fleet_certificate_look(sk_str folder, const struct fleet_certificate_item *item, bool *out_have) {
    char path[FLEET_PATH_BYTES], digest[FLEET_HEX_BYTES];
    struct sk_buf file;
    uint64_t changed = 0;
    sk_str text = {0};
    *out_have = false;
    sk_err err = path_of(folder, item->name, path);
    if (err) return err;
    sk_buf_init(&file, 0);
    err = io_file_load(path, FLEET_CERTIFICATE_MAX + HEAD_BYTES, &file);
    if (!err) err = take_apart(sk_buf_str(&file), &changed, &text);
    if (!err) {
        digest_of(text, digest);
        *out_have = changed > item->changed || !strcmp(digest, item->digest);
    }
    if (file.data) OPENSSL_cleanse(file.data, file.capacity);
    sk_buf_free(&file);
    return SK_OK; /* what cannot be read is written anew */
}

sk_err fleet_certificate_keep(sk_str folder, const struct fleet_certificate_item *item, sk_str text) {
    char path[FLEET_PATH_BYTES], digest[FLEET_HEX_BYTES];
    struct sk_buf file;
    digest_of(text, digest);
    if (strcmp(digest, item->digest) != 0) return SK_ERR_CORRUPT;
    sk_err err = folder_of(folder, path);
    if (!err && mkdir(path, 0700) != 0 && errno != EEXIST) err = sk_err_from_errno(errno);
    if (!err) err = path_of(folder, item->name, path);
    if (err) return err;
    sk_buf_init(&file, FLEET_CERTIFICATE_MAX + HEAD_BYTES);
    err = sk_buf_reserve(&file, text.len + HEAD_BYTES); /* it must not move: what it leaves behind is a key */
    if (!err) err = sk_buf_printf(&file, HEAD "%llu\n", (unsigned long long)item->changed);
    if (!err) err = sk_buf_append(&file, text);
    if (!err) err = io_file_replace(path, file.data, sk_buf_len(&file), 0600);
    if (file.data) OPENSSL_cleanse(file.data, file.capacity);
    sk_buf_free(&file);
    return err;
}

void fleet_certificates_prune(sk_str folder, bool (*keep)(void *arg, sk_str name), void *arg) {
    char path[FLEET_PATH_BYTES];
    DIR *dir = folder_of(folder, path) ? NULL : opendir(path);
    for (const struct dirent *entry; dir && (entry = readdir(dir));) {
        sk_str file = sk_str_from_c(entry->d_name);
        size_t bytes = file.len > sizeof ENDING - 1 ? file.len - (sizeof ENDING - 1) : 0;
        sk_str name = sk_str_slice(file, 0, bytes);
        if (!fleet_word_valid(name) || !sk_str_eq(sk_str_slice(file, bytes, file.len), SK_STR(ENDING)))
            continue;
        if (!keep(arg, name)) (void)!unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir) closedir(dir);
}
