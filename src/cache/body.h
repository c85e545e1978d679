/* A body in blocks: 64 KiB each (smaller in windows, and the first ones of a body of unknown length), the
 * last one as large as it must be. One writer appends; readers on any thread look at what was published.
 * A body may be shared by several objects (a 304 made a new head for it), counted by references.
 *
 * Behind a window, blocks are dropped at the front and their places used again, so that a window needs no
 * more memory for a body of any length. */
#ifndef SK_CACHE_BODY_H
#define SK_CACHE_BODY_H

#include "cache/internal.h"

/* For a stored body of LENGTH bytes, or at most MOST bytes when LENGTH is CACHE_LENGTH_UNKNOWN. One
 * reference. NULL when there is no room. */
struct cache_body *cache_body_create(struct cache *cache, uint64_t length, uint64_t most);
/* For a window of about WINDOW bytes on a body of LENGTH bytes or CACHE_LENGTH_UNKNOWN. */
struct cache_body *cache_body_create_window(struct cache *cache, uint64_t length, uint64_t window);
void cache_body_ref(struct cache_body *body);
/* Under the store's lock. The last one frees the blocks: nobody may see them then. */
void cache_body_unref(struct cache *cache, struct cache_body *body);

/* Writer: room at POSITION (the end of what was written), at least 1 byte; NULL when none can be had, or
 * when the place is still taken by a block at the window's other end. */
char *cache_body_space(struct cache *cache, struct cache_body *body, uint64_t position, size_t *out_bytes);
/* Writer, of a window: drops the blocks that lie wholly before POSITION. Nobody reads them any more, not even
 * in a section. */
void cache_body_drop_front(struct cache *cache, struct cache_body *body, uint64_t position);
/* The piece from POSITION on, within END (which was published), as memory. False when it was dropped. */
bool cache_body_piece(const struct cache *cache, const struct cache_body *body, uint64_t position,
                      uint64_t end, struct cache_piece *out_piece);
/* Lets PIECE, which lies at POSITION, go out from the file, if its block may. The body's pages are given away with that:
 * new ones are needed when its memory is used again, which costs more than copying it out twice. */
void cache_body_lend(const struct cache *cache, struct cache_body *body, uint64_t position,
                     struct cache_piece *piece);
bool cache_body_is_lent(const struct cache_body *body);
/* What freeing it would free. Writer, or when complete. */
uint64_t cache_body_bytes(const struct cache_body *body);
/* Under the store's lock: the entry in the policy that goes when a block's memory is wanted; NULL: none. */
void cache_body_set_holder(struct cache_body *body, struct cache_entry *entry);
struct cache_entry *cache_body_holder(const struct cache_body *body);

#endif
