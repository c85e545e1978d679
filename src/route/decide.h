/* Which edge sites should serve a client: the decision as a pure function. Every term can be shown. Called
 * off the hot path, by table building (route/table.h), by `explain-route` and by GET /route; never reads a
 * clock or a global. */
#ifndef SK_ROUTE_DECIDE_H
#define SK_ROUTE_DECIDE_H

#include "base/str.h"
#include "base/time.h"

#define DECIDE_SITES_MAX 1024
#define DECIDE_ANSWER_MAX 8
#define DECIDE_KM_PER_MS 100.0 /* of a round trip in glass */

/* A PoP as the router knows it. */
struct decide_site {
    sk_str name;
    double latitude, longitude; /* degrees; NAN when unknown */
    bool up;                    /* after damping (route/health.h) */
    bool draining;              /* operator's or its own wish: nobody new */
    double load;                /* 0..1+ of capacity */
    bool sheds_in_steps;        /* SHED counts (route/shed.h); else the load alone says it */
    double shed;                /* share of its clients that it turns away, 0..1 */
    double hit_ratio;           /* 0..1; NAN when unknown */
    double cost;                /* relative money a byte, 1 is usual */
    double capacity;            /* relative weight, 1 is usual */
};

/* What is known about the client's network. */
struct decide_client {
    double latitude, longitude; /* NAN when unknown */
    char country[3];
    uint32_t as_number;
    /* Measured median round trip to each site in ms, NAN where there is none; by site index. */
    const float *rtt_ms;
    /* What round trips usually take beyond light's time, where any was measured: without it, a site to which nothing was
     * measured would look nearer than all others. */
    double over_light_ms;
    /* What level the measurement came from: prefix, AS in country, country. */
    uint8_t rtt_level;
};

struct decide_weights {
    double distance, load, hit_ratio, cost; /* defaults .5 .3 .2 0 */
    double low_watermark, high_watermark;   /* of load: shedding is linear between them; .7 .9 */
    double hysteresis;                      /* a new best must be better by this share; .1 */
    double max_step; /* share of a site's clients that may move at one table change; .2 */
    double rtt_scale_ms, distance_scale_km; /* what counts as 1.0: 100 ms, 10,000 km */
    uint32_t answer_count;                  /* sites in an answer, 2 to 8; 2 */
};
void decide_weights_default(struct decide_weights *out_weights);

#define DECIDE_REASON_TABLE(X)                                                                               \
    X(RTT, "measured round trip")                                                                            \
    X(DISTANCE, "distance")                                                                                  \
    X(WEIGHT, "no location known: by capacity")                                                              \
    X(OVERRIDE, "operator's override")                                                                       \
    X(STICKY, "kept: the new best is not better enough")                                                     \
    X(SHED, "nearer site sheds load")                                                                        \
    X(EXPLORE, "not measured yet, might be better")                                                          \
    X(LAST_GOOD, "all sites look dead: last good answer")
enum decide_reason {
#define X(name, text) DECIDE_##name,
    DECIDE_REASON_TABLE(X)
#undef X
};

/* "RTT": for programs. */
const char *decide_reason_name(enum decide_reason reason);
/* "measured round trip": for people. */
const char *decide_reason_text(enum decide_reason reason);

struct decide_score {
    uint16_t site;
    double total;                            /* lower is better */
    double proximity, load, hit_ratio, cost; /* weighted terms */
    double distance_km;
    float rtt_ms;
    bool eligible;
    double shed; /* share of clients turned away, 0..1 */
};
struct decide_answer {
    uint16_t count;
    uint16_t sites[DECIDE_ANSWER_MAX]; /* best first; never empty when there is any site */
    enum decide_reason reason;
};

/* Scores all sites into OUT_SCORES (room for COUNT), best first: the living by total, then the dead and draining. Of the
 * client only its place and measurements count, so one ranking serves all networks of a place. PLACE_HASH spreads
 * clients of unknown place by capacity. */
void decide_rank(const struct decide_site *sites, size_t count, const struct decide_client *client,
                 const struct decide_weights *weights, uint64_t place_hash, struct decide_score *out_scores);
/* The answer for one network from a ranking: who sheds it (CLIENT_HASH: always the same ones first), and PREVIOUS (may be
 * NULL), its last answer, for stickiness and as last good. */
struct decide_answer decide_choose(const struct decide_site *sites, size_t count,
                                   const struct decide_score *scores, const struct decide_weights *weights,
                                   uint64_t client_hash, const struct decide_answer *previous);
/* The share of its clients that a site of this LOAD should turn away: none below the low watermark, all above the high. */
double decide_shed_share(double load, const struct decide_weights *weights);
/* Whether the site at RANK of the USABLE ones turns this client away. It does so by lot, always the same ones first, and
 * later those for whom the way out is dear: while a site is far from its limit, nobody is sent across an ocean. Nobody is
 * turned away when no other site could take him. */
bool decide_sheds(const struct decide_site *sites, const struct decide_score *scores, size_t usable,
                  size_t rank, uint64_t client_hash);
/* The total that SCORE would have if packets went straight, at light's speed: no measurement can be better. */
double decide_least_total(const struct decide_score *score, const struct decide_weights *weights);
/* Both at once. */
struct decide_answer decide(const struct decide_site *sites, size_t count, const struct decide_client *client,
                            const struct decide_weights *weights, uint64_t client_hash,
                            const struct decide_answer *previous, struct decide_score *out_scores);
/* Uniform in (0, 1), the same for the same pair on every router. */
double decide_spread(uint64_t a, uint64_t b);
double decide_distance_km(double lat1, double lon1, double lat2, double lon2);

/* Rendezvous hashing with capacity weights: the edges of a PoP in the order in which KEY should use them. */
void decide_rendezvous(const uint64_t *edge_hashes, const double *capacities, size_t count, uint64_t key_hash,
                       uint16_t *out_order);

#endif
