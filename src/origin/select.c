#include "origin/select.h"

#include <math.h>

const char *origin_state_text(enum origin_state state) {
    static const char *const texts[] = {
#define X(name, text) text,
        ORIGIN_STATE_TABLE(X)
#undef X
    };
    SK_ASSERT((size_t)state < SK_COUNT(texts));
    return texts[state];
}

const char *origin_choice_text(enum origin_choice_reason reason) {
    static const char *const texts[] = {
#define X(name, text) text,
        ORIGIN_CHOICE_TABLE(X)
#undef X
    };
    SK_ASSERT((size_t)reason < SK_COUNT(texts));
    return texts[reason];
}

/* Divisible by every weight up to 10 and by many beyond; 2^64 holds 10^13 turns of weight 1. */
#define STRIDE_OF_ONE UINT64_C(2520000)

uint64_t origin_stride(uint32_t weight) { return STRIDE_OF_ONE / SK_MAX(weight, 1u); }

uint64_t origin_first_due(uint32_t weight) { return origin_stride(weight) / 2; }

/* So many turns an origin may be ahead of its share because keys prefer it. It keeps nearly all keys where
 * they are wanted, and yet one key that everybody asks for does not load one origin alone. */
#define AFFINITY_LEAD 8

/* One rank of candidates that are equal before weight and affinity decide. */
struct rank {
    unsigned states; /* bits of enum origin_state */
    bool spares;
    enum origin_choice_reason reason;
};
#define BIT(state) (1u << ORIGIN_STATE_##state)

static bool in_rank(const struct origin_candidate *candidate, const struct rank *rank) {
    return !candidate->tried && (rank->states >> candidate->state & 1) &&
           (candidate->weight == 0) == rank->spares;
}

/* An origin that was away does not catch up on the turns it missed. */
static uint64_t effective_due(const struct origin_candidate *candidate, uint64_t clock) {
    return SK_MAX(candidate->due, clock);
}

static uint64_t mix(uint64_t x) { /* the finaliser of SplitMix64 (Steele, Lea, Flood 2014) */
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* Weighted rendezvous hashing (Thaler and Ravishankar 1998, with the logarithm that makes shares follow
 * weights): the smallest distance wins, so a lost origin moves only its own keys. */
static double affinity_distance(const struct origin_candidate *candidate, uint64_t affinity) {
    uint64_t hash = mix(affinity ^ mix(candidate->id));
    double unit = ((double)(hash >> 11) + 0.5) * 0x1p-53; /* in (0, 1) */
    return -log(unit) / SK_MAX(candidate->weight, 1u);
}

/* When the next turn of the whole rank is: that of the one that has waited the longest. */
static uint64_t next_turn(const struct origin_candidate *candidates, size_t count, uint64_t clock,
                          const struct rank *rank) {
    uint64_t turn = UINT64_MAX;
    for (size_t i = 0; i < count; i++)
        if (in_rank(&candidates[i], rank)) turn = SK_MIN(turn, effective_due(&candidates[i], clock));
    return turn;
}

/* Whether this one may be asked at TURN: it has waited the longest, or, for the sake of affinity, is not too
 * far ahead of its share. */
static bool may_take(const struct origin_candidate *candidate, const struct origin_wish *wish,
                     uint64_t turn) {
    uint64_t lead = wish->affinity ? AFFINITY_LEAD * origin_stride(candidate->weight) : 0;
    return effective_due(candidate, wish->clock) <= turn + lead;
}

static struct origin_choice choose_in_rank(const struct origin_candidate *candidates, size_t count,
                                           const struct origin_wish *wish, const struct rank *rank) {
    const struct origin_candidate *best = NULL;
    double distance = 0, best_distance = 0;
    uint64_t turn = next_turn(candidates, count, wish->clock, rank);
    for (size_t i = 0; i < count; i++) {
        const struct origin_candidate *candidate = &candidates[i];
        if (!in_rank(candidate, rank) || !may_take(candidate, wish, turn)) continue;
        if (wish->affinity) distance = affinity_distance(candidate, wish->affinity);
        if (best && distance >= best_distance) continue;
        best = candidate;
        best_distance = distance;
    }
    if (!best) return (struct origin_choice){.reason = ORIGIN_CHOICE_NONE};
    bool by_key = wish->affinity && rank->reason == ORIGIN_CHOICE_TURN;
    return (struct origin_choice){
        .reason = by_key ? ORIGIN_CHOICE_AFFINITY : rank->reason,
        .index = (size_t)(best - candidates),
        .due = effective_due(best, wish->clock) + origin_stride(best->weight),
        .clock = turn,
    };
}

struct origin_choice origin_select(const struct origin_candidate *candidates, size_t count,
                                   const struct origin_wish *wish) {
    static const struct rank ranks[] = {
        {BIT(TRIAL), false, ORIGIN_CHOICE_TRIAL}, /* first, or an origin would never come back */
        {BIT(UP), false, ORIGIN_CHOICE_TURN},         {BIT(TRIAL), false, ORIGIN_CHOICE_TRIAL},
        {BIT(UP), true, ORIGIN_CHOICE_SPARE},         {BIT(TRIAL), true, ORIGIN_CHOICE_SPARE},
        {BIT(OUT), false, ORIGIN_CHOICE_LAST_RESORT}, {BIT(OUT), true, ORIGIN_CHOICE_LAST_RESORT},
    };
    struct origin_choice choice = {.reason = ORIGIN_CHOICE_NONE};
    for (size_t i = wish->may_retry ? 0 : 1; i < SK_COUNT(ranks) && choice.reason == ORIGIN_CHOICE_NONE; i++)
        choice = choose_in_rank(candidates, count, wish, &ranks[i]);
    return choice;
}
