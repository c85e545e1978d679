/* Deciding for the pieces of a table, one after the other, and for one address when somebody asks why. */
#include <math.h>

#include "route/table_private.h"

/* A site whose score is worse than the best's by more than this (20 ms by the usual weights) is not worth a try. */
#define EXPLORE_REACH 0.1

/* --- deciding --------------------------------------------------------------------------------------- */

const struct geo_place *table_place_of(const struct table_making *build, const struct table_piece *piece) {
    static const struct geo_place nothing = {.latitude = NAN, .longitude = NAN};
    return build->input->geo ? geo_place(build->input->geo, piece->place) : &nothing;
}

static bool place_matches(const struct geo_place *place, const char country[3], uint32_t as_number) {
    if (country[0] && memcmp(country, place->country, 2) != 0) return false;
    return as_number == 0 || as_number == place->as_number;
}

/* The operator's word: by prefix, else the first that names the country or the AS. */
const struct table_override *table_override_of(const struct table_making *build,
                                               const struct table_piece *piece) {
    const struct table_input *input = build->input;
    if (piece->override) return &input->overrides[piece->override - 1];
    for (size_t i = 0; i < input->override_count; i++) {
        const struct table_override *override = &input->overrides[i];
        bool named = override->country[0] || override->as_number;
        if (!override->by_prefix && named &&
            place_matches(table_place_of(build, piece), override->country, override->as_number))
            return override;
    }
    return NULL;
}

/* The nearest measurement: of the network, of the AS in the country, of the country. */
const struct table_measurement *table_measurement_of(const struct table_making *build,
                                                     const struct table_piece *piece, uint8_t *out_level) {
    const struct table_measurements *all = build->input->measurements;
    const struct geo_place *place = table_place_of(build, piece);
    const struct table_measurement *country = NULL;
    *out_level = 1;
    if (piece->measurement) return &all->items[piece->measurement - 1];
    for (size_t i = all ? all->prefix_count : 0; all && place->country[0] && i < all->count; i++) {
        const struct table_measurement *item = &all->items[i];
        if (!item->country[0] || !place_matches(place, item->country, item->as_number)) continue;
        *out_level = 2;
        if (item->as_number) return item;
        country = item;
    }
    *out_level = 3;
    return country;
}

/* To this place; NAN when that is not known. */
static float rtt_from(const struct table_rtt *rtt, const struct geo_place *place,
                      const struct decide_site *site) {
    if (!rtt->over_light) return rtt->p50_ms;
    if (isnan(place->latitude) || isnan(site->latitude)) return NAN;
    double km = decide_distance_km(place->latitude, place->longitude, site->latitude, site->longitude);
    return (float)(rtt->p50_ms + km / DECIDE_KM_PER_MS);
}

static void use_measurement(struct table_making *build, const struct table_measurement *measurement,
                            const struct geo_place *place) {
    size_t count = build->input->site_count;
    for (size_t i = 0; i < count; i++) build->rtts[i] = NAN, build->measured[i] = false;
    for (size_t i = 0; measurement && i < measurement->rtt_count; i++) {
        const struct table_rtt *rtt = &measurement->rtts[i];
        if (rtt->site >= count) continue;
        build->rtts[rtt->site] = rtt_from(rtt, place, &build->sites[rtt->site]);
        build->measured[rtt->site] = rtt->own;
    }
}

void table_rank(struct table_making *build, const struct table_piece *piece) {
    const struct table_input *input = build->input;
    const struct geo_place *place = table_place_of(build, piece);
    struct decide_client client = {
        .latitude = place->latitude, .longitude = place->longitude, .as_number = place->as_number};
    const struct table_measurement *measurement = table_measurement_of(build, piece, &client.rtt_level);
    memcpy(client.country, place->country, sizeof client.country);
    use_measurement(build, measurement, place);
    if (measurement) client.rtt_ms = build->rtts;
    if (input->measurements) client.over_light_ms = input->measurements->over_light_ms;
    uint64_t place_hash =
        isnan(place->latitude) ? piece->block + UINT64_C(0x10000) * piece->place : piece->place;
    decide_rank(build->sites, input->site_count, &client, input->weights, place_hash, build->scores);
}

static bool lists_site(const struct decide_answer *answer, uint16_t site) {
    for (size_t i = 0; i < answer->count; i++)
        if (answer->sites[i] == site) return true;
    return false;
}

/* How many of the ranking can serve: they come first. */
static size_t usable_count(const struct table_making *build) {
    size_t usable = 0;
    while (usable < build->input->site_count && build->scores[usable].eligible) usable++;
    return usable;
}

static const struct decide_score *score_of(const struct table_making *build, uint16_t site) {
    const struct decide_score *score = build->scores;
    while (score->site != site) score++;
    return score;
}

/* Those whom a site sheds need not wait: how many they are changes in steps itself (route/shed.h). */
static bool turned_away(const struct table_making *build, uint16_t site, uint64_t client_hash) {
    return decide_sheds(build->sites, build->scores, usable_count(build),
                        (size_t)(score_of(build, site) - build->scores), client_hash);
}

/* Whether a network that could as well stay has to wait for a later table: only max_step of them move at once. */
static bool must_wait(const struct table_making *build, const struct decide_answer *before,
                      const struct decide_answer *after, uint64_t client_hash) {
    const struct decide_weights *weights = build->input->weights;
    if (!before || before->count == 0 || before->reason == DECIDE_LAST_GOOD ||
        after->reason == DECIDE_LAST_GOOD)
        return false;
    uint16_t site = before->sites[0];
    if (site == after->sites[0] || site >= build->input->site_count) return false;
    const struct decide_site *old = &build->sites[site];
    if (!old->up || old->draining || turned_away(build, site, client_hash)) return false;
    /* In turn, not by lot: with lots, some would wait for minutes. */
    double turn = decide_spread(client_hash, 0) + (double)build->input->version * weights->max_step;
    return turn - floor(turn) >= weights->max_step;
}

static struct decide_answer override_answer(const struct table_making *build,
                                            const struct table_override *override,
                                            const struct decide_answer *chosen) {
    struct decide_answer answer = {.reason = DECIDE_OVERRIDE};
    for (size_t i = 0; i < override->site_count && i < DECIDE_ANSWER_MAX; i++) {
        uint16_t site = override->sites[i];
        if (site < build->input->site_count && build->sites[site].up && !build->sites[site].draining)
            answer.sites[answer.count++] = site;
    }
    /* An override whose sites are all dead gives way: never an empty answer. */
    return answer.count ? answer : *chosen;
}

/* What the table before says, as if it had not explored. */
static bool answer_before(const struct table_making *build, const uint8_t ip[16],
                          struct decide_answer *out_answer) {
    const struct table *previous = build->input->previous;
    if (!previous) return false;
    *out_answer = *table_find(previous, ip).answer;
    if (out_answer->reason == DECIDE_EXPLORE && out_answer->count > 1) {
        uint16_t second = out_answer->sites[0];
        out_answer->sites[0] = out_answer->sites[1];
        out_answer->sites[1] = second;
        out_answer->reason = DECIDE_STICKY;
    }
    /* A router that starts while all look dead to it does not know better than the last good answer. */
    if (build->input->stay && out_answer->reason == DECIDE_LAST_GOOD) out_answer->reason = DECIDE_STICKY;
    return true;
}

/* Of the sites that this network did not measure yet the first by score, if it could be better than BEST where packets
 * went straight, and is not known to be much worse by those who stand in. To measure others again is not needed: what
 * nobody renews fades at the edges. */
static bool find_promising(const struct table_making *build, uint16_t best, uint16_t *out_site) {
    const struct table_input *input = build->input;
    double total = score_of(build, best)->total;
    for (size_t i = 0; i < input->site_count && build->scores[i].eligible; i++) {
        const struct decide_score *score = &build->scores[i];
        if (score->total > total + EXPLORE_REACH) return false;
        if (score->site == best || build->measured[score->site] || score->shed > 0) continue;
        if (build->sites[score->site].capacity <= 0) continue;
        if (decide_least_total(score, input->weights) >= total) continue;
        *out_site = score->site;
        return true;
    }
    return false;
}

/* A few networks get a promising site first for a while, so that it is measured too. */
static void explore(const struct table_making *build, uint64_t client_hash, struct decide_answer *answer) {
    const struct table_input *input = build->input;
    bool settled = answer->reason == DECIDE_RTT || answer->reason == DECIDE_DISTANCE ||
                   answer->reason == DECIDE_WEIGHT || answer->reason == DECIDE_STICKY;
    if (!settled || answer->count < 2 || input->explore <= 0) return;
    if (decide_spread(client_hash, ~input->explore_round) >= input->explore) return;
    uint16_t best = answer->sites[0], promising;
    if (!find_promising(build, best, &promising)) return;
    struct decide_answer explored = {.count = 2, .sites = {promising, best}, .reason = DECIDE_EXPLORE};
    for (size_t i = 1; i < answer->count && explored.count < answer->count; i++)
        if (!lists_site(&explored, answer->sites[i])) explored.sites[explored.count++] = answer->sites[i];
    *answer = explored;
}

struct decide_answer table_decide(struct table_making *build, const struct table_piece *piece) {
    const struct table_input *input = build->input;
    uint8_t ip[16];
    struct decide_answer previous;
    geo_ip_bytes(piece->start, ip);
    uint64_t hash = piece->start.high * UINT64_C(0x9e3779b97f4a7c15) ^ piece->start.low;
    const struct decide_answer *before = answer_before(build, ip, &previous) ? &previous : NULL;
    struct decide_answer answer =
        decide_choose(build->sites, input->site_count, build->scores, &build->weights, hash, before);
    if (must_wait(build, before, &answer, hash)) {
        build->waiting++;
        struct decide_answer stay = {.count = 1, .sites = {before->sites[0]}, .reason = DECIDE_STICKY};
        for (size_t i = 0; i < answer.count && stay.count < SK_MAX(input->weights->answer_count, 1); i++)
            if (!lists_site(&stay, answer.sites[i])) stay.sites[stay.count++] = answer.sites[i];
        answer = stay;
    }
    explore(build, hash, &answer);
    const struct table_override *override = table_override_of(build, piece);
    return override ? override_answer(build, override, &answer) : answer;
}

/* --- one address ------------------------------------------------------------------------------------ */

static bool covers(const struct io_prefix *prefix, const uint8_t ip[16]) {
    size_t whole = prefix->bits / 8, rest = prefix->bits % 8;
    if (memcmp(prefix->ip, ip, whole) != 0) return false;
    return rest == 0 || (prefix->ip[whole] ^ ip[whole]) >> (8 - rest) == 0;
}

/* The longest prefix, of equal ones the later, as in the trees. */
static uint32_t override_at(const struct table_input *input, const uint8_t ip[16]) {
    uint32_t best = 0;
    for (size_t i = 0; i < input->override_count; i++) {
        const struct io_prefix *prefix = &input->overrides[i].prefix;
        if (!input->overrides[i].by_prefix || !covers(prefix, ip)) continue;
        if (!best || prefix->bits >= input->overrides[best - 1].prefix.bits) best = (uint32_t)i + 1;
    }
    return best;
}

static uint32_t measurement_at(const struct table_input *input, const uint8_t ip[16]) {
    const struct table_measurements *all = input->measurements;
    uint32_t best = 0;
    for (size_t i = 0; all && i < all->prefix_count; i++) {
        const struct io_prefix *prefix = &all->items[i].prefix;
        if (!covers(prefix, ip)) continue;
        if (!best || prefix->bits >= all->items[best - 1].prefix.bits) best = (uint32_t)i + 1;
    }
    return best;
}

sk_err table_explain(const struct table_input *input, const uint8_t ip[16], struct decide_score *out_scores,
                     struct table_explanation *out_explanation) {
    uint8_t bits;
    struct table_making build;
    struct table_piece piece = {.start = geo_ip_of(ip),
                                .override = override_at(input, ip),
                                .measurement = measurement_at(input, ip),
                                .block = table_grid_block(input, ip)};
    sk_err err = table_making_init(&build, input);
    if (err) return err;
    if (input->geo) piece.place = geo_tree_find(geo_tree_of(input->geo), ip, &bits);
    const struct table_override *override = table_override_of(&build, &piece);
    *out_explanation =
        (struct table_explanation){.place = *table_place_of(&build, &piece), .override = override};
    out_explanation->measurement = table_measurement_of(&build, &piece, &out_explanation->rtt_level);
    table_rank(&build, &piece);
    memcpy(out_scores, build.scores, input->site_count * sizeof *out_scores);
    table_making_free(&build);
    return SK_OK;
}
