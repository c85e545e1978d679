/* What control knows of each node, as the store has it (table "nodes", by id). Pure but for reading all of them. */
#ifndef SK_CONTROL_NODES_H
#define SK_CONTROL_NODES_H

#include "control/rollout.h"
#include "control/store.h"
#include "fleet/messages.h"

#define CONTROL_ALIVE_S 30 /* after its last report */

struct control_record {
    struct control_node node;
    sk_unix_s joined, seen, not_after; /* seen 0: never */
    sk_str issuer, roots, why, version;
};

/* A node has just been let in, or has another certificate. */
void control_record_issue(struct control_record *record, const struct fleet_caller *caller, sk_unix_s now);
/* REPORT (whose texts must live as long) is of the same node. */
void control_record_note(struct control_record *record, const struct fleet_report *report, sk_unix_s now);

sk_err control_record_write(const struct control_record *record, struct sk_buf *out_json);
/* SK_ERR_CORRUPT. Texts are ARENA's. */
sk_err control_record_read(sk_str id, sk_str json, sk_unix_s now, struct sk_arena *arena,
                           struct control_record *out_record);
/* All of them, by their ids' order, in ARENA; one that cannot be read is left out with a line in the log. */
sk_err control_records(struct control_store *store, sk_unix_s now, struct sk_arena *arena,
                       struct control_record **out_records, size_t *out_count);

#endif
