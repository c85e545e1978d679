/* Memory of nghttp2's server sessions. Each keeps 16 KiB for the frame that it is about to send, for all its life;
 * its content matters only while nghttp2_session_mem_send2 is called and what that returned is copied. So all sessions
 * of a thread are given the same. Private to wire/h2. Own thread: a session is freed by the thread that made it. */
#ifndef SK_WIRE_H2_ROOM_H
#define SK_WIRE_H2_ROOM_H

#include <nghttp2/nghttp2.h>

#include "base/base.h"

/* As nghttp2_session_server_new3. */
int h2_session_new(nghttp2_session **out_session, const nghttp2_session_callbacks *callbacks, void *user,
                   const nghttp2_option *options);
/* Around calls of nghttp2_session_mem_send2 and the use of what they return; never within another's. */
void h2_room_enter(void);
void h2_room_leave(void);

#endif
