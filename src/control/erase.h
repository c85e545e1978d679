/* Erasures (fleet/erased.h) as control waits for them and tells of them. Fibers. */
#ifndef SK_CONTROL_ERASE_H
#define SK_CONTROL_ERASE_H

#include <yyjson.h>

#include "control/process.h"

/* Of each edge that was let in and not expelled, whether it lives or not: what is away still has its disk. */
struct control_erasure {
    sk_str *edges; /* ids */
    enum fleet_erased *states;
    size_t count;
};
/* Waits for all of them, at most until DEADLINE. Texts and arrays are ARENA's. What reading the store gives, and
 * fleet_publisher_wait_erased. */
sk_err control_erase_wait(struct control_process *process, const struct fleet_receipt *receipt,
                          sk_time_ns deadline, struct sk_arena *arena, struct control_erasure *out_erasure);
/* As "erase" in ROOT: {"erased":2,"nothing":1,"not_encrypted":[ids],"missing":[ids]}. */
void control_erase_describe(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct control_erasure *erasure);

#endif
