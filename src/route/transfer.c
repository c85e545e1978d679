#include "route/transfer.h"

#include <stdlib.h>

enum { MESSAGE_BYTES = 16384, QUESTION_BYTES = 12 + DNS_NAME_MAX + 4 };

enum stage { FIRST_SOA, RECORDS, LAST_SOA, DONE };

struct transfer {
    struct route_plan *plan;
    const struct zone *zone;
    uint8_t question[QUESTION_BYTES];
    struct dns_query query;
    enum stage stage;
    size_t node;                    /* the next one in canonical order */
    const struct zone_rrset *rrset; /* of the present node; NULL: go to the next */
};

bool transfer_wanted(const struct dns_query *query) {
    return query->opcode == 0 && query->class_ == 1 &&
           (query->type == DNS_TYPE_AXFR || query->type == DNS_TYPE_IXFR);
}

static bool allowed(const struct config_route_zone *zone, const struct io_addr *client) {
    for (uint32_t i = 0; i < zone->allow_transfer_count; i++)
        if (io_prefix_match(&zone->allow_transfer[i], client)) return true;
    return false;
}

sk_err transfer_begin(struct route_plan *plan, const uint8_t *message, const struct dns_query *query,
                      const struct io_addr *client, struct transfer **out_transfer) {
    const struct plan_zone *zone = route_plan_zone(plan, &query->name);
    if (!zone) return SK_ERR_NOT_FOUND;
    if (!allowed(zone->config, client)) return SK_ERR_DENIED;
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (!transfer) return SK_ERR_NO_MEMORY;
    transfer->plan = route_plan_ref(plan);
    transfer->zone = answer_zones_find(plan->config->zones, &zone->apex);
    transfer->query = *query;
    memcpy(transfer->question, message, 12 + (size_t)query->question_bytes);
    *out_transfer = transfer;
    return SK_OK;
}

void transfer_free(struct transfer *transfer) {
    if (!transfer) return;
    route_plan_unref(transfer->plan);
    free(transfer);
}

/* A whole set, or nothing of it. */
static bool put(struct dns_writer *writer, const struct zone_rrset *set) {
    return dns_writer_rrset(writer, DNS_ANSWER, set->owner, set->type, set->ttl_s, set->records,
                            set->count) == SK_OK;
}

static const struct zone_rrset *soa_of(const struct transfer *transfer) {
    const struct zone_rrset *rrset = zone_node(transfer->zone, zone_apex(transfer->zone));
    while (rrset->type != DNS_TYPE_SOA) rrset = rrset->next;
    return rrset;
}

static bool hidden(const struct zone_rrset *rrset) {
    return rrset->type == ZONE_TYPE_MARK || rrset->type == DNS_TYPE_SOA;
}

/* The next set to send, or NULL at the end. */
static const struct zone_rrset *next_set(struct transfer *transfer) {
    for (;;) {
        if (!transfer->rrset) {
            if (transfer->node == zone_node_count(transfer->zone)) return NULL;
            transfer->rrset = zone_node_at(transfer->zone, transfer->node++);
        } else if (!hidden(transfer->rrset)) {
            return transfer->rrset;
        } else {
            transfer->rrset = transfer->rrset->next;
        }
    }
}

static void put_records(struct transfer *transfer, struct dns_writer *writer) {
    const struct zone_rrset *set;
    while ((set = next_set(transfer)) != NULL) {
        if (!put(writer, set)) return;
        transfer->rrset = set->next;
    }
    transfer->stage = LAST_SOA;
}

size_t transfer_next(struct transfer *transfer, uint8_t *out) {
    struct dns_writer writer;
    if (transfer->stage == DONE) return 0;
    /* A set beyond the usual size gets a message of its own. */
    for (size_t limit = MESSAGE_BYTES;; limit = UINT16_MAX) {
        dns_writer_begin(&writer, out, limit, 0, transfer->question, &transfer->query, DNS_FLAG_AA,
                         DNS_NOERROR);
        if (transfer->stage == FIRST_SOA && put(&writer, soa_of(transfer))) transfer->stage = RECORDS;
        if (transfer->stage == RECORDS) put_records(transfer, &writer);
        if (transfer->stage == LAST_SOA && put(&writer, soa_of(transfer))) transfer->stage = DONE;
        if (writer.counts[DNS_ANSWER] || limit == UINT16_MAX) break;
    }
    /* What did not fit comes in the next message; one that cannot fit in any ends the transfer. */
    writer.truncated = false;
    if (writer.counts[DNS_ANSWER] == 0) transfer->stage = DONE;
    return writer.counts[DNS_ANSWER] ? dns_writer_finish(&writer) : 0;
}
