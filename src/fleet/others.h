/* How many other edges of our PoP there are, and how many of them take clients: an edge that wants to withdraw looks
 * whether enough are left. Owner's thread, fibers. */
#ifndef SK_FLEET_OTHERS_H
#define SK_FLEET_OTHERS_H

#include "fleet/heartbeats.h"

/* Zeroed: nobody was counted. */
struct fleet_others {
    uint32_t count, running;
    struct fleet_signers *signers; /* from the first look on */
};

/* Counts them by what they say of themselves; VALKEY's is the table. What is not believed is nobody; after an error there
 * are none. IDENTITY and EXPELLED as fleet_heartbeats_question's, ARG theirs. Parks. */
struct fleet_others_question {
    struct fleet_valkey *valkey;
    void *arg;
    struct fleet_identity *(*identity)(void *arg);
    const struct fleet_expelled *(*expelled)(void *arg);
};
void fleet_others_look(struct fleet_others *others, const struct fleet_others_question *question,
                       sk_time_ns deadline);
void fleet_others_end(struct fleet_others *others);

#endif
