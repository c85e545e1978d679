#include "cli/topics.h"

const char cli_text_reasons[] =
    "Every response that the store or an origin gave has a Cache-Status field (RFC 9211), such as\n\n"
    "  Cache-Status: skerry; hit; ttl=295\n"
    "  Cache-Status: skerry; fwd=uri-miss; fwd-status=200; detail=private\n\n"
    "fwd says why the store could not answer, detail what more there is to say: why the response was not stored,\n"
    "for instance. `cache_status: key` shows the cache key too, `cache_status: off` hides it all from clients.\n"
    "The same names stand under \"reason\" and \"store_reason\" in the access log, as labels of\n"
    "skerry_cache_decisions_total, and in what `skerry explain URL` prints:\n\n";

const char cli_text_access_log[] =
    "With `format: json` each request is one line with one JSON object. Bytes that are not valid UTF-8, and\n"
    "control characters, are written as \\u00XX. Lines are written in batches, at most 20 ms late. When the\n"
    "file cannot be written fast enough, lines are dropped and counted (skerry_access_log_dropped_total);\n"
    "requests never wait for it. SIGHUP opens the file again, for rotation. The keys (* only where it applies):\n\n";

const char cli_text_admin[] =
    "The address of `admin` answers HTTP/1.1. On a Unix socket the file's mode says who may ask; on TCP every\n"
    "request carries `Authorization: Bearer TOKEN`.\n\n"
    "  curl --unix-socket /run/skerry/admin.sock http://admin/health\n\n";

const char cli_text_signals[] =
    "Signals to a running `skerry edge`:\n\n"
    "  SIGTERM, SIGINT  stop: accept no more connections, let running requests end (for `timeouts.drain` at\n"
    "                   most), then exit with 0; a second one cuts what is left\n"
    "  SIGHUP           read the configuration file again, and open the access log again; a file with a\n"
    "                   problem is refused as a whole and the old configuration stays in force\n"
    "  SIGUSR2          upgrade: start the program that lies at this one's path now, hand it the listening\n"
    "                   sockets, and stop as by SIGTERM once it is ready; if it fails, go on as before\n";

const char cli_text_exit_codes[] =
    "  0  fine: help was shown, the configuration is right, the edge was stopped by a signal\n"
    "  1  failed at run time: an address is in use, a file cannot be written, memory ran out\n"
    "  2  bad usage or configuration: what is wrong stands on stderr\n";

const char cli_text_examples[] =
    "Cache one origin, try it, look at the header that says why:\n\n"
    "  skerry edge --listen 127.0.0.1:8080 --origin http://127.0.0.1:9000\n"
    "  curl -i http://127.0.0.1:8080/\n\n"
    "A file that is enough:\n\n"
    "  listen: 127.0.0.1:8080\n"
    "  sites:\n"
    "    - host: www.example.com\n"
    "      origin: http://127.0.0.1:9000\n\n"
    "Check it, use it, change it without losing a request:\n\n"
    "  skerry check edge.yaml\n"
    "  skerry edge -c edge.yaml --admin unix:/run/skerry/admin.sock\n"
    "  curl --unix-socket /run/skerry/admin.sock -X POST http://admin/config/reload\n\n"
    "Health and metrics:\n\n"
    "  curl --unix-socket /run/skerry/admin.sock http://admin/health\n"
    "  curl --unix-socket /run/skerry/admin.sock http://admin/metrics\n\n"
    "One key of the file: skerry help configuration sites.cache.stale_if_error\n";
