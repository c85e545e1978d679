/* Configurations: checked, numbered, signed, kept, and set on their way. */
#include <stdio.h>
#include <stdlib.h>
#include <yyjson.h>

#include "base/log.h"
#include "config/problem.h"
#include "config/scan.h"
#include "control/process.h"
#include "fleet/deep.h"

/* --- what a fleet's configuration may say ------------------------------------------------------------------- */

/* All else belongs to each machine's own file. */
static const char *const shared_keys[] = {"sites", "limits", "timeouts", "purge", "trusted_proxies"};

static bool is_shared(sk_str key) {
    for (size_t i = 0; i < SK_COUNT(shared_keys); i++)
        if (sk_str_eq(key, sk_str_from_c(shared_keys[i]))) return true;
    return false;
}

struct checking {
    sk_str body;
    struct config_problems problems;
};

/* Edges read it behind their own file: there it must be good as well (no second document, say). */
static sk_err check_behind_a_file(struct checking *checking) {
    struct config *config;
    struct sk_buf text;
    sk_buf_init(&text, 0);
    sk_err err = sk_buf_append(&text, SK_STR("fleet: {state: /nowhere}\n"));
    if (!err) err = sk_buf_append(&text, checking->body);
    if (!err)
        err = config_parse(sk_buf_str(&text), "behind a machine's own file", &config, &checking->problems);
    if (!err) config_unref(config);
    sk_buf_free(&text);
    return err;
}

static sk_err check_now(void *arg) {
    static const char name[] = "configuration";
    struct checking *checking = arg;
    struct config *config;
    sk_err err = config_parse_shared(checking->body, name, &config, &checking->problems);
    if (err) return err;
    config_unref(config);
    err = check_behind_a_file(checking);
    if (err) return err;
    for (size_t i = 0; i < config_top->count; i++) {
        const struct config_option *option = &config_top->options[i];
        struct config_place place = config_locate(checking->body, name, option->key.data);
        if (is_shared(option->key) || !place.line) continue;
        config_problem(&checking->problems, place, "belongs to each machine's own file, not to the fleet");
        err = SK_ERR_INVALID;
    }
    return err;
}

sk_err control_check_body(sk_str body, struct sk_buf *out_problems) {
    struct checking checking = {.body = body};
    config_problems_init(&checking.problems);
    sk_err err = fleet_deeply(check_now, &checking), told = SK_OK;
    if (err == SK_ERR_INVALID) told = sk_buf_append(out_problems, sk_buf_str(&checking.problems.text));
    config_problems_free(&checking.problems);
    return told ? told : err;
}

/* --- numbers and signatures ---------------------------------------------------------------------------------- */

struct signing {
    struct fleet_identity *identity;
    struct fleet_snapshot snapshot;
    struct sk_buf out;
};

static sk_err sign_now(void *arg) {
    struct signing *signing = arg;
    sk_buf_clear(&signing->out);
    return fleet_snapshot_make(signing->identity, &signing->snapshot, &signing->out);
}

static sk_err add_next(struct control_process *process, struct signing *signing) {
    char text[20];
    uint64_t head = 0, count = 0;
    sk_err err = control_head(process, &head);
    if (!err) err = control_count(&process->store, CONTROL_TABLE_SNAPSHOTS, &count);
    if (err) return err;
    uint64_t number = SK_MAX(SK_MAX(head, count), control_numbers_used(process)) + 1;
    signing->snapshot.number = number;
    signing->snapshot.created = sk_wall_now_s();
    err = fleet_deeply(sign_now, signing);
    if (!err) err = control_numbers_use(process, number);
    if (err) return err;
    sk_str field = sk_str_make(text, sk_u64_to_text(number, text));
    err = control_add(&process->store, CONTROL_TABLE_SNAPSHOTS, field, sk_buf_str(&signing->out));
    if (!err) err = control_put(&process->store, CONTROL_TABLE_STATE, SK_STR("head"), field);
    return err == SK_ERR_EXISTS ? SK_ERR_BUSY : err;
}

static sk_err begin_rollout(struct control_process *process, uint64_t number, bool all) {
    struct sk_arena arena;
    struct control_record *records = NULL;
    size_t count = 0;
    struct control_rollout present = {0}, next;
    sk_arena_init(&arena, 4096, 0);
    sk_err err = control_rollout_get(process, &present);
    if (err == SK_ERR_NOT_FOUND) err = SK_OK;
    if (!err && !all) err = control_records(&process->store, sk_wall_now_s(), &arena, &records, &count);
    struct control_node *nodes = err ? NULL : sk_arena_zalloc(&arena, SK_MAX(count, 1) * sizeof *nodes);
    if (!err && !nodes) err = SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < count && !err; i++) nodes[i] = records[i].node;
    if (!err) {
        next = control_rollout_begin(&present, number, nodes, count, sk_wall_now_s());
        err = control_rollout_put(process, &next);
    }
    sk_arena_free(&arena);
    return err;
}

sk_err control_publish(struct control_process *process, sk_str body, const char *author, bool all,
                       uint64_t *out_number) {
    struct signing signing = {.identity = fleet_identity_ref(process->identity),
                              .snapshot = {.author = sk_str_from_c(author), .body = body}};
    sk_buf_init(&signing.out, FLEET_SNAPSHOT_MAX);
    signing.snapshot.author.len = SK_MIN(signing.snapshot.author.len, FLEET_SNAPSHOT_AUTHOR_MAX);
    sk_err err = add_next(process, &signing);
    if (!err) err = begin_rollout(process, signing.snapshot.number, all);
    if (!err) err = control_refresh(process);
    if (!err) *out_number = signing.snapshot.number;
    sk_buf_free(&signing.out);
    fleet_identity_unref(signing.identity);
    return err;
}

sk_err control_snapshot(struct control_process *process, uint64_t number, struct sk_arena *arena,
                        sk_str *out_bytes) {
    char text[20];
    return control_get(&process->store, CONTROL_TABLE_SNAPSHOTS,
                       sk_str_make(text, sk_u64_to_text(number, text)), arena, out_bytes);
}

/* --- where a rollout stands ---------------------------------------------------------------------------------- */

sk_err control_rollout_put(struct control_process *process, const struct control_rollout *rollout) {
    char text[FLEET_ID_TEXT_BYTES + FLEET_WORD_BYTES + 128];
    int len = snprintf(text, sizeof text, "%llu %llu %s %lld %s %s", (unsigned long long)rollout->number,
                       (unsigned long long)rollout->previous, control_stage_word(rollout->stage),
                       (long long)rollout->since, rollout->canary[0] ? rollout->canary : "-",
                       rollout->pop[0] ? rollout->pop : "-");
    return control_put(&process->store, CONTROL_TABLE_STATE, SK_STR("rollout"),
                       sk_str_make(text, (size_t)len));
}

static void put_word(char *out, size_t bytes, sk_str word) {
    if (!sk_str_eq(word, SK_STR("-"))) snprintf(out, bytes, "%.*s", SK_STR_ARGS(word));
}

sk_err control_rollout_get(struct control_process *process, struct control_rollout *out_rollout) {
    struct sk_arena arena;
    struct control_rollout rollout = {0};
    sk_str text, words[6];
    uint64_t since = 0;
    sk_arena_init(&arena, 1024, 0);
    sk_err err = control_get(&process->store, CONTROL_TABLE_STATE, SK_STR("rollout"), &arena, &text);
    for (size_t i = 0; i < SK_COUNT(words) && !err; i++)
        if (!sk_str_cut(&text, ' ', &words[i])) err = SK_ERR_CORRUPT;
    if (!err && (sk_str_to_u64(words[0], &rollout.number) || sk_str_to_u64(words[1], &rollout.previous) ||
                 control_stage_lookup(words[2], &rollout.stage) || sk_str_to_u64(words[3], &since)))
        err = SK_ERR_CORRUPT;
    if (!err) {
        rollout.since = (sk_unix_s)since;
        put_word(rollout.canary, sizeof rollout.canary, words[4]);
        put_word(rollout.pop, sizeof rollout.pop, words[5]);
        *out_rollout = rollout;
    }
    sk_arena_free(&arena);
    return err;
}
