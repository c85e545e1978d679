/* Purges against a model that remembers all of them and looks at each. */
#include "base/glob.h"
#include "cache/purge.h"
#include "cache/purge_table.h"
#define ONE_CACHE_BYTES (16 * MIB)
#include "one_cache.h"

/* ---- patterns ---------------------------------------------------------------------------------------------- */

struct glob_case {
    const char *pattern, *first, *second;
    bool match;
};

static const struct glob_case glob_cases[] = {
    {"h/a", "h", "/a", true},
    {"h/a", "h", "/ab", false},
    {"h/a*", "h", "/ab", true},
    {"*", "", "", true},
    {"*", "h", "/", true},
    {"h/?", "h", "/", false},
    {"h/?", "h", "/x", true},
    {"h/*.png", "h", "/a.b.png", true},
    {"h/*.png", "h", "/a.png?x", false},
    {"*/a", "h", "/b/a", true},
    {"/a*", "", "/abc", true},
    {"h*b*c", "h", "/abxc", true},
    {"h*b*c", "h", "/abxcd", false},
    {"h/a**b", "h", "/ab", true},
    {"", "", "", true},
    {"", "h", "", false},
    {"h", "hh", "", false},
    {"*a*a*a*b", "", "aaaaaaaaaaaaaaaaaaaa", false},
};

static void patterns_match_what_they_say(void **state) {
    for (size_t i = 0; i < SK_COUNT(glob_cases); i++) {
        const struct glob_case *c = &glob_cases[i];
        if (sk_glob_match(sk_str_from_c(c->pattern), sk_str_from_c(c->first), sk_str_from_c(c->second)) !=
            c->match)
            fail_msg("\"%s\" and \"%s\"\"%s\"", c->pattern, c->first, c->second);
    }
    (void)state;
}

/* ---- the table ----------------------------------------------------------------------------------------------- */

static void a_full_table_forgets_nothing_that_it_was_told(void **state) {
    enum { SCOPES = 3000 };
    static uint64_t hard[SCOPES], soft[SCOPES];
    struct purge_table *table;
    size_t exact = 0;
    assert_ok(purge_table_create(16 * 1024, &table));
    for (uint64_t tick = 1; tick < 20000; tick++) {
        uint64_t i = sk_random_below(SCOPES), *times = sk_random_below(2) ? hard : soft;
        times[i] = tick;
        purge_table_put(table, sk_hash64(&i, sizeof i),
                        (struct purge_times){times == hard ? tick : 0, times == soft ? tick : 0});
        i = sk_random_below(SCOPES);
        struct purge_times got = purge_table_get(table, sk_hash64(&i, sizeof i));
        assert_true(got.hard >= hard[i] && got.soft >= soft[i] && got.hard <= tick && got.soft <= tick);
        exact += got.hard == hard[i] && got.soft == soft[i];
    }
    assert_true(exact > 0 && exact < 20000);
    purge_table_destroy(table);
    (void)state;
}

/* ---- the model ------------------------------------------------------------------------------------------------ */

struct world_key {
    struct cache_key key;
    char text[64];
    const char *site, *host, *path; /* path with query */
    const char *tags[2];            /* NULL: fewer */
    bool there;
    uint64_t born;
};

static const char *const sites[] = {"s1", "s2"};
static const char *const hosts[] = {"a.org", "b.org", "b.org:81"};
static const char *const paths[] = {"/",
                                    "/img",
                                    "/img/",
                                    "/img/a.png",
                                    "/img/a.png?w=1",
                                    "/img/b/c.png",
                                    "/imgs/a.png",
                                    "/docs/a/b/c/d.html",
                                    "/docs/a/x?q=/img/",
                                    "//",
                                    "/*",
                                    "/a?b"};
static const char *const tags[] = {"red", "Red", "blue", ""};

#define WORLD (SK_COUNT(sites) * SK_COUNT(hosts) * SK_COUNT(paths))
static struct world_key world[WORLD];

static void make_world(void) {
    for (size_t i = 0; i < WORLD; i++) {
        struct world_key *w = &world[i];
        *w = (struct world_key){.site = sites[i % 2], .host = hosts[i / 2 % 3], .path = paths[i / 6]};
        int len = snprintf(w->text, sizeof w->text, "%s|%s|%s", w->site, w->host, w->path);
        w->key.text = sk_str_make(w->text, (size_t)len);
        w->key.hash = sk_hash128_of(w->text, (size_t)len);
    }
}

static void put(struct world_key *w) {
    struct cache_fill *fill;
    struct cache_object *found;
    struct cache_head head = make_head(10);
    sk_str head_tags[2];
    w->tags[0] = sk_random_below(2) ? tags[sk_random_below(3)] : NULL;
    w->tags[1] = w->tags[0] && sk_random_below(2) ? tags[sk_random_below(3)] : NULL;
    for (size_t i = 0; i < 2 && w->tags[i]; i++) head_tags[head.tag_count++] = sk_str_from_c(w->tags[i]);
    head.tags = head_tags;
    cache_remove(thread, &w->key);
    w->born = cache_purge_clock(cache);
    assert_int_equal(cache_fill_begin(thread, &w->key, NULL, NULL, &fill, &found), CACHE_LEAD);
    cache_fill_leave(thread, fill);
    assert_ok(cache_fill_store(fill, &head));
    assert_ok(fill_write(fill, 1, 0, 10));
    assert_ok(cache_fill_finish(fill));
    cache_fill_release(fill);
    w->there = true;
}

static bool simple_match(const char *pattern, const char *text) {
    if (!*pattern) return !*text;
    if (*pattern == '*') return simple_match(pattern + 1, text) || (*text && simple_match(pattern, text + 1));
    return *text && (*pattern == '?' || *pattern == *text) && simple_match(pattern + 1, text + 1);
}

static bool is(sk_str s, const char *text) { return sk_str_eq(s, sk_str_from_c(text)); }

static bool covers(const struct cache_purge *purge, const struct world_key *w) {
    char text[128];
    switch (purge->kind) {
    case CACHE_PURGE_KEY: return is(purge->text, w->text);
    case CACHE_PURGE_PREFIX:
        return is(purge->site, w->site) && is(purge->host, w->host) &&
               sk_str_starts_with(sk_str_from_c(w->path), purge->text);
    case CACHE_PURGE_HOST: return is(purge->site, w->site) && is(purge->host, w->host);
    case CACHE_PURGE_SITE: return is(purge->site, w->site);
    case CACHE_PURGE_TAG:
        if (!is(purge->site, w->site)) return false;
        return (w->tags[0] && is(purge->text, w->tags[0])) || (w->tags[1] && is(purge->text, w->tags[1]));
    case CACHE_PURGE_GLOB:
        snprintf(text, sizeof text, "%s%s", purge->text.data[0] == '/' ? "" : w->host, w->path);
        return is(purge->site, w->site) && simple_match(purge->text.data, text);
    default: return true;
    }
}

static const char *const prefixes[] = {"/",        "/img",        "/img/", "/i",  "/img/a", "/img/a.png?",
                                       "/docs/a/", "/docs/a/b/c", "//",    "/a?", "/*"};
static const char *const globs[] = {"*",          "a.org/*",         "*.png",        "b.org*/img/*", "/img/*",
                                    "/docs/?/x*", "b.org/img/a.???", "b.org:81/img", "*b*c*",        "/"};

static struct cache_purge some_purge(void) {
    struct cache_purge purge = {.kind = (enum cache_purge_kind)sk_random_below(CACHE_PURGE_COUNT_)};
    /* The wide ones rarely, or nothing would be left to tell the others apart. */
    if (purge.kind == CACHE_PURGE_ALL && sk_random_below(10)) purge.kind = CACHE_PURGE_KEY;
    if (purge.kind == CACHE_PURGE_SITE && sk_random_below(5)) purge.kind = CACHE_PURGE_TAG;
    purge.soft = sk_random_below(2);
    purge.site = sk_str_from_c(sites[sk_random_below(2)]);
    purge.host = sk_str_from_c(hosts[sk_random_below(3)]);
    switch (purge.kind) {
    case CACHE_PURGE_KEY: purge.text = world[sk_random_below(WORLD)].key.text; break;
    case CACHE_PURGE_PREFIX: purge.text = sk_str_from_c(prefixes[sk_random_below(SK_COUNT(prefixes))]); break;
    case CACHE_PURGE_TAG: purge.text = sk_str_from_c(tags[sk_random_below(3)]); break;
    case CACHE_PURGE_GLOB: purge.text = sk_str_from_c(globs[sk_random_below(SK_COUNT(globs))]); break;
    default: break;
    }
    return purge;
}

/* All purges there were; nothing is forgotten. */
struct model {
    struct cache_purge purges[4000];
    uint64_t ticks[4000];
    size_t count;
};

enum seen { SEEN_FRESH, SEEN_SOFT, SEEN_GONE };

static enum seen expected(const struct model *model, const struct world_key *w) {
    enum seen seen = SEEN_FRESH;
    if (!w->there) return SEEN_GONE;
    for (size_t i = 0; i < model->count; i++) {
        if (model->ticks[i] <= w->born || !covers(&model->purges[i], w)) continue;
        seen = SK_MAX(seen, model->purges[i].soft ? SEEN_SOFT : SEEN_GONE);
    }
    return seen;
}

static enum seen look(const struct world_key *w) {
    struct cache_finding finding;
    cache_enter(thread);
    struct cache_object *object = cache_find(thread, &w->key, NULL, &finding);
    cache_leave(thread);
    if (w->there) assert_int_equal(finding.purged, !object);
    if (!object) return SEEN_GONE;
    return finding.soft_purged ? SEEN_SOFT : SEEN_FRESH;
}

static void purges_do_what_the_model_says(void **state) {
    static struct model model;
    size_t counts[3] = {0};
    model.count = 0;
    make_world();
    for (int step = 0; step < 12000; step++) {
        struct world_key *w = &world[sk_random_below(WORLD)];
        if (step % 3 == 0 && model.count < SK_COUNT(model.purges)) {
            struct cache_purge *purge = &model.purges[model.count];
            *purge = some_purge();
            assert_ok(cache_purge(cache, purge, &model.ticks[model.count]));
            model.count++;
        } else if (step % 3 == 1) {
            put(w);
        } else {
            enum seen want = expected(&model, w), got = look(w);
            counts[want]++;
            if (got != want) fail_msg("%s: %d, not %d (step %d)", w->text, got, want, step);
        }
    }
    assert_true(counts[SEEN_FRESH] > 300 && counts[SEEN_SOFT] > 300 && counts[SEEN_GONE] > 300);
    (void)state;
}

/* With far more of everything than there is room for, too much may be hit, never too little. */
static void more_purges_than_there_is_room_for_are_never_too_few(void **state) {
    static struct model model;
    size_t spared = 0;
    model.count = 0;
    make_world();
    for (int step = 0; step < 8000; step++) {
        struct world_key *w = &world[sk_random_below(WORLD)];
        for (int i = 0; i < 20; i++) { /* others, which crowd them out */
            char text[64];
            struct cache_purge other = {.kind = i < 14   ? CACHE_PURGE_KEY
                                                : i < 18 ? CACHE_PURGE_PREFIX
                                                         : CACHE_PURGE_GLOB};
            int len = snprintf(text, sizeof text,
                               i < 14   ? "s9|x|/%llu"
                               : i < 18 ? "/%llu"
                                        : "x.org/y/*%llu",
                               (unsigned long long)sk_random_u64() >> sk_random_below(60));
            other.text = sk_str_make(text, (size_t)len);
            other.site = SK_STR("s9");
            other.host = SK_STR("x");
            assert_ok(cache_purge(cache, &other, NULL));
        }
        if (step % 4 == 0 && model.count < SK_COUNT(model.purges)) {
            struct cache_purge *purge = &model.purges[model.count];
            *purge = some_purge();
            assert_ok(cache_purge(cache, purge, &model.ticks[model.count]));
            model.count++;
        } else if (step % 4 == 1) {
            put(w);
        } else {
            enum seen want = expected(&model, w), got = look(w);
            if (got < want) fail_msg("%s: %d, not %d (step %d)", w->text, got, want, step);
            spared += got == SEEN_FRESH;
        }
    }
    assert_true(spared > 50);
    (void)state;
}

/* ---- what is refused -------------------------------------------------------------------------------------------- */

#define STARS_17 "*****************"

static const struct {
    const char *name;
    struct cache_purge purge;
    sk_err err;
} refused[] = {
    {"a tag needs a site", {.kind = CACHE_PURGE_TAG, .text = SK_STR_INIT("t")}, SK_ERR_INVALID},
    {"a tag needs a tag", {.kind = CACHE_PURGE_TAG, .site = SK_STR_INIT("s")}, SK_ERR_INVALID},
    {"a host needs a host", {.kind = CACHE_PURGE_HOST, .site = SK_STR_INIT("s")}, SK_ERR_INVALID},
    {"a prefix begins with '/'",
     {.kind = CACHE_PURGE_PREFIX,
      .site = SK_STR_INIT("s"),
      .host = SK_STR_INIT("h"),
      .text = SK_STR_INIT("a")},
     SK_ERR_INVALID},
    {"no bar in a site", {.kind = CACHE_PURGE_SITE, .site = SK_STR_INIT("s|h")}, SK_ERR_INVALID},
    {"no such kind", {.kind = CACHE_PURGE_COUNT_}, SK_ERR_INVALID},
    {"too many stars",
     {.kind = CACHE_PURGE_GLOB, .site = SK_STR_INIT("s"), .text = SK_STR_INIT(STARS_17)},
     SK_ERR_TOO_LARGE},
};

static void a_purge_that_says_too_little_is_refused_and_changes_nothing(void **state) {
    for (size_t i = 0; i < SK_COUNT(refused); i++) {
        sk_err err = cache_purge(cache, &refused[i].purge, NULL);
        if (err != refused[i].err) fail_msg("%s: %s", refused[i].name, sk_err_name(err));
    }
    assert_int_equal(cache_purge_clock(cache), 0);
    (void)state;
}

/* ---- fills ---------------------------------------------------------------------------------------------------------- */

static void purge_glob(const char *pattern) {
    struct cache_purge purge = {
        .kind = CACHE_PURGE_GLOB, .site = SK_STR("site"), .text = sk_str_from_c(pattern)};
    assert_ok(cache_purge(cache, &purge, NULL));
}

static bool is_found(const struct cache_key *key) {
    cache_enter(thread);
    bool found = cache_find(thread, key, NULL, NULL) != NULL;
    cache_leave(thread);
    return found;
}

/* A look passes over patterns of other directories; those that have none, have no host or lie deeper than looks go are
 * found all the same, also behind as many others as the ring holds. */
static void patterns_are_found_by_their_directory(void **state) {
    /* 36 segments */
    sk_str text =
        SK_STR("site|example.org|/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/7");
    struct cache_key key = {sk_hash128_of(text.data, text.len), text};
    static const char *const patterns[] = {
        "example.org/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/*",
        "/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/?",
        "example.org/1/2/3*",
        "/1/*7",
        "example.org*7",
        "*",
    };
    for (size_t i = 0; i < SK_COUNT(patterns); i++)
        for (int others = 0; others < 600; others += 150) {
            char other[64];
            assert_true(put_object(thread, &key, 7, 10, true));
            purge_glob(patterns[i]);
            for (int n = 0; n < others; n++) {
                snprintf(other, sizeof other, "example.org/other%d/*.png", n);
                purge_glob(other);
            }
            if (is_found(&key)) fail_msg("%s, then %d others", patterns[i], others);
            assert_true(put_object(thread, &key, 7, 10, true));
            purge_glob("example.org/1/3/*");
            purge_glob("example.com/1/2/*");
            assert_true(is_found(&key));
        }
    (void)state;
}

static void purge_key(const struct cache_key *key, bool soft) {
    struct cache_purge purge = {.kind = CACHE_PURGE_KEY, .text = key->text, .soft = soft};
    assert_ok(cache_purge(cache, &purge, NULL));
}

static void a_fill_that_began_before_a_purge_is_never_fresh_after_it(void **state) {
    for (int soft = 0; soft < 2; soft++) {
        struct cache_fill *fill, *next;
        struct cache_object *found;
        struct cache_finding finding;
        struct cache_head head = make_head(10);
        struct test_key key;
        make_key(&key, "/before/", (uint64_t)soft);
        assert_int_equal(cache_fill_begin(thread, &key.key, NULL, NULL, &fill, &found), CACHE_LEAD);
        purge_key(&key.key, soft);
        cache_fill_leave(thread, fill);
        assert_ok(cache_fill_store(fill, &head));
        assert_ok(fill_write(fill, 1, 0, 10));
        assert_ok(cache_fill_finish(fill));
        cache_fill_release(fill);
        cache_enter(thread);
        found = cache_find(thread, &key.key, NULL, &finding);
        assert_true(soft ? found && finding.soft_purged : !found && finding.purged);
        cache_leave(thread);
        assert_int_equal(cache_fill_begin(thread, &key.key, NULL, NULL, &next, &found), CACHE_LEAD);
        assert_true(soft == (cache_fill_stale(next) != NULL));
        cache_fill_leave(thread, next);
        cache_fill_release(next);
    }
    (void)state;
}

static void who_comes_after_a_purge_does_not_join_an_older_fill(void **state) {
    struct cache_fill *old, *follow, *new;
    struct cache_object *found;
    struct cache_head head = make_head(10);
    struct test_key key;
    make_key(&key, "/join", 0);
    assert_int_equal(cache_fill_begin(thread, &key.key, NULL, NULL, &old, &found), CACHE_LEAD);
    assert_int_equal(cache_fill_begin(thread, &key.key, NULL, NULL, &follow, &found), CACHE_FOLLOW);
    cache_fill_leave(thread, follow);
    struct cache_purge purge = {.kind = CACHE_PURGE_SITE, .site = SK_STR("site"), .soft = true};
    assert_ok(cache_purge(cache, &purge, NULL));
    assert_int_equal(cache_fill_begin(thread, &key.key, NULL, NULL, &new, &found), CACHE_LEAD);
    assert_ptr_not_equal(old, new);
    cache_fill_leave(thread, new);
    assert_ok(cache_fill_store(new, &head));
    /* The older one comes later and must not take its place. */
    cache_fill_leave(thread, old);
    assert_ok(cache_fill_store(old, &head));
    cache_enter(thread);
    found = cache_find(thread, &key.key, NULL, NULL);
    assert_non_null(found);
    assert_int_equal(found->born, cache_purge_clock(cache));
    cache_leave(thread);
    cache_fill_release(old);
    cache_fill_release(new);
    (void)state;
}

/* The tag is known only when the head is there; who joined after the purge must begin again. */
static void a_follower_that_came_after_a_purge_of_a_tag_begins_again(void **state) {
    struct cache_fill *lead, *follow;
    struct cache_object *object, *found;
    enum cache_outcome outcome;
    struct cache_failure failure;
    sk_str tag = SK_STR("t");
    struct cache_head head = make_head(0);
    struct test_key key;
    make_key(&key, "/tagged", 0);
    head.tags = &tag;
    head.tag_count = 1;
    assert_int_equal(cache_fill_begin(thread, &key.key, NULL, NULL, &lead, &found), CACHE_LEAD);
    struct cache_purge purge = {.kind = CACHE_PURGE_TAG, .site = SK_STR("site"), .text = tag};
    assert_ok(cache_purge(cache, &purge, NULL));
    assert_int_equal(cache_fill_begin(thread, &key.key, NULL, NULL, &follow, &found), CACHE_FOLLOW);
    assert_ok(cache_fill_store(lead, &head));
    assert_ok(
        cache_fill_wait(thread, follow, CACHE_FOLLOW, NULL, SK_TIME_NEVER, &outcome, &object, &failure));
    assert_int_equal(outcome, CACHE_OUTCOME_AGAIN);
    assert_ok(cache_fill_wait(thread, lead, CACHE_LEAD, NULL, SK_TIME_NEVER, &outcome, &object, &failure));
    assert_int_equal(outcome, CACHE_OUTCOME_OBJECT);
    cache_object_unref(thread, object);
    assert_ok(cache_fill_finish(lead));
    cache_fill_release(lead);
    assert_int_equal(cache_fill_begin(thread, &key.key, NULL, NULL, &lead, &found), CACHE_LEAD);
    cache_fill_leave(thread, lead);
    cache_fill_release(lead);
    (void)state;
}

static void a_purge_during_revalidation_takes_the_stale_one_away(void **state) {
    struct cache_fill *fill;
    struct cache_object *stale, *object;
    enum cache_outcome outcome;
    struct cache_failure failure = {0};
    struct test_key key;
    assert_true(put_object(thread, make_key(&key, "/stale", 0), 1, 10, true));
    cache_enter(thread);
    stale = cache_find(thread, &key.key, NULL, NULL);
    cache_object_ref(stale);
    cache_leave(thread);
    assert_int_equal(cache_fill_begin(thread, &key.key, NULL, stale, &fill, &object), CACHE_LEAD);
    purge_key(&key.key, false);
    cache_fill_fail(fill, SK_ERR_REFUSED, true);
    assert_ok(cache_fill_wait(thread, fill, CACHE_LEAD, NULL, SK_TIME_NEVER, &outcome, &object, &failure));
    assert_int_equal(outcome, CACHE_OUTCOME_FAILED);
    assert_int_equal(failure.err, SK_ERR_REFUSED);
    cache_fill_release(fill);
    cache_object_unref(thread, stale);
    (void)state;
}

static void a_confirmed_object_keeps_its_tags(void **state) {
    struct cache_fill *fill;
    struct cache_object *stale, *found;
    sk_str tag = SK_STR("t");
    struct cache_head head = make_head(10);
    struct test_key key;
    make_key(&key, "/confirmed", 0);
    head.tags = &tag;
    head.tag_count = 1;
    assert_int_equal(cache_fill_begin(thread, &key.key, NULL, NULL, &fill, &found), CACHE_LEAD);
    cache_fill_leave(thread, fill);
    assert_ok(cache_fill_store(fill, &head));
    assert_ok(fill_write(fill, 1, 0, 10));
    assert_ok(cache_fill_finish(fill));
    cache_fill_release(fill);
    cache_enter(thread);
    stale = cache_find(thread, &key.key, NULL, NULL);
    cache_object_ref(stale);
    cache_leave(thread);
    assert_int_equal(cache_fill_begin(thread, &key.key, NULL, stale, &fill, &found), CACHE_LEAD);
    cache_fill_leave(thread, fill);
    head.tag_count = 0;
    assert_ok(cache_fill_freshen(fill, &head));
    cache_fill_release(fill);
    cache_object_unref(thread, stale);
    struct cache_purge purge = {.kind = CACHE_PURGE_TAG, .site = SK_STR("site"), .text = tag};
    assert_ok(cache_purge(cache, &purge, NULL));
    cache_enter(thread);
    assert_null(cache_find(thread, &key.key, NULL, NULL));
    cache_leave(thread);
    (void)state;
}

/* ---- threads ---------------------------------------------------------------------------------------------------------- */

#ifdef SK_SLOW_BUILD
#define PURGER_STEPS 3000
#else
#define PURGER_STEPS 60000
#endif

/* Purges some key in some way and then looks: what it finds must have begun later. */
static void purge_and_look(struct cache_thread *own, uint64_t number) {
    struct cache_finding finding;
    struct test_key key;
    char prefix[32];
    uint64_t tick;
    make_key(&key, "/p/", number);
    int len = snprintf(prefix, sizeof prefix, "/p/%llu", (unsigned long long)number);
    struct cache_purge purge = {.kind = (enum cache_purge_kind)sk_random_below(CACHE_PURGE_COUNT_)};
    purge.soft = sk_random_below(2);
    purge.site = SK_STR("site");
    purge.host = SK_STR("example.org");
    switch (purge.kind) {
    case CACHE_PURGE_KEY: purge.text = key.key.text; break;
    case CACHE_PURGE_PREFIX: purge.text = sk_str_make(prefix, (size_t)len); break;
    case CACHE_PURGE_TAG: return; /* these objects have none */
    case CACHE_PURGE_GLOB: purge.text = sk_str_make(prefix, (size_t)len); break;
    default: break;
    }
    assert_ok(cache_purge(cache, &purge, &tick));
    cache_enter(own);
    struct cache_object *object = cache_find(own, &key.key, NULL, &finding);
    if (object && object->born < tick) assert_true(purge.soft && finding.soft_purged);
    cache_leave(own);
}

static void *purger_main(void *arg) {
    struct cache_thread *own;
    assert_ok(cache_thread_join(cache, NULL, &own));
    for (int i = 0; i < PURGER_STEPS; i++) {
        uint64_t number = sk_random_below(40);
        struct test_key key;
        if (sk_random_below(3))
            (void)!put_object(own, make_key(&key, "/p/", number), number, 100, true);
        else
            purge_and_look(own, number);
    }
    cache_thread_leave(own);
    return arg;
}

static void nobody_finds_after_a_purge_what_it_took_away(void **state) {
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, purger_main, NULL), 0);
    for (size_t i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    (void)state;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* RFC 9111 section 3.2: fields that the 304 does not have stay, and so do their tags. */
static void rfc9111_3_2_a_304_replaces_the_tags_of_its_own_fields(void **state) {
    struct cache_fill *fill;
    struct cache_object *stale, *found;
    sk_str before[] = {SK_STR("old"), SK_STR("kept")}, fresh = SK_STR("new");
    struct http_tag_parts parts = {.counts = {1, 1}, .present = 3},
                          fresh_parts = {.counts = {1}, .present = 1};
    static const struct {
        const char *tag;
        bool hits;
    } cases[] = {{"old", false}, {"new", true}, {"kept", true}};
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct cache_head head = make_head(10);
        struct test_key key;
        make_key(&key, "/parts", i);
        head.tags = before;
        head.tag_count = 2;
        head.tag_parts = &parts;
        assert_int_equal(cache_fill_begin(thread, &key.key, NULL, NULL, &fill, &found), CACHE_LEAD);
        cache_fill_leave(thread, fill);
        assert_ok(cache_fill_store(fill, &head));
        assert_ok(fill_write(fill, 1, 0, 10));
        assert_ok(cache_fill_finish(fill));
        cache_fill_release(fill);
        cache_enter(thread);
        stale = cache_find(thread, &key.key, NULL, NULL);
        cache_object_ref(stale);
        cache_leave(thread);
        assert_int_equal(cache_fill_begin(thread, &key.key, NULL, stale, &fill, &found), CACHE_LEAD);
        cache_fill_leave(thread, fill);
        head.tags = &fresh;
        head.tag_count = 1;
        head.tag_parts = &fresh_parts;
        assert_ok(cache_fill_freshen(fill, &head));
        cache_fill_release(fill);
        cache_object_unref(thread, stale);
        struct cache_purge purge = {
            .kind = CACHE_PURGE_TAG, .site = SK_STR("site"), .text = sk_str_from_c(cases[i].tag)};
        assert_ok(cache_purge(cache, &purge, NULL));
        cache_enter(thread);
        bool gone = cache_find(thread, &key.key, NULL, NULL) == NULL;
        cache_leave(thread);
        if (gone != cases[i].hits) fail_msg("a purge of %s", cases[i].tag);
    }
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_what_they_say),
        cmocka_unit_test(a_full_table_forgets_nothing_that_it_was_told),
        CASE(purges_do_what_the_model_says),
        CASE(more_purges_than_there_is_room_for_are_never_too_few),
        CASE(a_purge_that_says_too_little_is_refused_and_changes_nothing),
        CASE(patterns_are_found_by_their_directory),
        CASE(a_fill_that_began_before_a_purge_is_never_fresh_after_it),
        CASE(who_comes_after_a_purge_does_not_join_an_older_fill),
        CASE(a_follower_that_came_after_a_purge_of_a_tag_begins_again),
        CASE(a_purge_during_revalidation_takes_the_stale_one_away),
        CASE(a_confirmed_object_keeps_its_tags),
        CASE(rfc9111_3_2_a_304_replaces_the_tags_of_its_own_fields),
        CASE(nobody_finds_after_a_purge_what_it_took_away),
    };
    return SK_RUN_TESTS(tests);
}
