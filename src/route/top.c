#include "route/top.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/hash.h"

enum { EVERY = 16 /* queries, while there are many */, PAUSE_MS = 5 /* else */, WINDOW_S = 60 };

struct label { /* a network or a name */
    uint8_t bytes;
    uint8_t data[DNS_NAME_MAX];
};

struct sketch {
    uint64_t hashes[TOP_SLOTS]; /* 0: free */
    uint64_t counts[TOP_SLOTS];
    uint64_t errors[TOP_SLOTS];
    struct label labels[TOP_SLOTS];
};

enum { CLIENTS, NAMES, KINDS };

struct window {
    sk_time_ns began; /* 0: nothing was noted */
    uint64_t queries;
    struct sketch sketches[KINDS];
};

struct top {
    /* noting thread */
    uint32_t since;
    sk_time_ns noted_at;
    /* LOCK protects the windows; whoever notes does not wait for it, who reads holds it for a copy */
    pthread_mutex_t lock;
    struct window windows[2];
    unsigned present;
};

sk_err top_create(struct top **out_top) {
    struct top *top = calloc(1, sizeof *top);
    if (!top) return SK_ERR_NO_MEMORY;
    pthread_mutex_init(&top->lock, NULL);
    *out_top = top;
    return SK_OK;
}

void top_free(struct top *top) {
    if (!top) return;
    pthread_mutex_destroy(&top->lock);
    free(top);
}

/* --- noting ----------------------------------------------------------------------------------------- */

uint32_t top_due(struct top *top, uint32_t queries, sk_time_ns now) {
    top->since += queries;
    if (top->since < EVERY && now - top->noted_at < PAUSE_MS * SK_NS_PER_MS) return 0;
    uint32_t weight = top->since;
    top->since = 0;
    top->noted_at = now;
    return weight;
}

/* The slot of HASH, or the one to take for it: a free one, or the least. */
static size_t slot_of(const struct sketch *sketch, uint64_t hash) {
    size_t least = 0;
    for (size_t i = 0; i < TOP_SLOTS; i++)
        if (sketch->hashes[i] == hash) return i;
    for (size_t i = 1; i < TOP_SLOTS; i++)
        if (sketch->counts[i] < sketch->counts[least]) least = i;
    return least;
}

static void add(struct sketch *sketch, const uint8_t *data, size_t bytes, uint32_t weight) {
    uint64_t hash = sk_hash64(data, bytes) | 1;
    size_t slot = slot_of(sketch, hash);
    if (sketch->hashes[slot] != hash) {
        sketch->hashes[slot] = hash;
        sketch->errors[slot] = sketch->counts[slot];
        sketch->labels[slot].bytes = (uint8_t)bytes;
        memcpy(sketch->labels[slot].data, data, bytes);
    }
    sketch->counts[slot] += weight;
}

static bool is_v4(const uint8_t ip[16]) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(ip, mapped, sizeof mapped) == 0;
}

static void network_of(const struct io_addr *client, uint8_t ip[16]) {
    if (!io_addr_ip16(client, ip)) memset(ip, 0, 16);
    if (is_v4(ip))
        ip[15] = 0;
    else
        memset(ip + 7, 0, 9);
}

/* The window of NOW; the one before it stays for those who read. */
static struct window *window_at(struct top *top, sk_time_ns now) {
    struct window *window = &top->windows[top->present];
    if (window->began && now - window->began >= WINDOW_S * SK_NS_PER_S) {
        window = &top->windows[top->present ^= 1];
        memset(window, 0, sizeof *window);
    }
    if (!window->began) window->began = now;
    return window;
}

void top_note(struct top *top, const struct io_addr *client, const struct dns_name *name, uint32_t weight,
              sk_time_ns now) {
    uint8_t ip[16];
    if (pthread_mutex_trylock(&top->lock) != 0) return;
    struct window *window = window_at(top, now);
    network_of(client, ip);
    window->queries += weight;
    add(&window->sketches[CLIENTS], ip, sizeof ip, weight);
    add(&window->sketches[NAMES], name->wire, name->length, weight);
    pthread_mutex_unlock(&top->lock);
}

/* --- reading ---------------------------------------------------------------------------------------- */

struct item {
    uint64_t hash, count, error;
    struct label label;
};

struct items {
    struct item *list;
    size_t count;
};

static void collect(struct items *items, const struct sketch *sketch) {
    for (size_t i = 0; i < TOP_SLOTS; i++)
        if (sketch->hashes[i])
            items->list[items->count++] =
                (struct item){sketch->hashes[i], sketch->counts[i], sketch->errors[i], sketch->labels[i]};
}

static int by_hash(const void *a, const void *b) {
    const struct item *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

static int by_count(const void *a, const void *b) {
    const struct item *x = a, *y = b;
    return (x->count < y->count) - (x->count > y->count);
}

/* One item for each label, the busiest first. */
static void merge(struct items *items) {
    size_t kept = 0;
    if (!items->count) return;
    qsort(items->list, items->count, sizeof *items->list, by_hash);
    for (size_t i = 1; i < items->count; i++) {
        if (items->list[i].hash == items->list[kept].hash) {
            items->list[kept].count += items->list[i].count;
            items->list[kept].error += items->list[i].error;
        } else {
            items->list[++kept] = items->list[i];
        }
    }
    items->count = kept + 1;
    qsort(items->list, items->count, sizeof *items->list, by_count);
}

static size_t label_text(int kind, const struct label *label, char out[1024]) {
    struct dns_name name = {.length = label->bytes};
    struct io_addr addr;
    bool v4 = kind == CLIENTS && is_v4(label->data);
    memcpy(name.wire, label->data, label->bytes);
    if (kind == NAMES) return dns_name_format(&name, out);
    (void)!io_addr_from_ip(v4 ? label->data + 12 : label->data, v4 ? 4 : 16, 0, &addr);
    size_t bytes = io_addr_format_ip(&addr, out);
    memcpy(out + bytes, v4 ? "/24" : "/56", 3);
    return bytes + 3;
}

static bool put_items(yyjson_mut_doc *doc, yyjson_mut_val *root, int kind, struct items *items,
                      size_t shown) {
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, kind == CLIENTS ? "clients" : "names");
    merge(items);
    for (size_t i = 0; list && i < items->count && i < shown; i++) {
        char text[1024];
        size_t bytes = label_text(kind, &items->list[i].label, text);
        yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, list);
        if (!item ||
            !yyjson_mut_obj_add_strncpy(doc, item, kind == CLIENTS ? "network" : "name", text, bytes) ||
            !yyjson_mut_obj_add_uint(doc, item, "queries", items->list[i].count) ||
            !yyjson_mut_obj_add_uint(doc, item, "error", items->list[i].error))
            return false;
    }
    return list != NULL;
}

/* Windows that still say something about now. */
static bool is_recent(const struct window *window, sk_time_ns now) {
    return window->began && now - window->began < 2 * WINDOW_S * SK_NS_PER_S;
}

static yyjson_mut_val *write_all(struct top *const *tops, size_t count, size_t shown, sk_time_ns now,
                                 yyjson_mut_doc *doc, struct items items[KINDS]) {
    uint64_t queries = 0;
    sk_time_ns began = now;
    for (size_t i = 0; i < count; i++) {
        pthread_mutex_lock(&tops[i]->lock);
        for (int w = 0; w < 2; w++) {
            const struct window *window = &tops[i]->windows[w];
            if (!is_recent(window, now)) continue;
            queries += window->queries;
            began = SK_MIN(began, window->began);
            for (int kind = 0; kind < KINDS; kind++) collect(&items[kind], &window->sketches[kind]);
        }
        pthread_mutex_unlock(&tops[i]->lock);
    }
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    bool done = root &&
                yyjson_mut_obj_add_uint(doc, root, "seconds", (uint64_t)((now - began) / SK_NS_PER_S)) &&
                yyjson_mut_obj_add_uint(doc, root, "queries", queries);
    for (int kind = 0; done && kind < KINDS; kind++) done = put_items(doc, root, kind, &items[kind], shown);
    return done ? root : NULL;
}

yyjson_mut_val *top_json(struct top *const *tops, size_t count, size_t shown, sk_time_ns now,
                         yyjson_mut_doc *doc) {
    struct items items[KINDS] = {{malloc((count * 2 * TOP_SLOTS + 1) * sizeof(struct item)), 0},
                                 {malloc((count * 2 * TOP_SLOTS + 1) * sizeof(struct item)), 0}};
    yyjson_mut_val *root = NULL;
    if (items[CLIENTS].list && items[NAMES].list) root = write_all(tops, count, shown, now, doc, items);
    free(items[CLIENTS].list);
    free(items[NAMES].list);
    return root;
}
