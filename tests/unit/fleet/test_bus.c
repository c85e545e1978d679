/* Publishers and readers of the purge bus on one loop, over a real valkey-server. */
#include "fleet/farewell.h"
#include "fleet/fleet_of_test.h"
#include "fleet/follower.h"
#include "fleet/publisher.h"
#include "fleet/valkey_server.h"

#define EDGES 3

struct edge_double {
    struct fleet_identity *identity;
    struct fleet_follower *follower;
    struct fleet_bus_key key;
    bool has_key;
    char last[64]; /* text of the last wish */
    unsigned applied, revalidated, left;
    sk_time_ns kept_heard;
};

static struct valkey_server server;
static struct fleet_ca *ca;
static struct fleet_identity *control, *rogue;
static struct edge_double edges[EDGES];
static struct fleet_publisher *publisher;
static struct observe_thread *metrics;
static struct fleet_bus_keys masters;
static int64_t silence_ms;
static struct fleet_bus_follow begin_at;
static sk_time_ns begin_heard;   /* 0: edges begin nowhere */
static const char *deaf_primary; /* of the first edge; NULL: it has that of all */

/* ---- doubles ---------------------------------------------------------------------------------------------------- */

static struct fleet_identity *identity_of_edge(void *arg) {
    return fleet_identity_ref(((struct edge_double *)arg)->identity);
}
static struct fleet_identity *identity_of_control(void *arg) { return fleet_identity_ref(control); }
static struct fleet_bus_keys keys_of(void *arg, sk_str edge) { return fleet_bus_keys_of(&masters, edge); }
static const struct fleet_bus_key *key_of(void *arg) {
    const struct edge_double *edge = arg;
    return edge->has_key ? &edge->key : NULL;
}
static const struct fleet_expelled *nobody(void *arg) { return NULL; }

static void on_apply(void *arg, const struct fleet_bus_entry *entry) {
    struct edge_double *edge = arg;
    sk_str text = entry->wishes[entry->wish_count - 1].text;
    assert_true(text.len < sizeof edge->last);
    memcpy(edge->last, text.data, text.len);
    edge->last[text.len] = 0;
    edge->applied += entry->wish_count;
}
static void on_keep(void *arg, const struct fleet_bus_follow *follow, sk_time_ns heard, bool last) {
    ((struct edge_double *)arg)->kept_heard = heard;
}
static void on_revalidate(void *arg, const char *why) { ((struct edge_double *)arg)->revalidated++; }
static void on_describe(void *arg, struct fleet_heartbeat *beat, struct sk_arena *arena) {
    beat->state = FLEET_STATE_RUNNING;
    beat->address = SK_STR("127.0.0.1:7444");
}

static void has_left(void *arg) { ((struct edge_double *)arg)->left++; }

static void start_edge(struct edge_double *edge) {
    const char *primary = deaf_primary && edge == &edges[0] ? deaf_primary : server.path;
    struct fleet_follower_options options = {.where.path = sk_str_from_c(server.path),
                                             .primary.path = sk_str_from_c(primary),
                                             .silence_ms = silence_ms,
                                             .metrics = metrics,
                                             .arg = edge,
                                             .identity = identity_of_edge,
                                             .expelled = nobody,
                                             .bus_key = key_of,
                                             .apply = on_apply,
                                             .revalidate = on_revalidate,
                                             .keep = on_keep,
                                             .describe = on_describe};
    if (begin_heard) options.begin = &begin_at;
    options.begin_heard = begin_heard;
    edge->applied = edge->revalidated = edge->left = 0;
    edge->last[0] = 0;
    assert_ok(fleet_follower_start(loop, &options, &edge->follower));
}

static void wait_until(bool (*is)(void), const char *what) {
    for (int i = 0; i < 2000 && !is(); i++) rest(5);
    if (!is()) fail_msg("waited in vain: %s", what);
}

static struct fleet_valkey *asking;
static struct sk_arena arena;
static bool server_answers(void) {
    const sk_str ping = SK_STR("PING");
    const struct fleet_reply *reply;
    return fleet_valkey_call(asking, &ping, 1, in_ms(500), &arena, &reply) == SK_OK;
}
static bool all_heard(void) {
    for (int i = 0; i < EDGES; i++) {
        struct fleet_follower_counts counts;
        fleet_follower_counts(edges[i].follower, &counts);
        if (!counts.heard) return false;
    }
    return true;
}

static void begin(void) {
    struct fleet_valkey_where where = {.path = sk_str_from_c(server.path)};
    const sk_str flush = SK_STR("FLUSHALL");
    const struct fleet_reply *reply;
    struct fleet_publisher_options options = {
        .where = where, .identity = identity_of_control, .keys = keys_of};
    sk_arena_init(&arena, 4096, 4 << 20);
    assert_ok(fleet_valkey_create(loop, &where, &asking));
    wait_until(server_answers, "the server answers");
    assert_ok(fleet_valkey_call(asking, &flush, 1, in_ms(1000), &arena, &reply));
    for (int i = 0; i < EDGES; i++) start_edge(&edges[i]);
    rest(100); /* they look at the empty stream first */
    assert_ok(fleet_publisher_start(loop, &options, &publisher));
    wait_until(all_heard, "all edges hear the publisher");
}

static void end(void) {
    for (int i = 0; i < EDGES; i++)
        if (!edges[i].left) fleet_follower_leave(edges[i].follower, has_left, &edges[i]);
    fleet_publisher_end(publisher, in_ms(2000));
    while (io_fiber_count(loop) > 1) rest(5);
    for (int i = 0; i < EDGES; i++) assert_int_equal(edges[i].left, 1);
    for (int i = 0; i < EDGES; i++) fleet_follower_free(edges[i].follower);
    fleet_publisher_free(publisher);
    fleet_valkey_destroy(asking);
    sk_arena_free(&arena);
}

/* Nobody says good-bye. */
static void end_suddenly(void) {
    for (int i = 0; i < EDGES; i++) fleet_follower_free(edges[i].follower);
    fleet_publisher_free(publisher);
    fleet_valkey_destroy(asking);
    sk_arena_free(&arena);
}

static struct fleet_receipt publish(enum cache_purge_kind kind, const char *text) {
    struct fleet_purge_wish wish = {.kind = kind, .text = sk_str_from_c(text)};
    struct fleet_purge_request request = {.wishes = &wish, .count = 1};
    struct fleet_receipt receipt;
    assert_ok(fleet_publish(publisher, &request, in_ms(5000), &receipt));
    return receipt;
}

static void wait_applied(const struct fleet_receipt *receipt) {
    struct fleet_stragglers stragglers;
    assert_ok(fleet_publisher_wait(publisher, receipt, in_ms(5000), &arena, &stragglers));
    assert_int_equal(stragglers.living, EDGES);
    assert_int_equal(stragglers.behind, 0);
}

/* ---- stories ------------------------------------------------------------------------------------------------------ */

static void tell_everywhere(void) {
    begin();
    unsigned revalidated = edges[0].revalidated;
    for (int i = 0; i < 20; i++) {
        char text[32];
        snprintf(text, sizeof text, "tag-%d", i);
        struct fleet_receipt receipt = publish(CACHE_PURGE_TAG, text);
        wait_applied(&receipt);
        for (int e = 0; e < EDGES; e++) assert_string_equal(edges[e].last, text);
    }
    assert_int_equal(edges[0].applied, 20);
    assert_int_equal(edges[0].revalidated, revalidated); /* nothing was missed */
    end();
}

static void tell_batches(void) {
    static struct fleet_purge_wish wishes[5000];
    struct fleet_purge_request request = {.wishes = wishes, .count = SK_COUNT(wishes)};
    struct fleet_receipt receipt;
    begin();
    for (size_t i = 0; i < SK_COUNT(wishes); i++)
        wishes[i] = (struct fleet_purge_wish){.kind = CACHE_PURGE_HOST, .text = SK_STR("www.example.com")};
    assert_ok(fleet_publish(publisher, &request, in_ms(5000), &receipt));
    wait_applied(&receipt);
    assert_int_equal(edges[1].applied, SK_COUNT(wishes));
    assert_true(receipt.mark.sequence >= 3);
    static char text[FLEET_BUS_TEXT_MAX + 1];
    wishes[0].text = sk_str_make(text, sizeof text);
    assert_err(fleet_publish(publisher, &request, in_ms(5000), &receipt), SK_ERR_TOO_LARGE);
    end();
}

/* Who can write to the server, but may not publish. */
static void forge(struct fleet_identity *signer, const char *as, const char *text) {
    struct fleet_purge_wish wish = {.kind = CACHE_PURGE_HOST, .text = sk_str_from_c(text)};
    struct fleet_bus_entry entry = {.kind = FLEET_BUS_PURGES,
                                    .publisher = sk_str_from_c(as),
                                    .mark = {1, 1},
                                    .serial = 1,
                                    .wishes = &wish,
                                    .wish_count = 1};
    struct fleet_sealed sealed;
    struct fleet_pair pairs[FLEET_SEALED_PAIRS];
    struct fleet_stream_id id;
    fleet_bus_sealed_init(&sealed);
    assert_ok(fleet_bus_seal(signer, &entry, &sealed));
    fleet_bus_pairs(&sealed, pairs);
    assert_ok(fleet_valkey_add(asking, SK_STR(FLEET_BUS_STREAM), 0, pairs, 3, in_ms(1000), &arena, &id));
    fleet_sealed_free(&sealed);
}

static void tell_forgeries(void) {
    const struct fleet_pair junk = {SK_STR("e"), SK_STR("SKB1 or so")};
    struct fleet_stream_id id;
    begin();
    uint64_t refused = observe_total(OBSERVE_BUS_REFUSED);
    forge(edges[0].identity, "spiffe://acme/fra/edge/e0", "forged.example"); /* an edge is no publisher */
    forge(edges[0].identity, "spiffe://acme/fra/control/other", "forged.example");
    forge(rogue, "spiffe://acme/fra/control/c", "forged.example"); /* of another root */
    forge(control, "spiffe://acme/fra/control/other", "forged.example");
    assert_ok(fleet_valkey_add(asking, SK_STR(FLEET_BUS_STREAM), 0, &junk, 1, in_ms(1000), &arena, &id));
    struct fleet_receipt receipt = publish(CACHE_PURGE_HOST, "true.example");
    wait_applied(&receipt);
    for (int i = 0; i < EDGES; i++) {
        assert_int_equal(edges[i].applied, 1);
        assert_string_equal(edges[i].last, "true.example");
    }
    assert_int_equal(observe_total(OBSERVE_BUS_REFUSED) - refused, 5 * EDGES);
    end();
}

static bool all_revalidated(void) {
    for (int i = 0; i < EDGES; i++)
        if (edges[i].revalidated < 2) return false;
    return true;
}

/* It forgets everything: the stream is gone, with purges that maybe nobody has read. */
static void tell_a_server_that_forgets(void) {
    begin();
    struct fleet_receipt receipt = publish(CACHE_PURGE_HOST, "one.example");
    wait_applied(&receipt);
    valkey_server_stop(&server);
    rest(50);
    valkey_server_start(&server);
    wait_until(all_revalidated, "all revalidate");
    receipt = publish(CACHE_PURGE_HOST, "two.example");
    wait_applied(&receipt);
    for (int i = 0; i < EDGES; i++) assert_string_equal(edges[i].last, "two.example");
    end();
}

static bool first_is_silent(void) {
    struct fleet_follower_counts counts;
    fleet_follower_counts(edges[0].follower, &counts);
    return counts.silent;
}
static bool first_hears(void) { return !first_is_silent(); }

static void tell_silence(void) {
    silence_ms = 2000;
    begin();
    unsigned before = edges[0].revalidated;
    kill(server.pid, SIGSTOP);
    wait_until(first_is_silent, "the silence is noticed");
    rest(1200);
    assert_true(edges[0].revalidated >= before + 2); /* again and again */
    kill(server.pid, SIGCONT);
    wait_until(first_hears, "somebody is heard again");
    end();
    silence_ms = 30000;
}

/* One that stopped is told by name, and does not hold up the others for longer than the caller waits. */
static void tell_stragglers(void) {
    struct fleet_stragglers stragglers;
    begin();
    rest(100);
    const sk_str forget[] = {SK_STR("SADD"), SK_STR("skerry:members"),
                             SK_STR("spiffe://acme/fra/edge/stopped")};
    const struct fleet_pair pair = {SK_STR("state"), SK_STR("running")};
    const struct fleet_reply *reply;
    assert_ok(fleet_valkey_call(asking, forget, 3, in_ms(1000), &arena, &reply));
    assert_ok(fleet_valkey_hash_set(asking, SK_STR("skerry:member:spiffe://acme/fra/edge/stopped"), &pair, 1,
                                    600, in_ms(1000), &arena));
    struct fleet_receipt receipt = publish(CACHE_PURGE_HOST, "one.example");
    assert_ok(fleet_publisher_wait(publisher, &receipt, in_ms(200), &arena, &stragglers));
    assert_int_equal(stragglers.living, EDGES + 1);
    assert_int_equal(stragglers.behind, 1);
    assert_str(stragglers.names[0], SK_STR("spiffe://acme/fra/edge/stopped"));
    wait_applied(&receipt); /* when it has expired, it lives no more */
    end();
}

#define GHOST "spiffe://acme/fra/edge/ghost"

static void ask(const sk_str *words, size_t count) {
    const struct fleet_reply *reply;
    assert_ok(fleet_valkey_call(asking, words, count, in_ms(1000), &arena, &reply));
}

/* A member that lives for LIFE_MS and applies nothing. */
static void add_ghost(int64_t life_ms) {
    const sk_str add[] = {SK_STR("SADD"), SK_STR("skerry:members"), SK_STR(GHOST)};
    const struct fleet_pair pair = {SK_STR("state"), SK_STR("running")};
    ask(add, 3);
    assert_ok(fleet_valkey_hash_set(asking, SK_STR("skerry:member:" GHOST), &pair, 1, life_ms, in_ms(1000),
                                    &arena));
}

static void forget_ghost(void) {
    const sk_str remove[] = {SK_STR("SREM"), SK_STR("skerry:members"), SK_STR(GHOST)};
    const sk_str del[] = {SK_STR("DEL"), SK_STR("skerry:member:" GHOST)};
    ask(remove, 3);
    ask(del, 2);
}

/* In the name of the ghost, made at MADE_NS with KEY. */
static void say_farewell(uint64_t made_ns, const struct fleet_bus_key *key) {
    const sk_str set[] = {SK_STR("SET"), SK_STR("skerry:farewell:" GHOST),
                          fleet_farewell_text(SK_STR(GHOST), made_ns, key, &arena)};
    ask(set, 3);
}

static void expect_ghost(bool waited_for) {
    struct fleet_stragglers stragglers;
    struct fleet_receipt receipt = publish(CACHE_PURGE_HOST, "one.example");
    assert_ok(fleet_publisher_wait(publisher, &receipt, in_ms(waited_for ? 300 : 5000), &arena, &stragglers));
    assert_int_equal(stragglers.living, EDGES + waited_for);
    assert_int_equal(stragglers.behind, waited_for);
    if (waited_for) assert_str(stragglers.names[0], SK_STR(GHOST));
}

/* Issue 6, line 3: every acknowledged purge is applied by every edge that lives, also by one that Valkey has forgotten. */
static void tell_who_is_forgotten(void) {
    const struct fleet_bus_key own = fleet_bus_key_of(&masters.keys[0], SK_STR(GHOST));
    uint64_t old_ns = (uint64_t)sk_wall_now_ns();
    begin();
    rest(100);
    add_ghost(60000);
    expect_ghost(true); /* it is seen */
    forget_ghost();
    expect_ghost(true);
    say_farewell(old_ns, &own); /* of a life before */
    expect_ghost(true);
    uint64_t now_ns = (uint64_t)sk_wall_now_ns();
    say_farewell(now_ns, &edges[0].key); /* of another */
    expect_ghost(true);
    say_farewell(now_ns, &own);
    expect_ghost(false);
    add_ghost(600); /* it is back, and forgotten again: the same farewell is an old one */
    expect_ghost(true);
    forget_ghost();
    wait_applied(
        &(struct fleet_receipt){fleet_publisher_mark(publisher), 0}); /* until its word has expired */
    end();
}

/* Seen in passing, by nobody who waits for a purge. */
static void tell_who_is_forgotten_before_any_purge(void) {
    begin();
    add_ghost(60000);
    rest(2500);
    forget_ghost();
    expect_ghost(true);
    end();
}

/* An edge that leaves is not waited for, from its word on. */
static void tell_who_leaves(void) {
    struct fleet_stragglers stragglers;
    begin();
    rest(100);
    struct fleet_receipt receipt = publish(CACHE_PURGE_HOST, "one.example");
    wait_applied(&receipt);
    fleet_follower_leave(edges[2].follower, has_left, &edges[2]);
    while (!edges[2].left) rest(5);
    receipt = publish(CACHE_PURGE_HOST, "two.example");
    assert_ok(fleet_publisher_wait(publisher, &receipt, in_ms(5000), &arena, &stragglers));
    assert_int_equal(stragglers.living, EDGES - 1);
    assert_int_equal(stragglers.behind, 0);
    end();
}

/* What NAME would say, said by WHO. */
static void say_applied(const struct fleet_receipt *receipt, const char *name,
                        const struct edge_double *who) {
    const sk_str by = SK_STR("spiffe://acme/fra/control/c");
    const struct fleet_pair pair = {
        sk_str_from_c(name), fleet_applied_text(by, sk_str_from_c(name), receipt->mark, &who->key, &arena)};
    assert_ok(fleet_valkey_hash_set(asking, SK_STR(FLEET_BUS_APPLIED "spiffe://acme/fra/control/c"), &pair, 1,
                                    0, in_ms(1000), &arena));
}

/* Issue 6, zero trust: an edge cannot say of another that it has applied a purge, and one without a key of no purge. */
static void tell_unproven_positions(void) {
    struct fleet_stragglers stragglers;
    edges[1].has_key = false;
    begin();
    rest(100);
    struct fleet_receipt receipt = publish(CACHE_PURGE_HOST, "one.example");
    say_applied(&receipt, "spiffe://acme/fra/edge/e1", &edges[0]);
    assert_ok(fleet_publisher_wait(publisher, &receipt, in_ms(300), &arena, &stragglers));
    assert_int_equal(stragglers.living, EDGES);
    assert_int_equal(stragglers.behind, 1);
    assert_str(stragglers.names[0], SK_STR("spiffe://acme/fra/edge/e1"));
    assert_string_equal(edges[1].last, "one.example"); /* it is applied all the same */
    say_applied(&receipt, "spiffe://acme/fra/edge/e1", &edges[1]);
    wait_applied(&receipt);
    edges[1].has_key = true;
    end();
}

static void say_erased(const struct fleet_receipt *receipt, int edge, enum fleet_erased what,
                       const struct edge_double *who) {
    char name[64];
    const struct fleet_erasure erasure = {SK_STR("spiffe://acme/fra/control/c"), receipt->mark};
    snprintf(name, sizeof name, "spiffe://acme/fra/edge/e%d", edge);
    assert_ok(fleet_erased_tell(asking, &erasure, sk_str_from_c(name), what, &who->key, in_ms(1000), &arena));
}

/* An erasure is a purge that all apply; what became of it each edge says by itself, and nobody for another. */
static void tell_erasures(void) {
    struct fleet_purge_wish wishes[] = {
        {.kind = CACHE_PURGE_SITE, .text = SK_STR("shop"), .erase = true},
        {.kind = CACHE_PURGE_SITE, .text = SK_STR("other")},
    };
    const sk_str names[EDGES] = {SK_STR("spiffe://acme/fra/edge/e0"), SK_STR("spiffe://acme/fra/edge/e1"),
                                 SK_STR("spiffe://acme/fra/edge/e2")};
    enum fleet_erased states[EDGES];
    struct fleet_receipt receipt;
    begin();
    struct fleet_purge_request request = {.wishes = wishes, .count = 2};
    assert_err(fleet_publish(publisher, &request, in_ms(5000), &receipt), SK_ERR_INVALID);
    request.count = 1;
    assert_ok(fleet_publish(publisher, &request, in_ms(5000), &receipt));
    wait_applied(&receipt);
    assert_string_equal(edges[2].last, "shop");
    say_erased(&receipt, 0, FLEET_ERASED_DONE, &edges[0]);
    say_erased(&receipt, 1, FLEET_ERASED_PLAIN, &edges[1]);
    say_erased(&receipt, 2, FLEET_ERASED_DONE, &edges[0]);
    assert_ok(fleet_publisher_wait_erased(publisher, &receipt, names, EDGES, in_ms(200), states));
    assert_true(states[0] == FLEET_ERASED_DONE && states[1] == FLEET_ERASED_PLAIN);
    assert_int_equal(states[2], FLEET_ERASED_SILENT);
    say_erased(&receipt, 2, FLEET_ERASED_NOTHING, &edges[2]);
    assert_ok(fleet_publisher_wait_erased(publisher, &receipt, names, EDGES, in_ms(60000), states));
    assert_int_equal(states[2], FLEET_ERASED_NOTHING);
    end();
}

static unsigned wanted;
static bool first_has_applied(void) { return edges[0].applied >= wanted; }

/* Listens, and never answers. */
static int listen_deaf(char path[80]) {
    struct io_addr addr;
    char text[96];
    int fd;
    snprintf(path, 80, "%s/deaf", test_folder);
    snprintf(text, sizeof text, "unix:%s", path);
    assert_ok(io_addr_parse(sk_str_from_c(text), &addr));
    assert_ok(io_listen(&addr, &(struct io_listen_options){.unix_mode = 0600}, &fd));
    return fd;
}

/* An edge that reads a replica, and whose primary is cut off: nobody hears how far it is, but it applies at once. */
static void tell_a_primary_that_says_nothing(void) {
    char path[80];
    int fd = listen_deaf(path);
    deaf_primary = path;
    silence_ms = 2500;
    begin();
    sk_time_ns begun = sk_time_now();
    for (wanted = 1; wanted <= 5; wanted++) {
        publish(CACHE_PURGE_HOST, "one.example");
        wait_until(first_has_applied, "the purge is applied");
    }
    assert_true(sk_time_now() - begun < 4000 * MS); /* a call that is not answered takes five seconds */
    assert_true(edges[0].kept_heard && edges[0].kept_heard < begun); /* the fleet has not heard it since */
    unsigned revalidated = edges[0].revalidated; /* nobody waits for it when its word has expired */
    wait_until(first_is_silent, "it takes itself for cut off");
    assert_true(edges[0].revalidated > revalidated);
    assert_true(edges[1].kept_heard >= begun);
    end_suddenly();
    silence_ms = 30000;
    deaf_primary = NULL;
    close(fd);
    unlink(path);
}

/* Silence counts from when somebody was heard in an earlier life, and not from the start. */
static void tell_a_silence_that_is_older(void) {
    struct fleet_follower_counts counts;
    begin_heard = sk_time_now() - silence_ms / 2 * MS;
    start_edge(&edges[0]);
    assert_int_equal(edges[0].revalidated, 0);
    begin_heard = sk_time_now() - silence_ms * MS;
    start_edge(&edges[1]);
    assert_int_equal(edges[1].revalidated, 1);
    fleet_follower_counts(edges[1].follower, &counts);
    assert_true(counts.silent);
    begin_heard = 0;
    for (int i = 0; i < 2; i++) fleet_follower_free(edges[i].follower);
}

/* The loop ends with all of them under way, as a process does that is told to stop. */
static void tell_a_sudden_end(void) {
    begin();
    fleet_follower_leave(edges[0].follower, has_left, &edges[0]); /* its farewell is still on its way */
    end_suddenly();
}

#define STORY(name)                                                                                          \
    static void name(void **state) { run_story(tell_##name); }
STORY(everywhere)
STORY(batches)
STORY(forgeries)
STORY(a_server_that_forgets)
STORY(silence)
STORY(stragglers)
STORY(who_is_forgotten)
STORY(who_is_forgotten_before_any_purge)
STORY(who_leaves)
STORY(unproven_positions)
STORY(erasures)
STORY(a_primary_that_says_nothing)
STORY(a_silence_that_is_older)
STORY(a_sudden_end)

static int set_up(void **state) {
    char path[128], name[64];
    silence_ms = 30000;
    test_folder_make();
    snprintf(path, sizeof path, "%s/ca", test_folder);
    assert_ok(fleet_ca_open(sk_str_from_c(path), SK_STR("acme"), sk_wall_now_s(), &ca));
    control = test_identity(ca, "spiffe://acme/fra/control/c", sk_wall_now_s());
    assert_ok(fleet_ca_bus_masters(ca, &masters));
    for (int i = 0; i < EDGES; i++) {
        snprintf(name, sizeof name, "spiffe://acme/fra/edge/e%d", i);
        edges[i].identity = test_identity(ca, name, sk_wall_now_s());
        edges[i].key = fleet_bus_key_of(&masters.keys[0], sk_str_from_c(name));
        edges[i].has_key = true;
    }
    struct fleet_ca *other;
    snprintf(path, sizeof path, "%s/other", test_folder);
    assert_ok(fleet_ca_open(sk_str_from_c(path), SK_STR("acme"), sk_wall_now_s(), &other));
    rogue = test_identity(other, "spiffe://acme/fra/control/c", sk_wall_now_s());
    fleet_ca_free(other);
    assert_ok(observe_thread_join(&metrics));
    valkey_server_start(&server);
    return 0;
}

static int tear_down(void **state) {
    valkey_server_remove(&server);
    for (int i = 0; i < EDGES; i++) fleet_identity_unref(edges[i].identity);
    fleet_identity_unref(control);
    fleet_identity_unref(rogue);
    fleet_ca_free(ca);
    test_folder_remove();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everywhere),
        cmocka_unit_test(batches),
        cmocka_unit_test(forgeries),
        cmocka_unit_test(stragglers),
        cmocka_unit_test(a_silence_that_is_older),
        cmocka_unit_test(a_sudden_end),
        cmocka_unit_test(a_server_that_forgets),
        cmocka_unit_test(silence),
        cmocka_unit_test(unproven_positions),
        cmocka_unit_test(erasures),
        cmocka_unit_test(who_leaves),
        cmocka_unit_test(who_is_forgotten),
        cmocka_unit_test(who_is_forgotten_before_any_purge),
        cmocka_unit_test(a_primary_that_says_nothing),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
