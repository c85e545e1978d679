/* Requests that are made to be stored under a name that is not theirs: web cache deception. Pure. */
#ifndef SK_HTTP_DECEPTION_H
#define SK_HTTP_DECEPTION_H

#include "base/str.h"

/* PATH ends like a file that everybody may have (".css", ".png", ...), but CONTENT_TYPE is of another kind: somebody's
 * account page, say, that the origin shows under "/account/x.css" too. An absent or opaque type
 * (application/octet-stream) tells nothing and does not count. PATH in the normal form of http_path_normalise. */
bool http_type_differs(sk_str path, sk_str content_type);

/* PATH would have dot segments for a server that takes an encoded slash or a backslash for a slash, or decodes twice:
 * "/static/..%2Faccount" is one file to us and may be another to an origin. */
bool http_path_ambiguous(sk_str path);

#endif
