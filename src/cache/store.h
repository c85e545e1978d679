/* The store: hands out chunks of the slab, makes room by the policy, frees what was retired when no thread
 * can see it any more. Any joined thread; its lock is taken inside. */
#ifndef SK_CACHE_STORE_H
#define SK_CACHE_STORE_H

#include "cache/internal.h"

sk_err cache_store_create(struct cache *cache, const struct cache_policy_ops *ops);
void cache_store_destroy(struct cache *cache);

/* A chunk of BYTES, evicting others when there is no room; NULL when none can be made. On a fiber it may
 * sleep some milliseconds for threads to leave their sections. BODY: whose block it will be (NULL: of an
 * entry, which owns itself once it is in the policy). */
void *cache_store_alloc(struct cache *cache, size_t bytes, struct cache_body *body);
/* The chunk's memory goes when BODY's holder goes. */
void cache_store_own(struct cache *cache, void *chunk, struct cache_body *body);
/* For what no other thread can see. SENT as in cache_slab_free. */
void cache_store_free(struct cache *cache, void *chunk, bool sent);
/* Gives a chunk whose pages may be in some socket's queue new ones; its bytes are lost. */
void cache_store_renew(struct cache *cache, void *chunk);
/* Returns when every thread has left the section it is in now; sleeps on a fiber. */
void cache_store_outwait_sections(struct cache *cache);

/* A complete object that is in the index may be evicted from now on; nothing happens when it was removed
 * meanwhile. False: it is a guest, and their share is full; the caller takes it out of the index. */
bool cache_store_admit(struct cache *cache, struct cache_entry *entry);
/* What evicting the entry would free, as it was admitted; 0 before. */
uint64_t cache_store_bytes_of(struct cache *cache, const struct cache_entry *entry);
/* The object was taken out of the index by the caller: takes it out of the policy too and drops the index's
 * reference. */
void cache_store_forget(struct cache *cache, struct cache_entry *entry);
/* The object will not be in the index, so never in the policy. */
void cache_store_never_indexed(struct cache *cache, struct cache_entry *entry);
/* Drops a reference; the last one retires the entry. */
void cache_entry_unref(struct cache *cache, struct cache_entry *entry);
/* FUNCTION is called, with the store's lock held, when every thread has left the section it is in now. */
void cache_store_later(struct cache *cache, ck_epoch_entry_t *epoch_entry, ck_epoch_cb_t *function);

/* Frees what was retired and no thread can see any more, and gives at most SLABS empty slabs back to the system; how
 * many it did. */
uint32_t cache_store_give_back(struct cache *cache, uint32_t slabs);

/* Memory that is counted in the budget but is not in the slab. Zeroed; NULL when the system has none. */
void *cache_counted_alloc(struct cache *cache, size_t bytes);
void cache_counted_free(struct cache *cache, void *memory, size_t bytes);

#endif
