/* Partial objects. Of a representation that is not stored whole the index holds, under the usual key, a head
 * without a body: its fields, freshness, validators and complete length, and a number that no other head ever
 * had. What is there of the body are slices, each an entry of its own whose key holds that number, filled,
 * collapsed and evicted like any other. When the head is replaced, purged or evicted, no slice of it can be
 * found any more; a 304 makes a new head with the same number, and confirms all slices at once.
 *
 * What a slice is (its bytes, its place) is the caller's to say. */
#ifndef SK_CACHE_SLICES_H
#define SK_CACHE_SLICES_H

#include "cache/fill.h"

/* A number for a new head. */
uint64_t cache_slices_number(struct cache_thread *thread);
/* Of a stored head (OBJECT->part is CACHE_PART_HEAD). */
uint64_t cache_slices_of(const struct cache_object *object);
/* The key of a slice. KEY is the head's, of whichever variant. SK_ERR_TOO_LARGE, SK_ERR_NO_MEMORY. */
sk_err cache_slice_key(struct sk_arena *arena, const struct cache_key *key, uint64_t number, uint64_t slice,
                       struct cache_key *out_key);
/* In or out of a section: the slice is stored or arrives. Does not count as an access. */
bool cache_slice_present(struct cache_thread *thread, const struct cache_key *slice_key);

/* The origin's partial responses for KEY cannot be combined: remembered for so long, apart from whether whole
 * responses can be stored. */
void cache_slices_decline(struct cache_thread *thread, const struct cache_key *key, int64_t remember_ms);
bool cache_slices_declined(struct cache_thread *thread, const struct cache_key *key);

#endif
