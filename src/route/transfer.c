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
    size_t node; /* the next one in canonical order */
    bool is_signed;
    struct tsig_request tsig;
    const struct zone_rrset *rrset; /* of the present node; NULL: go to the next */
};

bool transfer_wanted(const struct dns_query *query) {
    return query->opcode == 0 && query->class_ == 1 &&
           (query->type == DNS_TYPE_AXFR || query->type == DNS_TYPE_IXFR);
}

/* A key alone is enough where no networks are named. */
static bool allowed(const struct plan_zone *plan_zone, const struct io_addr *client,
                    const struct tsig_request *tsig) {
    const struct config_route_zone *zone = plan_zone->config;
    if (plan_zone->tsig_key && (!tsig || tsig->key != plan_zone->tsig_key)) return false;
    if (plan_zone->tsig_key && zone->allow_transfer_count == 0) return true;
    for (uint32_t i = 0; i < zone->allow_transfer_count; i++)
        if (io_prefix_match(&zone->allow_transfer[i], client)) return true;
    return false;
}

sk_err transfer_begin(struct route_plan *plan, const uint8_t *message, const struct dns_query *query,
                      const struct io_addr *client, const struct tsig_request *tsig,
                      struct transfer **out_transfer) {
    const struct plan_zone *zone = route_plan_zone(plan, &query->name);
    if (!zone) return SK_ERR_NOT_FOUND;
    if (!allowed(zone, client, tsig)) return SK_ERR_DENIED;
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (!transfer) return SK_ERR_NO_MEMORY;
    transfer->plan = route_plan_ref(plan);
    transfer->zone = answer_zones_find(plan->config->zones, &zone->apex);
    transfer->query = *query;
    transfer->is_signed = tsig != NULL;
    if (tsig) transfer->tsig = *tsig;
    memcpy(transfer->question, message, 12 + (size_t)query->question_bytes);
    *out_transfer = transfer;
    return SK_OK;
}

void transfer_free(struct transfer *transfer) {
    if (!transfer) return;
    route_plan_unref(transfer->plan);
    free(transfer);
}

/* --- the chain of a signed zone ----------------------------------------------------------------------
 *
 * What denies names compactly is made for one question; a secondary needs the chain of RFC 4034 section 4, which is
 * made and signed here, while the zone goes out. */

enum { TYPES_MAX = 512 };

static const struct zone_rrset *find_type(const struct zone_rrset *rrset, uint16_t type) {
    while (rrset && rrset->type != type) rrset = rrset->next;
    return rrset;
}

/* Whether the secondary sees this name in the chain: signed, and with records of its own. */
static bool in_chain(const struct zone_rrset *node) {
    bool own = false;
    for (const struct zone_rrset *rrset = node; rrset; rrset = rrset->next)
        own |= rrset->type != ZONE_TYPE_MARK && rrset->type != DNS_TYPE_NSEC;
    return own && find_type(node, DNS_TYPE_NSEC);
}

static const struct dns_name *next_in_chain(const struct zone *zone, size_t from) {
    for (size_t i = from; i < zone_node_count(zone); i++)
        if (in_chain(zone_node_at(zone, i))) return zone_node_at(zone, i)->owner;
    return zone_apex(zone);
}

/* RFC 4034 4.1: the next name, and what there is. */
static size_t chain_data(const struct transfer *transfer, const struct zone_rrset *node, uint8_t *out) {
    uint16_t types[TYPES_MAX];
    uint8_t compact[DNSSEC_NSEC_MAX];
    const struct dns_name *next = next_in_chain(transfer->zone, transfer->node);
    size_t count = 0;
    bool cut = find_type(node, DNS_TYPE_NS) && !dns_name_eq(node->owner, zone_apex(transfer->zone));
    types[count++] = DNS_TYPE_RRSIG;
    types[count++] = DNS_TYPE_NSEC;
    for (; node && count < TYPES_MAX; node = node->next)
        if (node->type != ZONE_TYPE_MARK && (!cut || node->type == DNS_TYPE_NS || node->type == DNS_TYPE_DS))
            types[count++] = node->type;
    /* The bitmap is behind the name, whatever that is. */
    size_t bytes = dnssec_nsec(&(struct dns_name){.length = 1}, types, count, compact), bitmap = bytes - 3;
    memcpy(out, next->wire, next->length);
    memcpy(out + next->length, compact + 3, bitmap);
    return next->length + bitmap;
}

static bool put_chain(struct transfer *transfer, struct dns_writer *writer, const struct zone_rrset *nsec) {
    const struct zone_rrset *node = zone_node(transfer->zone, nsec->owner);
    uint8_t data[DNSSEC_NSEC_MAX], signature[DNSSEC_RRSIG_MAX];
    size_t bytes;
    if (!in_chain(node)) return true;
    struct dns_rdata record = {data, (uint16_t)chain_data(transfer, node, data)};
    struct zone_rrset made = *nsec;
    made.records = &record;
    if (dnssec_sign(zone_signer(transfer->zone), NULL, nsec->owner, &made, signature, &bytes)) return false;
    struct dns_rdata rrsig = {signature, (uint16_t)bytes};
    struct dns_writer before = *writer;
    if (dns_writer_rrset(writer, DNS_ANSWER, nsec->owner, DNS_TYPE_NSEC, nsec->ttl_s, &record, 1) == SK_OK &&
        dns_writer_rrset(writer, DNS_ANSWER, nsec->owner, DNS_TYPE_RRSIG, nsec->ttl_s, &rrsig, 1) == SK_OK)
        return true;
    *writer = before;
    return false;
}

/* --- messages --------------------------------------------------------------------------------------- */

/* A whole set with its signatures, or nothing of it. */
static bool put(struct transfer *transfer, struct dns_writer *writer, const struct zone_rrset *set) {
    struct dns_writer before = *writer;
    const struct zone_rrset *signatures = set->signatures;
    if (set->type == DNS_TYPE_NSEC && zone_signer(transfer->zone)) return put_chain(transfer, writer, set);
    if (dns_writer_rrset(writer, DNS_ANSWER, set->owner, set->type, set->ttl_s, set->records, set->count) ==
            SK_OK &&
        (!signatures || dns_writer_rrset(writer, DNS_ANSWER, set->owner, DNS_TYPE_RRSIG, set->ttl_s,
                                         signatures->records, signatures->count) == SK_OK))
        return true;
    *writer = before;
    return false;
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
        if (!put(transfer, writer, set)) return;
        transfer->rrset = set->next;
    }
    transfer->stage = LAST_SOA;
}

/* The last one, alone: it says that all has been told. */
static bool put_soa(struct dns_writer *writer, const struct zone_rrset *soa) {
    return dns_writer_rrset(writer, DNS_ANSWER, soa->owner, soa->type, soa->ttl_s, soa->records,
                            soa->count) == SK_OK;
}

/* The next message without its signature, for which RESERVE bytes stay free; 0: there is none. */
static size_t next_message(struct transfer *transfer, size_t reserve, uint8_t *out) {
    struct dns_writer writer;
    if (transfer->stage == DONE) return 0;
    /* A set beyond the usual size gets a message of its own. */
    for (size_t limit = MESSAGE_BYTES;; limit = UINT16_MAX) {
        dns_writer_begin(&writer, out, limit, reserve, transfer->question, &transfer->query, DNS_FLAG_AA,
                         DNS_NOERROR);
        if (transfer->stage == FIRST_SOA && put(transfer, &writer, soa_of(transfer)))
            transfer->stage = RECORDS;
        if (transfer->stage == RECORDS) put_records(transfer, &writer);
        if (transfer->stage == LAST_SOA && put_soa(&writer, soa_of(transfer))) transfer->stage = DONE;
        if (writer.counts[DNS_ANSWER] || limit == UINT16_MAX) break;
    }
    /* What did not fit comes in the next message; one that cannot fit in any ends the transfer. */
    writer.truncated = false;
    if (writer.counts[DNS_ANSWER] == 0) transfer->stage = DONE;
    return writer.counts[DNS_ANSWER] ? dns_writer_finish(&writer) : 0;
}

/* Each message carries a signature of its own, over the one before (RFC 8945 section 5.3.1). */
sk_err transfer_next(struct transfer *transfer, sk_unix_s now, uint8_t *out, size_t *out_bytes) {
    size_t reserve = transfer->is_signed ? tsig_room(&transfer->tsig) : 0;
    size_t bytes = next_message(transfer, reserve, out);
    sk_err err = SK_OK;
    if (bytes && transfer->is_signed) err = tsig_close(&transfer->tsig, out, &bytes, UINT16_MAX, now);
    if (!err) *out_bytes = bytes;
    return err;
}
