/* Which nodes are to take no clients, by a person's wish: a table in the store, by id, with the time of the wish. */
#include <stdio.h>
#include <stdlib.h>

#include "control/process.h"

static int by_name(const void *a, const void *b) {
    return sk_str_compare(((const struct fleet_pair *)a)->name, ((const struct fleet_pair *)b)->name);
}

sk_err control_drained_read(struct control_process *process, struct sk_arena *arena, sk_str *out_text) {
    struct fleet_pair *pairs;
    size_t count;
    sk_str text = SK_STR("\n");
    sk_err err = control_all(&process->store, CONTROL_TABLE_DRAINED, arena, &pairs, &count);
    if (!err && count) qsort(pairs, count, sizeof *pairs, by_name);
    for (size_t i = 0; i < count && !err; i++) {
        text = sk_arena_printf(arena, "%.*s%.*s\n", SK_STR_ARGS(text), SK_STR_ARGS(pairs[i].name));
        if (!text.data) err = SK_ERR_NO_MEMORY;
    }
    if (!err) *out_text = text;
    return err;
}

bool control_is_drained(const struct control_process *process, const struct fleet_id *id) {
    char name[FLEET_ID_TEXT_BYTES], line[FLEET_ID_TEXT_BYTES + 2];
    int len = snprintf(line, sizeof line, "\n%.*s\n", SK_STR_ARGS(fleet_id_format(id, name)));
    sk_str text = sk_buf_str(&process->view.drained);
    return text.len && memmem(text.data, text.len, line, (size_t)len) != NULL;
}

/* --- asking for it --------------------------------------------------------------------------------------------- */

/* WORD is an id, or a name that one node has. SK_ERR_NOT_FOUND; SK_ERR_EXISTS: several have it. */
static sk_err find_node(struct control_process *process, sk_str word, struct sk_arena *arena,
                        struct fleet_id *out_id) {
    struct control_record *records;
    size_t count, found = 0;
    sk_err err = control_records(&process->store, sk_wall_now_s(), arena, &records, &count);
    for (size_t i = 0; i < count && !err; i++) {
        char text[FLEET_ID_TEXT_BYTES];
        const struct fleet_id *id = &records[i].node.id;
        if (!sk_str_eq(word, sk_str_from_c(id->name)) && !sk_str_eq(word, fleet_id_format(id, text)))
            continue;
        *out_id = *id;
        found++;
    }
    if (err) return err;
    return found == 1 ? SK_OK : found ? SK_ERR_EXISTS : SK_ERR_NOT_FOUND;
}

static sk_err wish(struct control_process *process, sk_str name, bool drain) {
    char at[20];
    if (drain)
        return control_put(&process->store, CONTROL_TABLE_DRAINED, name,
                           sk_str_make(at, sk_u64_to_text((uint64_t)sk_wall_now_s(), at)));
    sk_err err = control_remove(&process->store, CONTROL_TABLE_DRAINED, name);
    return err == SK_ERR_NOT_FOUND ? SK_OK : err;
}

static sk_err change(struct control_process *process, struct fleet_admin_request *request, bool drain,
                     struct fleet_admin_answer *answer) {
    const struct control_asker *asker = request->asker;
    sk_str word = control_parameter(request, "node");
    char name[FLEET_ID_TEXT_BYTES];
    struct fleet_id id;
    if (!word.len) return fleet_admin_say(answer, 400, "expected ?node=NAME, or its id");
    sk_err err = find_node(process, word, &request->arena, &id);
    if (err == SK_ERR_NOT_FOUND) return fleet_admin_say(answer, 404, "there is no such node");
    if (err == SK_ERR_EXISTS)
        return fleet_admin_say(answer, 409, "several nodes have that name: give the id, spiffe://...");
    if (!err && id.role != FLEET_ROLE_EDGE) return fleet_admin_say(answer, 400, "only edges take clients");
    if (!err) err = wish(process, fleet_id_format(&id, name), drain);
    if (!err) err = control_refresh(process);
    if (err) return err;
    control_record_deed(process, asker->name, drain ? "drain" : "undrain", "%s", name);
    return sk_buf_printf(&answer->body, "{\"node\":\"%s\",\"drained\":%s}\n", name, drain ? "true" : "false");
}

sk_err control_api_drain(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    return change(role, request, true, answer);
}

sk_err control_api_undrain(void *role, struct fleet_admin_request *request,
                           struct fleet_admin_answer *answer) {
    return change(role, request, false, answer);
}
