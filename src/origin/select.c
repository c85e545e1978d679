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

static bool better(const struct origin_candidate *a, const struct origin_candidate *b,
                   const struct origin_wish *wish) {
    if (wish->affinity) return affinity_distance(a, wish->affinity) < affinity_distance(b, wish->affinity);
    return effective_due(a, wish->clock) < effective_due(b, wish->clock);
}

static struct origin_choice choose_in_rank(const struct origin_candidate *candidates, size_t count,
                                           const struct origin_wish *wish, const struct rank *rank) {
    const struct origin_candidate *best = NULL;
    for (size_t i = 0; i < count; i++)
        if (in_rank(&candidates[i], rank) && (!best || better(&candidates[i], best, wish)))
            best = &candidates[i];
    if (!best) return (struct origin_choice){.reason = ORIGIN_CHOICE_NONE};
    /* Affinity leaves the turns alone: they belong to requests that have no preference. */
    uint64_t due = effective_due(best, wish->clock);
    bool turn = wish->affinity == 0;
    return (struct origin_choice){
        .reason = rank->reason == ORIGIN_CHOICE_TURN && !turn ? ORIGIN_CHOICE_AFFINITY : rank->reason,
        .index = (size_t)(best - candidates),
        .due = turn ? due + origin_stride(best->weight) : best->due,
        .clock = turn ? due : wish->clock,
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
