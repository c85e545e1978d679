#include "fleet/neighbours.h"

#include <string.h>

#include "io/addr.h"

static struct fleet_neighbour *find(struct fleet_neighbours *known, const struct fleet_id *id) {
    for (uint32_t i = 0; i < known->count; i++)
        if (fleet_id_eq(&known->items[i].id, id)) return &known->items[i];
    return NULL;
}

const struct fleet_neighbour *fleet_neighbours_find(const struct fleet_neighbours *known,
                                                    const struct fleet_id *id) {
    return find((struct fleet_neighbours *)known, id);
}

/* A host name will do, too: printable, and without what would end it in a url. */
static bool set_address(struct fleet_neighbour *neighbour, sk_str address) {
    if (!address.len || address.len >= sizeof neighbour->address) return false;
    for (size_t i = 0; i < address.len; i++)
        if (address.data[i] <= ' ' || address.data[i] > '~' || strchr("/?#@\\", address.data[i]))
            return false;
    memcpy(neighbour->address, address.data, address.len);
    neighbour->address[address.len] = 0;
    return true;
}

/* ---- hearing ---------------------------------------------------------------------------------------------------- */

/* False: it is none of ours. */
static bool read_beat(const struct fleet_heartbeat *beat, const struct fleet_id *self,
                      struct fleet_neighbour *out) {
    struct fleet_neighbour neighbour = {.running = beat->state == FLEET_STATE_RUNNING};
    if (fleet_id_parse(beat->name, &neighbour.id) || !set_address(&neighbour, beat->address)) return false;
    if (neighbour.id.role != FLEET_ROLE_EDGE || strcmp(neighbour.id.fleet, self->fleet) != 0) return false;
    *out = neighbour;
    return true;
}

static bool take(struct fleet_neighbours *known, const struct fleet_neighbour *heard) {
    struct fleet_neighbour *old = find(known, &heard->id);
    if (!old) {
        if (known->count == FLEET_NEIGHBOURS_MAX) return false;
        known->items[known->count++] = *heard;
        return true;
    }
    bool changed = old->running != heard->running || strcmp(old->address, heard->address) != 0;
    *old = *heard;
    return changed;
}

static bool is_in(const struct fleet_heartbeat *beats, size_t count, const struct fleet_id *id) {
    char text[FLEET_ID_TEXT_BYTES];
    sk_str name = fleet_id_format(id, text);
    for (size_t i = 0; i < count; i++)
        if (sk_str_eq(beats[i].name, name)) return true;
    return false;
}

/* Those that have long been missing go; the others begin to be. */
static bool let_go(struct fleet_neighbours *known, const bool *present, sk_time_ns now) {
    uint32_t kept = 0, before = known->count;
    for (uint32_t i = 0; i < before; i++) {
        struct fleet_neighbour neighbour = known->items[i];
        if (!present[i] && !neighbour.missing_since) neighbour.missing_since = now;
        bool gone = !present[i] && now - neighbour.missing_since >= FLEET_NEIGHBOUR_GONE_MS * SK_NS_PER_MS;
        if (!gone) known->items[kept++] = neighbour;
    }
    known->count = kept;
    return kept != before;
}

bool fleet_neighbours_hear(struct fleet_neighbours *known, const struct fleet_heartbeat *beats, size_t count,
                           const struct fleet_id *self, sk_time_ns now) {
    bool present[FLEET_NEIGHBOURS_MAX] = {0}, changed = false;
    if (!is_in(beats, count, self)) return false;
    for (size_t i = 0; i < count; i++) {
        struct fleet_neighbour heard;
        if (!read_beat(&beats[i], self, &heard)) continue;
        changed |= take(known, &heard);
        const struct fleet_neighbour *there = find(known, &heard.id);
        if (there) present[there - known->items] = true;
    }
    changed |= let_go(known, present, now);
    return changed;
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

sk_err fleet_neighbours_write(const struct fleet_neighbours *known, struct sk_buf *out) {
    sk_err err = SK_OK;
    for (uint32_t i = 0; i < known->count && !err; i++) {
        const struct fleet_neighbour *neighbour = &known->items[i];
        char id[FLEET_ID_TEXT_BYTES];
        fleet_id_format(&neighbour->id, id);
        err = sk_buf_printf(out, "%s %s%s\n", id, neighbour->address, neighbour->running ? "" : " out");
    }
    return err;
}

static sk_err parse_line(sk_str line, struct fleet_neighbour *out) {
    struct fleet_neighbour neighbour = {.running = true};
    sk_str word;
    if (!sk_str_cut(&line, ' ', &word) || fleet_id_parse(word, &neighbour.id)) return SK_ERR_MALFORMED;
    if (!sk_str_cut(&line, ' ', &word) || !set_address(&neighbour, word)) return SK_ERR_MALFORMED;
    if (line.len && !sk_str_eq(line, SK_STR("out"))) return SK_ERR_MALFORMED;
    neighbour.running = !line.len;
    *out = neighbour;
    return SK_OK;
}

sk_err fleet_neighbours_parse(sk_str text, struct fleet_neighbours *out_known) {
    sk_str line;
    uint32_t count = 0;
    struct fleet_neighbour neighbour;
    for (sk_str rest = text; rest.len && sk_str_cut(&rest, '\n', &line); count++)
        if (count == FLEET_NEIGHBOURS_MAX || parse_line(line, &neighbour)) return SK_ERR_MALFORMED;
    out_known->count = 0;
    while (text.len && sk_str_cut(&text, '\n', &line))
        if (parse_line(line, &neighbour) == SK_OK) take(out_known, &neighbour);
    return SK_OK;
}
