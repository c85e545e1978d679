/* skerry store info: the purges that belong to a store. */
#include <stdio.h>

#include "cache/tier_log.h"
#include "cli/store.h"
#include "io/file.h"

#define FILE_MAX_BYTES (64u << 20)

static void count_purges(const struct tier_log_reading *reading, sk_str data, struct store_state *state) {
    struct cache_purge purge;
    uint64_t tick;
    size_t at = TIER_LOG_HEADER_BYTES;
    while (tier_log_next(reading, data, &at, &purge, &tick)) state->purges++;
    state->ended = reading->ended;
    state->damaged = reading->damaged;
    state->incomplete = reading->state.incomplete;
}

void store_state_read(const char *store, const char *path, struct store_state *out_state) {
    struct store_state state = {0};
    struct tier_log_reading reading;
    struct sk_buf data;
    char beside[4096];
    int n = snprintf(beside, sizeof beside, "%s.state", store);
    sk_buf_init(&data, 0);
    state.err = !path && n >= (int)sizeof beside ? SK_ERR_TOO_LARGE
                                                 : io_file_load(path ? path : beside, FILE_MAX_BYTES, &data);
    if (!state.err) state.err = tier_log_read(sk_buf_str(&data), &reading);
    if (!state.err) count_purges(&reading, sk_buf_str(&data), &state);
    sk_buf_free(&data);
    *out_state = state;
}

bool store_state_proven(const struct store_state *state) {
    return !state->err && !state->damaged && !state->incomplete;
}

void store_state_print(const struct store_state *state) {
    if (state->err == SK_ERR_NOT_FOUND) {
        puts("  purges     no state file there (--state FILE): without it nothing in the store is found");
    } else if (state->err) {
        printf("  purges     the state file cannot be read: %s\n", sk_err_text(state->err));
    } else {
        printf("  purges     %llu kept, ", (unsigned long long)state->purges);
        puts(!store_state_proven(state) ? "others lost: what is stored will be validated before it is used"
             : state->ended             ? "closed in order"
                                        : "not closed: all of them, if the machine has run since");
    }
}
