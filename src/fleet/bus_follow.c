#include "fleet/bus_follow.h"

/* ---- the server ------------------------------------------------------------------------------------------------ */

static void read_again(struct fleet_bus_follow *follow) {
    follow->read = (struct fleet_stream_id){0};
    follow->again = true;
}

unsigned fleet_bus_follow_server(struct fleet_bus_follow *follow, sk_str history,
                                 struct fleet_stream_id last) {
    history = sk_str_slice(history, 0, FLEET_BUS_SERVER_MAX);
    bool first = follow->heard == 0 && follow->server_bytes == 0;
    bool same = history.len && sk_str_eq(sk_str_make(follow->server, follow->server_bytes), history);
    if (history.len) memcpy(follow->server, history.data, history.len);
    follow->server_bytes = history.len;
    if (same && fleet_stream_id_compare(last, follow->read) >= 0) return 0;
    if (first) { /* what is stored may be of an earlier life; what comes from here on is heard */
        follow->read = last;
        follow->heard = 1;
        return FLEET_BUS_REVALIDATE;
    }
    read_again(follow);
    if (same) return FLEET_BUS_AGAIN;
    if (last.ms > FLEET_BUS_AGAIN_MS) follow->read.ms = last.ms - FLEET_BUS_AGAIN_MS;
    return FLEET_BUS_REVALIDATE | FLEET_BUS_AGAIN;
}

void fleet_bus_follow_skip(struct fleet_bus_follow *follow, struct fleet_stream_id id) { follow->read = id; }
void fleet_bus_follow_end(struct fleet_bus_follow *follow) { follow->again = false; }

/* ---- publishers ------------------------------------------------------------------------------------------------- */

static struct fleet_bus_heard *find(const struct fleet_bus_follow *follow, sk_str publisher) {
    for (uint32_t i = 0; i < follow->count; i++) {
        const struct fleet_bus_heard *heard = &follow->publishers[i];
        if (sk_str_eq(sk_str_make(heard->publisher, heard->publisher_bytes), publisher))
            return (struct fleet_bus_heard *)(uintptr_t)heard; /* of the caller's const or not */
    }
    return NULL;
}

/* A new one's place, maybe that of who was not heard for longest: should that one come again, it is new. */
static struct fleet_bus_heard *make_room(struct fleet_bus_follow *follow, sk_str publisher) {
    struct fleet_bus_heard *room = &follow->publishers[0];
    if (follow->count < FLEET_BUS_PUBLISHERS_MAX) {
        room = &follow->publishers[follow->count++];
    } else {
        for (uint32_t i = 1; i < follow->count; i++)
            if (follow->publishers[i].heard < room->heard) room = &follow->publishers[i];
    }
    *room = (struct fleet_bus_heard){.publisher_bytes = publisher.len};
    memcpy(room->publisher, publisher.data, publisher.len);
    return room;
}

/* The sequence before the entry's own. */
static uint64_t sequence_before(const struct fleet_bus_entry *entry) {
    return entry->kind == FLEET_BUS_PURGES ? entry->mark.sequence - 1 : entry->mark.sequence;
}

enum order {
    ORDER_OLD,  /* heard already */
    ORDER_NEXT, /* nothing is missing before it */
    ORDER_GAP,  /* something is, that may stand in the stream */
    ORDER_LOST, /* something is, and need not be looked for */
    ORDER_PAST, /* of an epoch before, while reading again: its purges may not have been applied */
};

static enum order order_in_epoch(const struct fleet_bus_heard *heard, const struct fleet_bus_entry *entry) {
    uint64_t before = sequence_before(entry);
    if (before > heard->mark.sequence) return ORDER_GAP;
    if (before < heard->mark.sequence) return ORDER_OLD;
    return entry->kind == FLEET_BUS_PURGES || entry->serial > heard->serial ? ORDER_NEXT : ORDER_OLD;
}

static enum order order_of(const struct fleet_bus_follow *follow, const struct fleet_bus_heard *heard,
                           const struct fleet_bus_entry *entry) {
    bool begins = sequence_before(entry) == 0;
    if (!heard) return begins ? ORDER_NEXT : ORDER_LOST;
    if (entry->mark.epoch == heard->mark.epoch) return order_in_epoch(heard, entry);
    if (entry->mark.epoch > heard->mark.epoch) return heard->ended && begins ? ORDER_NEXT : ORDER_LOST;
    if (!follow->again) return ORDER_LOST; /* its clock was set back, or there are two of its name */
    return entry->kind == FLEET_BUS_PURGES ? ORDER_PAST : ORDER_OLD;
}

bool fleet_bus_follow_is_news(const struct fleet_bus_follow *follow, const struct fleet_bus_entry *entry) {
    return order_of(follow, find(follow, entry->publisher), entry) != ORDER_OLD;
}

static void hear(struct fleet_bus_follow *follow, struct fleet_bus_heard *heard,
                 const struct fleet_bus_entry *entry) {
    if (!heard) heard = make_room(follow, entry->publisher);
    bool same = heard->mark.epoch == entry->mark.epoch;
    heard->mark = entry->mark;
    heard->serial = same ? SK_MAX(heard->serial, entry->serial) : entry->serial;
    heard->heard = ++follow->heard;
    heard->ended = entry->kind == FLEET_BUS_END;
}

unsigned fleet_bus_follow_entry(struct fleet_bus_follow *follow, struct fleet_stream_id id,
                                const struct fleet_bus_entry *entry) {
    struct fleet_bus_heard *heard = find(follow, entry->publisher);
    unsigned apply = entry->kind == FLEET_BUS_PURGES ? FLEET_BUS_APPLY : 0;
    enum order order = order_of(follow, heard, entry);
    if (order == ORDER_GAP && !follow->again) {
        read_again(follow);
        return FLEET_BUS_AGAIN;
    }
    follow->read = id;
    if (order == ORDER_OLD) return 0;
    if (order == ORDER_PAST) return apply;
    hear(follow, heard, entry);
    return FLEET_BUS_ALIVE | (order == ORDER_NEXT ? 0 : FLEET_BUS_REVALIDATE) | apply;
}
