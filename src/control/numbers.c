/* Numbers of configurations: one that an edge may have is never given to another text, even if Valkey has forgotten it (a
 * failover that lost the last of it). Numbers may therefore be left out. */
#include "base/log.h"
#include "control/process.h"
#include "io/file.h"

#define NUMBER_FILE "configuration-mark" /* the highest number that we have given */
enum { FILE_BYTES = 64, JUMP_MOST = 1000 };

static sk_err read_mark(const struct control_process *process, uint64_t *out_number) {
    char path[FLEET_PATH_BYTES];
    struct sk_buf text;
    sk_buf_init(&text, 0);
    sk_err err = fleet_path(sk_str_from_c(process->state), NUMBER_FILE, path);
    if (!err) err = io_file_load(path, FILE_BYTES, &text);
    if (!err) err = sk_str_to_u64(sk_str_trim(sk_buf_str(&text)), out_number);
    sk_buf_free(&text);
    return err;
}

uint64_t control_numbers_used(struct control_process *process) {
    uint64_t kept = 0;
    sk_err err = process->number_used ? SK_OK : read_mark(process, &kept);
    if (err && err != SK_ERR_NOT_FOUND)
        sk_log(SK_LOG_ERROR, "control", "%s: %s", NUMBER_FILE, sk_err_text(err));
    process->number_used = SK_MAX(process->number_used, kept);
    return process->number_used;
}

sk_err control_numbers_use(struct control_process *process, uint64_t number) {
    char path[FLEET_PATH_BYTES], text[20];
    process->number_used = SK_MAX(process->number_used, number);
    sk_err err = fleet_path(sk_str_from_c(process->state), NUMBER_FILE, path);
    return err ? err : io_file_replace(path, text, sk_u64_to_text(number, text), 0600);
}

/* What an edge says is not proven: it may not use up all the numbers there are. */
void control_numbers_seen(struct control_process *process, uint64_t in_force) {
    if (in_force <= process->view.head + JUMP_MOST)
        process->number_used = SK_MAX(control_numbers_used(process), in_force);
}

sk_err control_head(struct control_process *process, uint64_t *out_head) {
    struct sk_arena arena;
    sk_str text;
    sk_arena_init(&arena, 256, 0);
    sk_err err = control_get(&process->store, CONTROL_TABLE_STATE, SK_STR("head"), &arena, &text);
    if (!err && sk_str_to_u64(text, out_head)) err = SK_ERR_CORRUPT;
    sk_arena_free(&arena);
    if (err == SK_ERR_NOT_FOUND) {
        *out_head = 0;
        err = SK_OK;
    }
    return err;
}
