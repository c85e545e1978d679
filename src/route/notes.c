#include "route/notes.h"

sk_err route_notes_start(struct route_notes *notes, struct access_log *log, struct observe_thread *metrics) {
    sk_err err = query_log_join(log, metrics, &notes->log);
    return err ? err : top_create(&notes->top);
}

void route_notes_end(struct route_notes *notes) { top_free(notes->top); }

void route_notes_use(struct route_notes *notes, const struct route_plan *plan) {
    query_log_begin(&notes->log, &plan->config->config->query_log);
}

static sk_str site_of(const struct route_plan *plan, const struct answer_log *answer) {
    const struct config_route *config = plan->config->config;
    if (!answer->routed || answer->site >= config->site_count) return (sk_str){0};
    return config->sites[answer->site].name;
}

void route_notes_take(struct route_notes *notes, const struct route_plan *plan, const struct route_note *note,
                      sk_time_ns now) {
    if (note->weight) top_note(notes->top, note->client, &note->answer->name, note->weight, now);
    if (!note->is_logged) return;
    struct query_log_entry entry = {note->transport, note->client, note->answer, site_of(plan, note->answer),
                                    note->bytes};
    query_log_write(&notes->log, &plan->config->config->query_log, &entry, sk_wall_now_ns());
}
