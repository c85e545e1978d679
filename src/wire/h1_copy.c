#include "wire/h1.h"

/* Copies into one block that was measured before. */
struct copier {
    char *at;
};

static sk_str copied(struct copier *copier, sk_str s) {
    if (!s.data) return s;
    char *start = copier->at;
    if (s.len > 0) memcpy(start, s.data, s.len);
    copier->at += s.len;
    return sk_str_make(start, s.len);
}

static size_t text_bytes(const struct http_request *request) {
    size_t bytes = request->method_text.len + request->scheme.len + request->authority.len +
                   request->target.len + request->path.len + request->query.len + request->upgrade.len;
    for (uint32_t i = 0; i < request->fields.count; i++) {
        bytes += request->fields.items[i].name.len + request->fields.items[i].value.len;
    }
    return bytes;
}

static void copy_fields(struct copier *copier, const struct http_fields *from, struct http_fields *to) {
    for (uint32_t i = 0; i < from->count; i++) {
        to->items[i] = from->items[i];
        to->items[i].name = copied(copier, from->items[i].name);
        to->items[i].value = copied(copier, from->items[i].value);
    }
    to->count = from->count;
}

sk_err wire_h1_request_copy(struct sk_arena *arena, const struct http_request *request,
                            struct http_request *out_request) {
    struct http_request copy = *request;
    uint32_t capacity = SK_MAX(request->fields.capacity, request->fields.count);
    struct copier copier = {sk_arena_alloc(arena, text_bytes(request))};
    copy.fields.items = sk_arena_alloc(arena, capacity * sizeof(*copy.fields.items));
    copy.fields.capacity = capacity;
    if (!copier.at || !copy.fields.items) return SK_ERR_NO_MEMORY;
    copy.method_text = copied(&copier, request->method_text);
    copy.scheme = copied(&copier, request->scheme);
    copy.authority = copied(&copier, request->authority);
    if (request->host.data == request->authority.data) copy.host.data = copy.authority.data;
    copy.target = copied(&copier, request->target);
    copy.path = copied(&copier, request->path);
    copy.query = copied(&copier, request->query);
    copy.upgrade = copied(&copier, request->upgrade);
    copy_fields(&copier, &request->fields, &copy.fields);
    *out_request = copy;
    return SK_OK;
}
