/* JSON of answers on the admin socket, where texts may hold any bytes. */
#ifndef SK_FLEET_ADMIN_JSON_H
#define SK_FLEET_ADMIN_JSON_H

#include <yyjson.h>

#include "fleet/admin_server.h"

/* Moves DOC's text into the answer and frees DOC. SK_ERR_NO_MEMORY, SK_ERR_TOO_LARGE. */
sk_err fleet_json_answer(struct fleet_admin_answer *answer, yyjson_mut_doc *doc);
/* TEXT as a string, copied; a byte that is not ASCII becomes the character of its number. NULL: no memory. */
yyjson_mut_val *fleet_json_text(yyjson_mut_doc *doc, sk_str text);
/* OBJECT's member KEY (constant). */
void fleet_json_add(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, sk_str text);

#endif
