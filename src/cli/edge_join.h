/* `skerry edge --join URL TOKEN`: the machine becomes a node before the edge starts, once. */
#ifndef SK_CLI_EDGE_JOIN_H
#define SK_CLI_EDGE_JOIN_H

#define CLI_EDGE_STATE "/var/lib/skerry/edge"

struct cli_joining {
    const char *url;   /* of control */
    const char *token; /* NULL: none was given */
    const char *state; /* NULL: CLI_EDGE_STATE, or what FILE says */
    const char *name;  /* NULL: the host's */
    const char
        *file; /* the machine's own configuration; NULL: edge.yaml in the state's folder, made if need be */
};

/* Joins, if there is no identity that still holds, and gets the newest configuration. What is done, or not, is told on
 * stderr. Returns an exit code; on CLI_FINE joining->file is set, to a text that lives as long as the process. */
int cli_edge_join(struct cli_joining *joining);

#endif
