/* What the process knows of each origin, whoever's snapshot speaks of it: where it is, its TLS context, its
 * health. Two sites that name the same url with the same TLS settings share one struct origin, and so does
 * the same site before and after a reload. Groups, pools and checks hold references. */
#ifndef SK_ORIGIN_REGISTRY_H
#define SK_ORIGIN_REGISTRY_H

#include "base/list.h"
#include "origin/budget.h"
#include "origin/health.h"
#include "origin/origin.h"
#include "wire/tls.h"

#define ORIGIN_MAGIC 0x6f726967u
#define ORIGIN_GROUP_MAGIC 0x6f726770u
#define ORIGIN_REGISTRY_MAGIC 0x6f727267u
#define ORIGIN_GROUP_MOST 64    /* origins of one site: a bit of a word each */
#define ORIGIN_THREADS_MOST 256 /* that may join */

struct origin_pool;

/* One TLS context for all origins that trust the same authorities and are met with the same policy and the same
 * certificate of ours: the system's store is large. */
struct origin_trust {
    struct sk_list link; /* registry lock */
    uint32_t references; /* registry lock */
    uint64_t identity;   /* of the files' content, so that a changed one is new, and of the policy */
    struct wire_tls_context *context;
};

struct origin {
    uint32_t magic;
    struct sk_list link; /* registry lock */
    uint32_t references; /* registry lock */
    /* set once at creation */
    struct origin_registry *registry;
    char *url;
    char *host;     /* what is resolved; no brackets */
    char *peer;     /* whom the certificate must name, also SNI */
    char *expected; /* whom the certificate must name instead; empty: PEER */
    uint16_t port;
    enum config_http2 http2;
    uint64_t id;                /* hash of url */
    struct origin_trust *trust; /* NULL: plain http */
    /* any thread */
    struct origin_health health;
    _Atomic uint32_t connections; /* open now; relaxed, a figure for people */
    _Atomic uint32_t groups;      /* that name it; relaxed, a hint when pools may go */
    /* each slot by its thread only */
    struct origin_pool *pools[ORIGIN_THREADS_MOST];
};

struct origin_registry {
    uint32_t magic;
    pthread_mutex_t lock; /* protects the lists, the references and the slots; held for look-ups, and while
                             a CA file is read at a configuration's loading */
    struct sk_list origins, trusts;
    uint64_t slots[ORIGIN_THREADS_MOST / 64];
};

struct origin_member {
    struct origin *origin;
    const struct config_origin *config;
    _Atomic uint64_t due; /* virtual time of its next turn; relaxed, only the value matters */
};

struct origin_group {
    uint32_t magic;
    /* set once at creation */
    struct origin_registry *registry;
    const struct config_site *site;
    size_t count;
    /* any thread */
    struct origin_budget budget;
    _Atomic uint64_t clock; /* virtual; relaxed */
    struct origin_member members[];
};

/* A new or a known one, with one reference. SK_ERR_INVALID (CA file, logged), SK_ERR_NO_MEMORY. */
sk_err origin_acquire(struct origin_registry *registry, const struct config_origin *config,
                      struct origin **out_origin);
struct origin *origin_ref(struct origin *origin);
void origin_unref(struct origin *origin);

/* A slot of struct origin's pools; SK_ERR_FULL. */
sk_err origin_registry_take_slot(struct origin_registry *registry, size_t *out_slot);
void origin_registry_give_slot(struct origin_registry *registry, size_t slot);

/* Chooses among those whose bit in TRIED is not set, and keeps the books of turns and trials. */
struct origin_choice origin_group_choose(const struct origin_group *group, uint64_t tried, uint64_t affinity,
                                         bool may_retry, sk_time_ns now);
/* True when origin_group_choose would find one. */
bool origin_group_any_left(const struct origin_group *group, uint64_t tried, sk_time_ns now);

#endif
