/* dns-01 (RFC 8555 section 8.4): the routers that serve a name's zone are told its TXT record, and that it is over. */
#ifndef SK_EDGE_ACME_DNS_H
#define SK_EDGE_ACME_DNS_H

#include "acme/hook.h"
#include "config/config.h"
#include "io/fiber.h"

/* Tells every router of CONFIG. True: all have it in force, so the authority may ask any. On a fiber of LOOP; parks, at
 * most until STOP_FD is readable. */
bool edge_acme_dns_tell(struct io_loop *loop, const struct config_acme *config, const struct acme_hook *hook,
                        int stop_fd);

#endif
