#include "edge/pace.h"

void edge_pace_run(struct edge_pace *pace, sk_time_ns now) {
    if (pace->running) return;
    if (!pace->begun)
        *pace = (struct edge_pace){.window_at = now, .begun = true};
    else
        pace->window_at += now - pace->paused_at;
    pace->progress_at = now;
    pace->running = true;
}

void edge_pace_pause(struct edge_pace *pace, sk_time_ns now) {
    if (!pace->running) return;
    pace->running = false;
    pace->paused_at = now;
}

void edge_pace_moved(struct edge_pace *pace, uint64_t bytes, sk_time_ns now) {
    if (!bytes) return;
    pace->progress_at = now;
    pace->window_bytes += bytes;
}

/* A window that is over is judged, and the next one begins. */
static bool window_ok(struct edge_pace *pace, uint64_t min_rate, sk_time_ns now) {
    sk_time_ns length = now - pace->window_at;
    if (length < EDGE_PACE_WINDOW_NS) return true;
    bool ok = (double)pace->window_bytes * (double)SK_NS_PER_S >= (double)min_rate * (double)length;
    pace->window_at = now;
    pace->window_bytes = 0;
    return ok;
}

bool edge_pace_ok(struct edge_pace *pace, const struct edge_pace_limits *limits, sk_time_ns now,
                  sk_time_ns *out_check) {
    sk_time_ns check = SK_TIME_NEVER;
    if (limits->progress_ms) {
        check = pace->progress_at + limits->progress_ms * SK_NS_PER_MS;
        if (now >= check) return false;
    }
    if (limits->min_rate) {
        if (!window_ok(pace, limits->min_rate, now)) return false;
        check = SK_MIN(check, pace->window_at + EDGE_PACE_WINDOW_NS);
    }
    *out_check = check;
    return true;
}
