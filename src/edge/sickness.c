#include "edge/sickness.h"

static bool may_go(const struct edge_sickness_look *look) {
    return look->others_running && 2 * look->others_running >= look->others;
}

static void go(struct edge_sickness *sickness, sk_time_ns now) {
    bool again = sickness->back && now - sickness->back < EDGE_SICK_MEMORY_S * SK_NS_PER_S;
    sickness->rest_s = again ? SK_MIN(2 * sickness->rest_s, EDGE_SICK_REST_MOST_S) : EDGE_SICK_REST_S;
    sickness->withdrawn = true;
}

static void come_back(struct edge_sickness *sickness, sk_time_ns now) {
    sickness->withdrawn = false;
    sickness->bad = 0;
    sickness->back = now;
}

bool edge_sickness_after(struct edge_sickness *sickness, const struct edge_sickness_look *look,
                         sk_time_ns now) {
    sickness->bad = look->bad ? sickness->bad + 1 : 0;
    if (look->bad) {
        sickness->why = look->bad;
        sickness->since = now;
    }
    bool rested = now - sickness->since >= sickness->rest_s * SK_NS_PER_S;
    if (sickness->withdrawn && (rested || !may_go(look)))
        come_back(sickness, now);
    else if (!sickness->withdrawn && sickness->bad >= EDGE_SICK_LOOKS && may_go(look))
        go(sickness, now);
    return sickness->withdrawn;
}
