/* The process of the control role as its own parts see it. Everything on its one thread. */
#ifndef SK_CONTROL_PROCESS_H
#define SK_CONTROL_PROCESS_H

#include "config/control.h"
#include "control/api.h"
#include "control/audit.h"
#include "control/nodes.h"
#include "control/secrets.h"
#include "control/valkey_server.h"
#include "fleet/ca.h"
#include "fleet/publisher.h"
#include "fleet/snapshot.h"
#include "observe/metrics.h"

/* What every report is answered from: read again by the keeper (keeper.h), so that a store that is slow or gone
 * keeps no node waiting. */
struct control_view {
    uint64_t version;   /* counts its changes */
    bool known;         /* was read at least once */
    sk_time_ns read_at; /* the last time that it was */
    uint64_t head;      /* the newest configuration's number; 0: none */
    struct control_rollout rollout;
    struct sk_buf expelled_text;
    char expelled_digest[FLEET_HEX_BYTES];
    struct fleet_expelled expelled;
    struct sk_buf drained; /* ids, a newline before and after each */
};

struct control_process {
    const struct config_control *config;
    char state[FLEET_PATH_BYTES]; /* absolute */
    struct io_loop *loop;
    struct fleet_ca *ca;
    struct fleet_identity *identity;
    struct fleet_bus_keys bus_masters; /* of the roots that CA has */
    struct fleet_vault_keys seal_keys; /* the same */
    SSL_CTX *tls;
    struct control_valkey_server *valkey_server; /* NULL: another's */
    struct control_store store;
    struct fleet_publisher *publisher; /* NULL until there is a store */
    struct fleet_signers *signers;     /* of heartbeats; NULL before the first is looked at */
    struct observe_thread *metrics;
    uint64_t number_used; /* numbers.c; 0: the file was not read yet */
    bool watching;        /* a purge that nobody waits for, for the figures */
    struct fleet_admin_server *local, *remote;
    struct control_view view;
    struct control_secrets *secrets; /* NULL until they were read */
    struct control_audit_mark audit; /* the newest line that we know */
    struct sk_list waiting;          /* struct control_waiter.link */
    struct io_fiber *keeper;
    bool stopping;
};

/* A fiber that waits for the view to change. */
struct control_waiter {
    struct sk_list link;
    struct io_fiber *fiber;
};
/* Until the view's version is not VERSION any more, or DEADLINE. SK_OK, SK_ERR_TIMEOUT, SK_ERR_CANCELLED. */
sk_err control_wait(struct control_process *process, uint64_t version, sk_time_ns deadline);

/* Another certificate for ourselves, by the root that issues now. */
sk_err control_renew_self(struct control_process *process);

/* keeper.c: reads the view anew, at once; wakes who waits if it has changed. */
sk_err control_refresh(struct control_process *process);
/* Begins the fiber that does so from then on, and drives rollouts, rotation and renewal. */
sk_err control_keeper_start(struct control_process *process);

/* allow.c: struct fleet_admin_options.allow. */
bool control_allow(void *role, const struct fleet_admin_endpoint *endpoint,
                   struct fleet_admin_request *request, struct fleet_admin_answer *answer);

/* numbers.c: the highest number that was given to a configuration here, or was seen at an edge. */
uint64_t control_numbers_used(struct control_process *process);
/* NUMBER is given now: kept on our own disk before anybody has it. What files give. */
sk_err control_numbers_use(struct control_process *process, uint64_t number);
/* An edge reports that it runs it. */
void control_numbers_seen(struct control_process *process, uint64_t in_force);
/* The number of the newest configuration in the store; 0: there is none. */
sk_err control_head(struct control_process *process, uint64_t *out_head);

/* record.c: adds to the record of what was done. A request is not refused because that fails; the log tells. */
void control_record_deed(struct control_process *process, const char *who, const char *what,
                         const char *format, ...) SK_PRINTF(4, 5);

/* publish.c: signs BODY as the next configuration and begins its rollout (ALL: everywhere at once). SK_ERR_BUSY: another
 * control was faster, ask again. */
sk_err control_publish(struct control_process *process, sk_str body, const char *author, bool all,
                       uint64_t *out_number);
/* Text of a problem for people when BODY is no configuration for a fleet: SK_ERR_INVALID. */
sk_err control_check_body(sk_str body, struct sk_buf *out_problems);
/* The signed configuration NUMBER, in ARENA. SK_ERR_NOT_FOUND. */
sk_err control_snapshot(struct control_process *process, uint64_t number, struct sk_arena *arena,
                        sk_str *out_bytes);
/* The rollout's state to the store. */
sk_err control_rollout_put(struct control_process *process, const struct control_rollout *rollout);
sk_err control_rollout_get(struct control_process *process, struct control_rollout *out_rollout);

/* drain.c: ids of the nodes that are to take no clients, in order, as the view has them; ARENA's. */
sk_err control_drained_read(struct control_process *process, struct sk_arena *arena, sk_str *out_text);
bool control_is_drained(const struct control_process *process, const struct fleet_id *id);

/* The names of the store's tables. */
#define CONTROL_TABLE_SNAPSHOTS "configurations"
#define CONTROL_TABLE_NODES "nodes"
#define CONTROL_TABLE_INVITES "invitations"
#define CONTROL_TABLE_TOKENS "tokens"
#define CONTROL_TABLE_EXPELLED "expelled"
#define CONTROL_TABLE_DRAINED "drained"
#define CONTROL_TABLE_AUDIT "audit"
#define CONTROL_TABLE_STATE "state"
#define CONTROL_TABLE_CERTIFICATES "certificates"
#define CONTROL_TABLE_TICKETS "tickets"

/* purge.c: purges go to the fleet by WHERE. As fleet_publisher_start. */
sk_err control_purges_start(struct control_process *process, const struct fleet_valkey_where *where);
/* The publisher's epoch is closed, if Valkey answers soon. Parks. */
void control_purges_end(struct control_process *process);

#endif
