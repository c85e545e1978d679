/* The fiber that keeps control's view of the store fresh and does what is due: the next step of a rollout or of a
 * change of roots, and another certificate for ourselves. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "control/process.h"
#include "fleet/deep.h"

enum { REFRESH_MS = 250, DUE_EVERY = 4 };

/* --- who waits ----------------------------------------------------------------------------------------------- */

sk_err control_wait(struct control_process *process, uint64_t version, sk_time_ns deadline) {
    struct control_waiter waiter = {.fiber = io_fiber_self()};
    sk_err err = SK_OK;
    sk_list_push_back(&process->waiting, &waiter.link);
    while (process->view.version == version && !process->stopping && !err) err = io_fiber_park(deadline);
    sk_list_remove(&waiter.link);
    return err;
}

static void wake_all(struct control_process *process) {
    process->view.version++;
    SK_LIST_FOR_EACH(link, &process->waiting)
    io_fiber_wake(SK_CONTAINER_OF(link, struct control_waiter, link)->fiber);
}

/* --- the view ------------------------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b) {
    return sk_str_compare(((const struct fleet_pair *)a)->name, ((const struct fleet_pair *)b)->name);
}

/* The list of the expelled as text, in one order, so that equal lists have equal digests. */
static sk_err read_expelled(struct control_process *process, struct sk_arena *arena,
                            struct sk_buf *out_text) {
    struct fleet_pair *pairs;
    size_t count;
    sk_err err = control_all(&process->store, CONTROL_TABLE_EXPELLED, arena, &pairs, &count);
    if (!err && count) qsort(pairs, count, sizeof *pairs, by_name);
    for (size_t i = 0; i < count && !err; i++)
        err = sk_buf_printf(out_text, "%.*s %.*s\n", SK_STR_ARGS(pairs[i].value), SK_STR_ARGS(pairs[i].name));
    return err;
}

static sk_err use_expelled(struct control_view *view, struct sk_buf *text, bool *out_changed) {
    struct fleet_expelled expelled;
    uint8_t digest[FLEET_DIGEST_BYTES];
    char hex[FLEET_HEX_BYTES];
    fleet_digest(sk_buf_str(text), digest);
    fleet_hex(digest, hex);
    if (view->known && !strcmp(hex, view->expelled_digest)) return SK_OK;
    sk_err err = fleet_expelled_parse(sk_buf_str(text), &expelled);
    if (err) return err;
    fleet_expelled_free(&view->expelled);
    view->expelled = expelled;
    memcpy(view->expelled_digest, hex, sizeof hex);
    struct sk_buf old = view->expelled_text;
    view->expelled_text = *text;
    *text = old;
    *out_changed = true;
    return SK_OK;
}

static sk_err read_drained(struct control_process *process, struct sk_arena *arena, bool *out_changed) {
    struct sk_buf *known = &process->view.drained;
    sk_str text;
    sk_err err = control_drained_read(process, arena, &text);
    if (err || sk_str_eq(text, sk_buf_str(known))) return err;
    sk_buf_clear(known);
    *out_changed = true;
    return sk_buf_append(known, text);
}

static sk_err read_view(struct control_process *process, struct sk_arena *arena, struct sk_buf *text) {
    struct control_view *view = &process->view;
    struct control_rollout rollout = {0};
    uint64_t head = 0;
    bool changed = false;
    sk_err err = control_head(process, &head);
    if (!err) err = control_rollout_get(process, &rollout);
    if (err == SK_ERR_NOT_FOUND) err = SK_OK;
    if (!err) err = read_expelled(process, arena, text);
    if (!err) err = use_expelled(view, text, &changed);
    if (!err) err = read_drained(process, arena, &changed);
    if (!err) err = control_secrets_refresh(process, &changed);
    if (err) return err;
    changed |= !view->known || head != view->head || rollout.number != view->rollout.number ||
               rollout.stage != view->rollout.stage || rollout.since != view->rollout.since;
    view->head = head;
    view->rollout = rollout;
    view->known = true;
    view->read_at = sk_time_now();
    if (changed) wake_all(process);
    return SK_OK;
}

sk_err control_refresh(struct control_process *process) {
    struct sk_arena arena;
    struct sk_buf text;
    sk_arena_init(&arena, 4096, 0);
    sk_buf_init(&text, 0);
    sk_err err = read_view(process, &arena, &text);
    sk_buf_free(&text);
    sk_arena_free(&arena);
    return err;
}

/* --- rollouts ------------------------------------------------------------------------------------------------ */

static void go_on(struct control_process *process) {
    struct control_rollout rollout = process->view.rollout;
    rollout.stage++;
    rollout.since = sk_wall_now_s();
    if (control_rollout_put(process, &rollout) == SK_OK)
        control_record_deed(process, "control", "rollout", "configuration %llu goes on to: %s",
                            (unsigned long long)rollout.number, control_stage_word(rollout.stage));
}

static void go_back(struct control_process *process, const struct control_verdict *verdict,
                    struct sk_arena *arena) {
    struct control_rollout rollout = process->view.rollout;
    char name[FLEET_ID_TEXT_BYTES];
    uint64_t number = 0;
    sk_str bytes;
    struct fleet_snapshot snapshot;
    fleet_id_format(&verdict->because->id, name);
    sk_err err = control_snapshot(process, rollout.previous, arena, &bytes);
    if (!err) err = fleet_snapshot_parse(bytes, &snapshot);
    if (!err) err = control_publish(process, snapshot.body, "control: rollout stopped", true, &number);
    if (err)
        sk_log(SK_LOG_ERROR, "control", "configuration %llu should go back (%s %s), but: %s",
               (unsigned long long)rollout.number, name, verdict->why, sk_err_text(err));
    else
        control_record_deed(process, "control", "rollout stopped",
                            "configuration %llu: %s %s; %llu is configuration %llu again",
                            (unsigned long long)rollout.number, name, verdict->why,
                            (unsigned long long)number, (unsigned long long)rollout.previous);
}

static void step_rollout(struct control_process *process, const struct control_record *records, size_t count,
                         struct sk_arena *arena) {
    struct control_node *nodes = sk_arena_zalloc(arena, SK_MAX(count, 1) * sizeof *nodes);
    if (!nodes) return;
    for (size_t i = 0; i < count; i++) nodes[i] = records[i].node;
    struct control_verdict verdict =
        control_rollout_step(&process->view.rollout, nodes, count, sk_wall_now_s());
    if (verdict.move == CONTROL_NEXT) go_on(process);
    if (verdict.move == CONTROL_BACK) go_back(process, &verdict, arena);
}

/* --- roots and our own certificate --------------------------------------------------------------------------- */

static void newest_root(const struct control_process *process, char out[FLEET_HEX_BYTES]) {
    uint8_t digest[FLEET_DIGEST_BYTES];
    fleet_ca_fingerprint(process->ca, digest);
    fleet_hex(digest, out);
}

/* The newest configuration signed anew, for who will know only the new root. */
static sk_err sign_again(struct control_process *process, struct sk_arena *arena) {
    sk_str bytes;
    struct fleet_snapshot snapshot;
    uint64_t number;
    if (!process->view.head) return SK_OK;
    sk_err err = control_snapshot(process, process->view.head, arena, &bytes);
    if (!err) err = fleet_snapshot_parse(bytes, &snapshot);
    return err ? err : control_publish(process, snapshot.body, "control: another root", true, &number);
}

struct taking {
    struct control_process *process;
    enum fleet_ca_step step;
};
static sk_err take_now(void *arg) {
    struct taking *taking = arg;
    sk_err err = fleet_ca_take(taking->process->ca, taking->step, sk_wall_now_s());
    return err ? err : control_renew_self(taking->process);
}

static struct fleet_ca_facts facts_of(const struct control_process *process,
                                      const struct control_record *records, size_t count) {
    char newest[FLEET_HEX_BYTES];
    const char *roots = fleet_ca_roots_digest(process->ca);
    struct fleet_ca_facts facts = {.roots = fleet_ca_root_count(process->ca),
                                   .newest_issues = fleet_ca_issues_by_newest(process->ca)};
    newest_root(process, newest);
    for (size_t i = 0; i < count; i++) {
        if (!records[i].node.alive) continue;
        facts.nodes++;
        facts.trust_both += sk_str_eq(records[i].roots, sk_str_from_c(roots));
        facts.under_newest += sk_str_eq(records[i].issuer, sk_str_from_c(newest));
    }
    return facts;
}

static void step_roots(struct control_process *process, const struct control_record *records, size_t count,
                       struct sk_arena *arena) {
    static const char *const texts[] = {[FLEET_CA_ADD] = "a second root is trusted",
                                        [FLEET_CA_SWITCH] = "the new root issues",
                                        [FLEET_CA_DROP] = "the old root is trusted no more"};
    struct fleet_ca_facts facts = facts_of(process, records, count);
    struct taking taking = {process, fleet_ca_next(&facts)};
    sk_err err = SK_OK;
    if (taking.step == FLEET_CA_STAY) return;
    if (taking.step == FLEET_CA_DROP) err = control_secrets_seal_again(process);
    if (!err && taking.step == FLEET_CA_DROP) err = sign_again(process, arena);
    if (!err) err = fleet_deeply(take_now, &taking);
    if (err) {
        SK_LOG_LIMITED(SK_LOG_ERROR, "control", "the change of roots does not go on: %s", sk_err_text(err));
        return;
    }
    wake_all(process);
    control_record_deed(process, "control", "roots", "%s", texts[taking.step]);
}

static sk_err renew_now(void *arg) { return control_renew_self(arg); }

static void renew_if_due(struct control_process *process) {
    if (sk_wall_now_s() < fleet_identity_renew_at(process->identity)) return;
    sk_err err = fleet_deeply(renew_now, process);
    if (err)
        SK_LOG_LIMITED(SK_LOG_ERROR, "control", "our own certificate cannot be renewed: %s",
                       sk_err_text(err));
}

/* --- the fiber ----------------------------------------------------------------------------------------------- */

static void step_tickets(struct control_process *process) {
    sk_err err = control_tickets_step(process);
    if (err)
        SK_LOG_LIMITED(SK_LOG_ERROR, "control", "keys of tickets cannot be changed: %s", sk_err_text(err));
}

static void do_due(struct control_process *process) {
    struct sk_arena arena;
    struct control_record *records;
    size_t count;
    renew_if_due(process);
    step_tickets(process);
    sk_arena_init(&arena, 16 * 1024, 0);
    if (process->view.known &&
        control_records(&process->store, sk_wall_now_s(), &arena, &records, &count) == SK_OK) {
        step_rollout(process, records, count, &arena);
        step_roots(process, records, count, &arena);
    }
    sk_arena_free(&arena);
}

static void keep(void *arg) {
    struct control_process *process = arg;
    bool ready = false;
    for (unsigned round = 0; !process->stopping; round++) {
        sk_err err = control_refresh(process);
        if (!err && !ready) fprintf(stderr, "ready: fleet %.*s\n", SK_STR_ARGS(process->config->fleet));
        ready |= !err;
        if (!err && round % DUE_EVERY == 0) do_due(process);
        if (err == SK_ERR_CANCELLED) break;
        if (io_fiber_sleep_until(sk_time_now() + REFRESH_MS * SK_NS_PER_MS) != SK_OK) break;
    }
    process->keeper = NULL;
    wake_all(process);
}

sk_err control_keeper_start(struct control_process *process) {
    return io_fiber_spawn(process->loop, "keeper", keep, process, &process->keeper);
}
