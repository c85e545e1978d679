#include "control/erase.h"

#include "control/nodes.h"
#include "fleet/admin_json.h"

static bool may_have_a_disk(const struct control_process *process, const struct control_record *record) {
    const struct fleet_caller caller = {.id = record->node.id,
                                        .issued_at = SK_MAX(record->seen, record->joined)};
    return record->joined && record->node.id.role == FLEET_ROLE_EDGE &&
           !fleet_is_expelled(&process->view.expelled, &caller);
}

static sk_err list_edges(struct control_process *process, struct sk_arena *arena,
                         struct control_erasure *out) {
    struct control_record *records;
    size_t count;
    sk_err err = control_records(&process->store, sk_wall_now_s(), arena, &records, &count);
    if (err) return err;
    struct control_erasure erasure = {
        .edges = sk_arena_alloc(arena, SK_MAX(count, 1) * sizeof *erasure.edges),
        .states = sk_arena_zalloc(arena, SK_MAX(count, 1) * sizeof *erasure.states)};
    if (!erasure.edges || !erasure.states) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        char name[FLEET_ID_TEXT_BYTES];
        if (!may_have_a_disk(process, &records[i])) continue;
        sk_str id = sk_arena_copy(arena, fleet_id_format(&records[i].node.id, name));
        if (!id.data) return SK_ERR_NO_MEMORY;
        erasure.edges[erasure.count++] = id;
    }
    *out = erasure;
    return SK_OK;
}

sk_err control_erase_wait(struct control_process *process, const struct fleet_receipt *receipt,
                          sk_time_ns deadline, struct sk_arena *arena, struct control_erasure *out_erasure) {
    sk_err err = list_edges(process, arena, out_erasure);
    if (err) return err;
    return fleet_publisher_wait_erased(process->publisher, receipt, out_erasure->edges, out_erasure->count,
                                       deadline, out_erasure->states);
}

static uint64_t how_many(const struct control_erasure *erasure, enum fleet_erased what) {
    uint64_t count = 0;
    for (size_t i = 0; i < erasure->count; i++) count += erasure->states[i] == what;
    return count;
}

static void list(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name,
                 const struct control_erasure *erasure, enum fleet_erased what) {
    yyjson_mut_val *ids = yyjson_mut_obj_add_arr(doc, object, name);
    for (size_t i = 0; ids && i < erasure->count; i++)
        if (erasure->states[i] == what) yyjson_mut_arr_append(ids, fleet_json_text(doc, erasure->edges[i]));
}

void control_erase_describe(yyjson_mut_doc *doc, yyjson_mut_val *root,
                            const struct control_erasure *erasure) {
    yyjson_mut_val *object = yyjson_mut_obj_add_obj(doc, root, "erase");
    yyjson_mut_obj_add_uint(doc, object, "erased", how_many(erasure, FLEET_ERASED_DONE));
    yyjson_mut_obj_add_uint(doc, object, "nothing", how_many(erasure, FLEET_ERASED_NOTHING));
    list(doc, object, "not_encrypted", erasure, FLEET_ERASED_PLAIN);
    list(doc, object, "missing", erasure, FLEET_ERASED_SILENT);
}
