#include "route/decide.h"

#include <math.h>
#include <stdlib.h>

#define EARTH_RADIUS_KM 6371.0
#define LOAD_EXPONENT 20
/* What a way out costs in score when the lot has to fall twice (20 ms by the usual weights), and how often at most. */
#define SHED_DEAR 0.1
#define SHED_LOTS_MOST 4.0
#define UNKNOWN_TERM 0.5 /* what an unknown distance or hit ratio counts: neither good nor bad */

void decide_weights_default(struct decide_weights *out_weights) {
    *out_weights = (struct decide_weights){.distance = 0.5,
                                           .load = 0.3,
                                           .hit_ratio = 0.2,
                                           .cost = 0,
                                           .low_watermark = 0.7,
                                           .high_watermark = 0.9,
                                           .hysteresis = 0.1,
                                           .max_step = 0.2,
                                           .rtt_scale_ms = 100,
                                           .distance_scale_km = 10000,
                                           .answer_count = 2};
}

static const struct {
    const char *name, *text;
} reasons[] = {
#define X(name, text) {#name, text},
    DECIDE_REASON_TABLE(X)
#undef X
};

const char *decide_reason_name(enum decide_reason reason) { return reasons[reason].name; }
const char *decide_reason_text(enum decide_reason reason) { return reasons[reason].text; }

static double radians(double degrees) { return degrees * M_PI / 180; }

double decide_distance_km(double lat1, double lon1, double lat2, double lon2) {
    double half_lat = sin(radians(lat2 - lat1) / 2), half_lon = sin(radians(lon2 - lon1) / 2);
    double a = half_lat * half_lat + cos(radians(lat1)) * cos(radians(lat2)) * half_lon * half_lon;
    return 2 * EARTH_RADIUS_KM * asin(fmin(1, sqrt(a)));
}

/* splitmix64's finaliser: a fixed mapping, so that every router decides alike. */
static uint64_t mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

double decide_spread(uint64_t a, uint64_t b) {
    return ((double)(mix(a ^ mix(b)) >> 11) + 0.5) / 9007199254740992.0;
}

static uint64_t name_hash(sk_str name) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a; names are the operator's, not a client's */
    for (size_t i = 0; i < name.len; i++) hash = (hash ^ (uint8_t)name.data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* A weighted rendezvous draw (Schindelhauer and Schomaker 2005): the smallest wins, shares follow CAPACITY. */
static double draw(uint64_t key, uint64_t node, double capacity) {
    return capacity > 0 ? -log(decide_spread(key, node)) / capacity : INFINITY;
}

/* The term for nearness before its weight: a measurement replaces the distance; without either, by capacity. */
static double proximity(const struct decide_site *site, struct decide_score *score, double over_light_ms,
                        const struct decide_weights *weights, uint64_t client_hash) {
    if (!isnan(score->rtt_ms)) return score->rtt_ms / weights->rtt_scale_ms;
    if (!isnan(score->distance_km))
        return score->distance_km / weights->distance_scale_km + over_light_ms / weights->rtt_scale_ms;
    double drawn = draw(client_hash, name_hash(site->name), site->capacity);
    return UNKNOWN_TERM * drawn / (1 + drawn);
}

/* A site that is half loaded answers as fast as an idle one; near its limit, work queues. What is beyond the high watermark
 * is shed, in steps: a score that follows a load told late sends all who find another site as near away at once, and back. */
static double load_term(const struct decide_site *site, const struct decide_weights *weights) {
    double most = site->sheds_in_steps ? fmin(1, weights->high_watermark) : 1;
    return pow(fmin(site->load, most), LOAD_EXPONENT);
}

/* What a site has that nobody asked yet: no better and no worse than the others. */
static double usual_hit_ratio(const struct decide_site *sites, size_t count) {
    double sum = 0;
    size_t known = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(sites[i].hit_ratio)) sum += sites[i].hit_ratio, known++;
    return known ? sum / (double)known : 1 - UNKNOWN_TERM;
}

double decide_shed_share(double load, const struct decide_weights *weights) {
    double room = weights->high_watermark - weights->low_watermark;
    if (room <= 0) return load >= weights->high_watermark ? 1 : 0;
    return fmin(1, fmax(0, (load - weights->low_watermark) / room));
}

static struct decide_score score_site(const struct decide_site *site, uint16_t index,
                                      const struct decide_client *client,
                                      const struct decide_weights *weights, double usual_hits,
                                      uint64_t client_hash) {
    bool placed = !isnan(client->latitude) && !isnan(site->latitude);
    struct decide_score score = {
        .site = index,
        .rtt_ms = client->rtt_ms ? client->rtt_ms[index] : NAN,
        .distance_km =
            placed ? decide_distance_km(client->latitude, client->longitude, site->latitude, site->longitude)
                   : NAN,
        .eligible = site->up && !site->draining,
        .shed = site->sheds_in_steps ? site->shed : decide_shed_share(site->load, weights),
    };
    score.proximity =
        weights->distance * proximity(site, &score, client->over_light_ms, weights, client_hash);
    score.load = weights->load * load_term(site, weights);
    score.hit_ratio = weights->hit_ratio * (1 - (isnan(site->hit_ratio) ? usual_hits : site->hit_ratio));
    score.cost = weights->cost * site->cost;
    score.total = score.proximity + score.load + score.hit_ratio + score.cost;
    return score;
}

struct order {
    double total;
    bool dead;
    uint16_t site;
};

static int compare_order(const void *a, const void *b) {
    const struct order *x = a, *y = b;
    if (x->dead != y->dead) return x->dead - y->dead;
    if (x->total != y->total) return x->total < y->total ? -1 : 1;
    return x->site - y->site;
}

void decide_rank(const struct decide_site *sites, size_t count, const struct decide_client *client,
                 const struct decide_weights *weights, uint64_t place_hash, struct decide_score *out_scores) {
    SK_ASSERT(count <= DECIDE_SITES_MAX);
    struct order orders[DECIDE_SITES_MAX];
    struct decide_score scores[DECIDE_SITES_MAX];
    double usual_hits = usual_hit_ratio(sites, count);
    for (size_t i = 0; i < count; i++) {
        scores[i] = score_site(&sites[i], (uint16_t)i, client, weights, usual_hits, place_hash);
        orders[i] = (struct order){scores[i].total, !scores[i].eligible, (uint16_t)i};
    }
    qsort(orders, count, sizeof *orders, compare_order);
    for (size_t i = 0; i < count; i++) out_scores[i] = scores[orders[i].site];
}

/* The client's lot at a site, uniform in (0, 1). */
static double lot(const struct decide_site *site, uint64_t client_hash) {
    return decide_spread(client_hash ^ UINT64_C(0x5ed), name_hash(site->name));
}

/* Whether the site might turn this client away, however dear its way out is. */
static bool may_shed(const struct decide_site *sites, const struct decide_score *score,
                     uint64_t client_hash) {
    const struct decide_site *site = &sites[score->site];
    if (site->capacity <= 0) return true;
    return score->shed > 0 && lot(site, client_hash) < score->shed;
}

bool decide_sheds(const struct decide_site *sites, const struct decide_score *scores, size_t usable,
                  size_t rank, uint64_t client_hash) {
    const struct decide_score *score = &scores[rank];
    if (!may_shed(sites, score, client_hash)) return false;
    size_t out = 0;
    while (out < usable && may_shed(sites, &scores[out], client_hash)) out++;
    if (out == usable) return false;
    if (sites[score->site].capacity <= 0) return true;
    /* A share of s turns away s of those with a way out at hand and s^4 of those without: growing with the share for each
     * client, everybody at 1, and never by a jump, which the loop over the reports of load would answer with swings. */
    double dear = fmax(0, scores[out].total - score->total);
    return lot(&sites[score->site], client_hash) <
           pow(score->shed, fmin(SHED_LOTS_MOST, 1 + dear / SHED_DEAR));
}

double decide_least_total(const struct decide_score *score, const struct decide_weights *weights) {
    double least_ms = isnan(score->distance_km) ? 0 : score->distance_km / DECIDE_KM_PER_MS;
    return score->total - score->proximity + weights->distance * least_ms / weights->rtt_scale_ms;
}

static void add_site(struct decide_answer *answer, uint32_t wanted, uint16_t site) {
    for (size_t i = 0; i < answer->count; i++)
        if (answer->sites[i] == site) return;
    if (answer->count < wanted) answer->sites[answer->count++] = site;
}

/* All look dead: what was last good, else everybody by score, so that an answer is never empty. */
static struct decide_answer last_good(const struct decide_answer *previous, const struct decide_score *scores,
                                      size_t count, uint32_t wanted) {
    struct decide_answer answer = {.reason = DECIDE_LAST_GOOD};
    for (size_t i = 0; previous && i < previous->count; i++)
        if (previous->sites[i] < count) add_site(&answer, DECIDE_ANSWER_MAX, previous->sites[i]);
    if (answer.count) return answer;
    for (size_t i = 0; i < count; i++) add_site(&answer, wanted, scores[i].site);
    return answer;
}

/* The first among the USABLE that does not shed this client, or the best when all do. */
static size_t first_choice(const struct decide_site *sites, const struct decide_score *scores, size_t usable,
                           uint64_t client_hash) {
    for (size_t i = 0; i < usable; i++)
        if (!decide_sheds(sites, scores, usable, i, client_hash)) return i;
    return 0;
}

/* Where PREVIOUS's first site stands, if CHOSEN is not better than it by the hysteresis; else CHOSEN. */
static size_t sticky_choice(const struct decide_answer *previous, const struct decide_site *sites,
                            const struct decide_score *scores, size_t usable, size_t chosen,
                            uint64_t client_hash, double hysteresis) {
    if (!previous || previous->count == 0 || previous->reason == DECIDE_LAST_GOOD) return chosen;
    for (size_t i = 0; i < usable; i++) {
        if (scores[i].site != previous->sites[0] || i == chosen) continue;
        bool better = scores[chosen].total <= scores[i].total * (1 - hysteresis);
        return better || decide_sheds(sites, scores, usable, i, client_hash) ? chosen : i;
    }
    return chosen;
}

static enum decide_reason reason_of(const struct decide_score *score) {
    if (!isnan(score->rtt_ms)) return DECIDE_RTT;
    return isnan(score->distance_km) ? DECIDE_WEIGHT : DECIDE_DISTANCE;
}

struct decide_answer decide_choose(const struct decide_site *sites, size_t count,
                                   const struct decide_score *scores, const struct decide_weights *weights,
                                   uint64_t client_hash, const struct decide_answer *previous) {
    uint32_t wanted = SK_MIN(SK_MAX(weights->answer_count, 1), DECIDE_ANSWER_MAX);
    size_t usable = 0;
    while (usable < count && scores[usable].eligible) usable++;
    if (usable == 0) return last_good(previous, scores, count, wanted);

    size_t chosen = first_choice(sites, scores, usable, client_hash);
    size_t first = sticky_choice(previous, sites, scores, usable, chosen, client_hash, weights->hysteresis);
    struct decide_answer answer = {.reason = reason_of(&scores[first])};
    if (first != chosen)
        answer.reason = DECIDE_STICKY;
    else if (chosen > 0)
        answer.reason = DECIDE_SHED;
    add_site(&answer, wanted, scores[first].site);
    /* Those that shed this client come last: as the second address they are better than none. */
    for (size_t i = 0; i < usable; i++)
        if (!decide_sheds(sites, scores, usable, i, client_hash)) add_site(&answer, wanted, scores[i].site);
    for (size_t i = 0; i < usable; i++) add_site(&answer, wanted, scores[i].site);
    return answer;
}

struct decide_answer decide(const struct decide_site *sites, size_t count, const struct decide_client *client,
                            const struct decide_weights *weights, uint64_t client_hash,
                            const struct decide_answer *previous, struct decide_score *out_scores) {
    decide_rank(sites, count, client, weights, client_hash, out_scores);
    return decide_choose(sites, count, out_scores, weights, client_hash, previous);
}

void decide_rendezvous(const uint64_t *edge_hashes, const double *capacities, size_t count, uint64_t key_hash,
                       uint16_t *out_order) {
    SK_ASSERT(count <= DECIDE_SITES_MAX);
    struct order orders[DECIDE_SITES_MAX];
    for (size_t i = 0; i < count; i++)
        orders[i] = (struct order){draw(key_hash, edge_hashes[i], capacities[i]), false, (uint16_t)i};
    qsort(orders, count, sizeof *orders, compare_order);
    for (size_t i = 0; i < count; i++) out_order[i] = orders[i].site;
}
