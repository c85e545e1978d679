/* Every endpoint of control, in one table: the server, OpenAPI, the scope of tokens, and what help says come from it. */
#ifndef SK_CONTROL_API_H
#define SK_CONTROL_API_H

#include "control/rights.h"
#include "fleet/admin_server.h"

/* Who may ask: ANY: everybody; PERSON: with a token that has the right, or on this machine; NODE: with a certificate
 * of the fleet whose role has the verb (fleet/id.h). Default deny. */
enum control_who { CONTROL_ANY, CONTROL_PERSON, CONTROL_NODE };

/* METHOD, path, handler, who, right or verb, parameters ("name*=what it is;..."; * must be there), type of the
 * content, help. */
#define CONTROL_API_TABLE(X)                                                                                 \
    X(GET, "/health", health, ANY, 0, "", "", "whether control and its store work")                          \
    X(GET, "/openapi.json", openapi, ANY, 0, "", "", "this description")                                     \
    X(POST, "/join", join, ANY, 0, "", "application/json", "a machine becomes a node, with an invitation")   \
    X(POST, "/node/report", report, NODE, FLEET_VERB_REPORT, "", "application/json",                         \
      "a node says how it is and waits for orders")                                                          \
    X(POST, "/node/renew", renew, NODE, FLEET_VERB_RENEW, "", "application/x-pem-file",                      \
      "a node gets another certificate of its name")                                                         \
    X(GET, "/node/snapshot", node_snapshot, NODE, FLEET_VERB_READ_SNAPSHOT, "number*=of the configuration",  \
      "", "a signed configuration")                                                                          \
    X(GET, "/node/secrets", node_secrets, NODE, FLEET_VERB_READ_SECRETS, "", "",                             \
      "what edges alone get: which certificates there are, and keys of TLS tickets")                         \
    X(GET, "/node/certificate", node_certificate, NODE, FLEET_VERB_READ_SECRETS, "name*=of the certificate", \
      "", "a certificate with its chain and its private key")                                                \
    X(GET, "/configurations", history, PERSON, CONTROL_RIGHT_READ, "", "", "all configurations there were")  \
    X(GET, "/configuration", configuration, PERSON, CONTROL_RIGHT_READ, "number=without it: the newest", "", \
      "a configuration's text")                                                                              \
    X(POST, "/configuration", apply, PERSON, CONTROL_RIGHT_APPLY,                                            \
      "rollout=all: everywhere at once, or staged: canary, its PoP, all", "application/yaml",                \
      "makes this the configuration")                                                                        \
    X(POST, "/rollback", rollback, PERSON, CONTROL_RIGHT_APPLY,                                              \
      "number*=of the configuration whose text is to be in force again", "", "goes back to an older one")    \
    X(POST, "/purge", purge, PERSON, CONTROL_RIGHT_PURGE,                                                    \
      "wait_ms=answer when every living edge has applied it, at most so late", "application/json",           \
      "makes what all edges have stored invalid: `skerry help purge`")                                       \
    X(GET, "/metrics", metrics, PERSON, CONTROL_RIGHT_READ, "", "", "control's figures, for Prometheus")     \
    X(GET, "/rollout", rollout, PERSON, CONTROL_RIGHT_READ, "", "", "where the newest configuration is")     \
    X(GET, "/nodes", nodes, PERSON, CONTROL_RIGHT_READ, "", "", "all nodes and how they are")                \
    X(POST, "/invitations", invite, PERSON, CONTROL_RIGHT_NODES,                                             \
      "role*=edge or route;pop*=where it will stand", "", "a token with which one machine may join")         \
    X(POST, "/nodes/drain", drain, PERSON, CONTROL_RIGHT_NODES, "node*=its name or id", "",                  \
      "a node takes no clients from now on; who comes all the same is served")                               \
    X(POST, "/nodes/undrain", undrain, PERSON, CONTROL_RIGHT_NODES, "node*=its name or id", "",              \
      "it takes clients again")                                                                              \
    X(POST, "/expel", expel, PERSON, CONTROL_RIGHT_NODES, "node*=its id", "",                                \
      "a node's certificates are of no use from now on")                                                     \
    X(GET, "/roots", roots, PERSON, CONTROL_RIGHT_READ, "", "", "the roots that nodes trust")                \
    X(POST, "/roots/rotate", rotate, PERSON, CONTROL_RIGHT_NODES, "", "",                                    \
      "begins to change the root; it goes on by itself as nodes follow")                                     \
    X(GET, "/tokens", tokens, PERSON, CONTROL_RIGHT_TOKENS, "", "", "all tokens, without their secrets")     \
    X(POST, "/tokens", token_make, PERSON, CONTROL_RIGHT_TOKENS,                                             \
      "name*=whose it is;rights*=of read,apply,purge,nodes,tokens,audit,certificates;"                       \
      "life_s=seconds, 30 days unless said;site=it may purge and give certificates for this site only",      \
      "", "a token to ask control with")                                                                     \
    X(POST, "/tokens/revoke", token_revoke, PERSON, CONTROL_RIGHT_TOKENS, "id*=of the token", "",            \
      "takes a token back, at once")                                                                         \
    X(GET, "/certificates", certificates, PERSON, CONTROL_RIGHT_CERTIFICATES, "", "",                        \
      "certificates that edges have from here, without their keys")                                          \
    X(POST, "/certificates", certificate_put, PERSON, CONTROL_RIGHT_CERTIFICATES,                            \
      "name*=by which configurations call it", "application/x-pem-file",                                     \
      "gives edges a certificate, with its chain and its private key")                                       \
    X(POST, "/certificates/remove", certificate_remove, PERSON, CONTROL_RIGHT_CERTIFICATES,                  \
      "name*=of the certificate", "", "edges have it no more")                                               \
    X(GET, "/audit", audit, PERSON, CONTROL_RIGHT_AUDIT, "", "", "what was asked, by whom: a line each")     \
    X(GET, "/audit/verify", audit_verify, PERSON, CONTROL_RIGHT_AUDIT, "", "",                               \
      "whether that record is whole and unchanged")

struct control_row {
    const char *name;
    enum control_who who;
    unsigned right; /* enum control_right of a PERSON's, enum fleet_verb of a NODE's */
    const char *parameters, *content;
};
extern const struct fleet_admin_endpoint control_endpoints[];
extern const struct control_row control_rows[]; /* beside it, by index */
extern const size_t control_endpoint_count;

/* Who asks, for handlers: in request->asker. */
struct control_asker {
    char name[FLEET_ID_TEXT_BYTES]; /* "token ops", "root on this machine", "spiffe://..." */
    unsigned rights;
    sk_str site; /* of a token's; empty: all */
};

/* OpenAPI 3.1 (spec.openapis.org/oas/v3.1). SK_ERR_NO_MEMORY. */
sk_err control_openapi(struct sk_buf *out);

/* The value of parameter NAME in the request's query, decoded, in its arena; empty: not there. */
sk_str control_parameter(struct fleet_admin_request *request, const char *name);

#define X(method, path, handler, ...)                                                                        \
    sk_err control_api_##handler(void *role, struct fleet_admin_request *request,                            \
                                 struct fleet_admin_answer *answer);
CONTROL_API_TABLE(X)
#undef X

#endif
