/* The record of what was done: lines of audit.h in the store, the newest hash on our own disk. */
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "control/process.h"
#include "io/file.h"

enum { TRIES = 20, ABOUT_BYTES = 512 };
#define MARK_FILE "audit-mark"

static sk_str field_of(uint64_t number, char out[20]) {
    return sk_str_make(out, sk_u64_to_text(number, out));
}

static void keep_mark(const struct control_process *process) {
    char path[FLEET_PATH_BYTES], text[FLEET_HEX_BYTES + 32];
    int len = snprintf(text, sizeof text, "%llu %s\n", (unsigned long long)process->audit.number,
                       process->audit.hash);
    if (fleet_path(sk_str_from_c(process->state), MARK_FILE, path) != SK_OK ||
        io_file_replace(path, text, (size_t)len, 0600) != SK_OK)
        sk_log(SK_LOG_ERROR, "control", "%s cannot be written", MARK_FILE);
}

/* Over the lines that others have added. */
static sk_err catch_up(struct control_process *process) {
    sk_err err = SK_OK;
    while (!err) {
        struct sk_arena arena;
        char text[20];
        sk_str line;
        sk_arena_init(&arena, 2048, 0);
        err = control_get(&process->store, CONTROL_TABLE_AUDIT, field_of(process->audit.number + 1, text),
                          &arena, &line);
        if (!err) err = control_audit_follow(line, &process->audit);
        sk_arena_free(&arena);
    }
    return err == SK_ERR_NOT_FOUND ? SK_OK : err;
}

static sk_err add_line(struct control_process *process, const struct control_audit_entry *entry) {
    struct sk_buf line;
    sk_err err = SK_ERR_EXISTS;
    sk_buf_init(&line, CONTROL_AUDIT_LINE_MAX);
    for (int i = 0; i < TRIES && err == SK_ERR_EXISTS; i++) {
        err = catch_up(process);
        struct control_audit_mark next = process->audit;
        char text[20];
        sk_buf_clear(&line);
        if (!err) err = control_audit_write(entry, &next, &line);
        if (!err)
            err = control_add(&process->store, CONTROL_TABLE_AUDIT, field_of(next.number, text),
                              sk_buf_str(&line));
        if (!err) process->audit = next;
    }
    sk_buf_free(&line);
    return err;
}

void control_record_deed(struct control_process *process, const char *who, const char *what,
                         const char *format, ...) {
    char about[ABOUT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(about, sizeof about, format, arguments);
    va_end(arguments);
    sk_log(SK_LOG_INFO, "control", "%s: %s: %s", who, what, about);
    struct control_audit_entry entry = {.at = sk_wall_now_s(),
                                        .who = sk_str_from_c(who),
                                        .what = sk_str_from_c(what),
                                        .about = sk_str_from_c(about)};
    sk_err err = add_line(process, &entry);
    if (err)
        sk_log(SK_LOG_ERROR, "control", "the record of this could not be written: %s",
               err == SK_ERR_CORRUPT ? "the record was changed by somebody" : sk_err_text(err));
    else
        keep_mark(process);
}

/* --- reading it ---------------------------------------------------------------------------------------------- */

static sk_err line_at(struct control_process *process, uint64_t number, struct sk_arena *arena,
                      sk_str *out_line) {
    char text[20];
    return control_get(&process->store, CONTROL_TABLE_AUDIT, field_of(number, text), arena, out_line);
}

sk_err control_api_audit(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    enum { SHOWN = 1000 };
    struct control_process *process = role;
    uint64_t count = 0;
    sk_err err = control_count(&process->store, CONTROL_TABLE_AUDIT, &count);
    answer->type = "application/jsonl";
    for (uint64_t i = count > SHOWN ? count - SHOWN + 1 : 1; i <= count && !err; i++) {
        sk_str line;
        sk_arena_reset(&request->arena);
        err = line_at(process, i, &request->arena, &line);
        if (err == SK_ERR_NOT_FOUND)
            return fleet_admin_say(answer, 500, "the record has holes: see audit/verify");
        if (!err) err = sk_buf_append(&answer->body, line);
        if (!err) err = sk_buf_append(&answer->body, SK_STR("\n"));
    }
    return err;
}

/* What our own disk says of the newest line that we have seen. */
static struct control_audit_mark kept_mark(const struct control_process *process) {
    struct control_audit_mark mark = {0};
    char path[FLEET_PATH_BYTES];
    struct sk_buf text;
    sk_str number, rest;
    sk_buf_init(&text, 0);
    if (fleet_path(sk_str_from_c(process->state), MARK_FILE, path) == SK_OK &&
        io_file_load(path, 256, &text) == SK_OK) {
        rest = sk_buf_str(&text);
        if (sk_str_cut(&rest, ' ', &number) && rest.len == FLEET_HEX_BYTES &&
            sk_str_to_u64(number, &mark.number) == SK_OK)
            memcpy(mark.hash, rest.data, FLEET_HEX_BYTES - 1);
    }
    sk_buf_free(&text);
    return mark;
}

sk_err control_api_audit_verify(void *role, struct fleet_admin_request *request,
                                struct fleet_admin_answer *answer) {
    struct control_process *process = role;
    struct control_audit_mark mark = {0}, kept = kept_mark(process);
    uint64_t count = 0;
    sk_err err = control_count(&process->store, CONTROL_TABLE_AUDIT, &count);
    while (!err && mark.number < count) {
        sk_str line;
        sk_arena_reset(&request->arena);
        err = line_at(process, mark.number + 1, &request->arena, &line);
        if (err == SK_ERR_NOT_FOUND) err = SK_ERR_CORRUPT;
        if (!err) err = control_audit_follow(line, &mark);
        if (!err && mark.number == kept.number && strcmp(mark.hash, kept.hash) != 0) err = SK_ERR_CORRUPT;
    }
    bool cut = !err && mark.number < kept.number;
    if (err && err != SK_ERR_CORRUPT) return err;
    answer->status = err || cut ? 409 : 200;
    return sk_buf_printf(&answer->body, "{\"whole\":%s,\"lines\":%llu,\"text\":\"%s\"}\n",
                         err || cut ? "false" : "true", (unsigned long long)mark.number,
                         err   ? "the line after these is missing or was changed"
                         : cut ? "its end was cut off"
                               : "every line follows from the one before");
}
