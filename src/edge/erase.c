/* POST /erase: one site's key of the encrypted SSD tier. */
#include <yyjson.h>

#include "base/log.h"
#include "cache/tier.h"
#include "edge/admin.h"

/* {"site": NAME}, in ARENA; empty: there is no such text. */
static sk_str site_in(sk_str content, struct sk_arena *arena) {
    yyjson_doc *document = yyjson_read(content.data, content.len, 0);
    yyjson_val *site = yyjson_obj_get(yyjson_doc_get_root(document), "site");
    sk_str name = {"", 0};
    if (yyjson_is_str(site))
        name = sk_arena_copy(arena, sk_str_make(yyjson_get_str(site), yyjson_get_len(site)));
    yyjson_doc_free(document);
    return name;
}

static sk_err answer_of(struct fleet_admin_answer *answer, sk_err err, sk_str site) {
    switch (err) {
    case SK_OK:
    case SK_ERR_NOT_FOUND:
        sk_log(SK_LOG_INFO, "disk", "site %.*s: %s", SK_STR_ARGS(site),
               err ? "erased: it had nothing on disk" : "erased: its key is gone");
        return sk_buf_printf(&answer->body, "{\"erased\":%s}\n", err ? "false" : "true");
    case SK_ERR_INVALID:
        return fleet_admin_say(answer, 400, "no name of a site: expected {\"site\": \"NAME\"}");
    case SK_ERR_UNSUPPORTED:
        return fleet_admin_say(
            answer, 409,
            "nothing is encrypted here, so there is no key to erase: set disk.key_file, or "
            "purge the site");
    case SK_ERR_BUSY:
        return fleet_admin_say(
            answer, 503,
            "the site is purged, but the disk is not open (yet), so its key is still there: "
            "ask again");
    case SK_ERR_IO:
        return fleet_admin_say(answer, 503,
                               "the key is gone from memory, but its file could not be written: ask again");
    default: return err;
    }
}

/* A site that the configuration does not have any more may be erased too: that is when one wants to. */
sk_err edge_admin_erase(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    struct edge_process *process = role;
    sk_str site = site_in(sk_buf_str(&request->content), &request->arena);
    if (!site.data) return SK_ERR_NO_MEMORY;
    return answer_of(answer, cache_tier_erase(process->cache, site), site);
}
