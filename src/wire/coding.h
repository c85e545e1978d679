/* Content codings as encoders that take pieces and give pieces (RFC 9110 section 8.4.1; gzip is RFC 1952, br is
 * RFC 7932, zstd is RFC 8878 with the window of RFC 9659). Sans-I/O: a coder sees neither time nor socket, so the
 * caller decides how much is done in one go. One owner at a time, any thread.
 *
 * dcb and dcz (RFC 9842) are br and zstd with a dictionary that both ends have; what they give begins with their magic
 * number and the dictionary's hash.
 *
 * A coder's memory comes from the system: some hundred KiB for gzip, up to some MiB for the others, which is why
 * their windows are no larger than the content. */
#ifndef SK_WIRE_CODING_H
#define SK_WIRE_CODING_H

#include "http/accept.h"

/* From fast to small; each coding has its own scale behind it. Up to WIRE_CODER_QUICK a call with some 32 KiB
 * takes well under a millisecond. */
#define WIRE_CODER_LEVEL_MAX 9
#define WIRE_CODER_QUICK 5
#define WIRE_CODER_SIZE_UNKNOWN UINT64_MAX

struct wire_coder;

/* For CODING (br, gzip or zstd) at LEVEL from 1 to WIRE_CODER_LEVEL_MAX; SIZE is how many bytes will come, exactly,
 * or WIRE_CODER_SIZE_UNKNOWN. SK_ERR_UNSUPPORTED (another coding), SK_ERR_NO_MEMORY. */
sk_err wire_coder_create(enum http_coding coding, int level, uint64_t size, struct wire_coder **out_coder);
#define WIRE_DICTIONARY_HASH_BYTES 32
struct wire_dictionary {
    sk_str content;                           /* raw; lives as long as the coder */
    uint8_t hash[WIRE_DICTIONARY_HASH_BYTES]; /* its SHA-256 */
};
/* The same for dcb and dcz (RFC 9842 sections 4 and 5). Beginning takes some milliseconds for each MiB of the
 * dictionary. */
sk_err wire_coder_create_with(enum http_coding coding, int level, uint64_t size,
                              const struct wire_dictionary *dictionary, struct wire_coder **out_coder);
/* NULL is fine. */
void wire_coder_free(struct wire_coder *coder);

enum wire_coder_goal {
    WIRE_CODER_TAKE,   /* take the input; some of it may stay inside */
    WIRE_CODER_FLUSH,  /* and give out all that it stands for */
    WIRE_CODER_FINISH, /* and end the content */
};
/* Takes from the front of *input (advanced) and writes at most ROOM bytes to OUT. *out_done: the goal is reached;
 * otherwise call again with more room, the rest of the same input and the same goal. SK_ERR_NO_MEMORY;
 * SK_ERR_INVALID when more or fewer bytes came than SIZE said; after an error the coder can only be freed. */
sk_err wire_coder_run(struct wire_coder *coder, enum wire_coder_goal goal, sk_str *input, char *out,
                      size_t room, size_t *out_written, bool *out_done);

#endif
