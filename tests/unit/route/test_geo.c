#include "route/geo.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "mmdb_writer.h"

static char folder[] = "/tmp/skerry-geo-XXXXXX";
static char city[64], flat[64], damaged[64];

static void make_city(void) {
    struct mmdb_writer w = {.node_count = 0};
    mmdb_put_map(&w, 2);
    mmdb_put_text(&w, "country");
    mmdb_put_map(&w, 1);
    mmdb_put_text(&w, "iso_code");
    mmdb_put_text(&w, "DE");
    mmdb_put_text(&w, "location");
    mmdb_put_map(&w, 2);
    mmdb_put_text(&w, "latitude");
    mmdb_put_double(&w, 52.5);
    mmdb_put_text(&w, "longitude");
    mmdb_put_double(&w, 13.4);
    mmdb_network(&w, "192.0.2.0/24", 0);
    mmdb_network(&w, "2001:db8::/32", 0);
    mmdb_save(&w, city);
}

/* ASN and country in one flat map, numbers as text. */
static void make_flat(void) {
    struct mmdb_writer w = {.node_count = 0};
    mmdb_put_map(&w, 2);
    mmdb_put_text(&w, "country_code");
    mmdb_put_text(&w, "FR");
    mmdb_put_text(&w, "asn");
    mmdb_put_text(&w, "AS64500");
    size_t second = w.data_bytes;
    mmdb_put_map(&w, 1);
    mmdb_put_text(&w, "autonomous_system_number");
    mmdb_put_u32(&w, 64501);
    mmdb_network(&w, "192.0.2.128/25", 0);
    mmdb_network(&w, "198.51.100.0/24", second);
    mmdb_save(&w, flat);
}

static int set_up(void **state) {
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(city, sizeof city, "%s/city", folder);
    snprintf(flat, sizeof flat, "%s/flat", folder);
    snprintf(damaged, sizeof damaged, "%s/damaged", folder);
    make_city();
    make_flat();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(city);
    unlink(flat);
    unlink(damaged);
    return rmdir(folder);
}

static struct geo *loaded(const char *const *paths, size_t count) {
    struct geo *geo = NULL;
    struct sk_buf problems;
    sk_buf_init(&problems, 0);
    if (geo_load(paths, count, &geo, &problems)) fail_msg("%.*s", SK_STR_ARGS(sk_buf_str(&problems)));
    sk_buf_free(&problems);
    return geo;
}

static const struct geo_place *place(const struct geo *geo, const char *ip, uint8_t *bits) {
    struct io_prefix prefix;
    assert_ok(io_prefix_parse(sk_str_from_c(ip), &prefix));
    return geo_find(geo, prefix.ip, bits);
}

static void a_city_layout(void **state) {
    const char *paths[] = {city};
    struct geo *geo = loaded(paths, 1);
    uint8_t bits;
    (void)state;
    const struct geo_place *berlin = place(geo, "192.0.2.77", &bits);
    assert_string_equal(berlin->country, "DE");
    assert_true(berlin->latitude == 52.5 && berlin->longitude == 13.4);
    assert_int_equal(bits, 96 + 24);
    assert_ptr_equal(place(geo, "2001:db8:1::1", &bits), berlin);
    assert_int_equal(bits, 32);
    assert_string_equal(place(geo, "203.0.113.1", &bits)->country, "");
    assert_true(isnan(place(geo, "203.0.113.1", &bits)->latitude));
    geo_free(geo);
}

static void several_files_complete_each_other_and_the_first_wins(void **state) {
    const char *paths[] = {city, flat};
    struct geo *geo = loaded(paths, 2);
    uint8_t bits;
    (void)state;
    const struct geo_place *low = place(geo, "192.0.2.1", &bits), *high = place(geo, "192.0.2.200", &bits);
    assert_string_equal(low->country, "DE");
    assert_int_equal(low->as_number, 0);
    assert_string_equal(high->country, "DE");
    assert_int_equal(high->as_number, 64500);
    assert_int_equal(bits, 96 + 25);
    const struct geo_place *other = place(geo, "198.51.100.9", &bits);
    assert_string_equal(other->country, "");
    assert_int_equal(other->as_number, 64501);
    geo_free(geo);
}

struct counted {
    const struct geo *geo;
    size_t prefixes, placed;
};
static sk_err count_prefix(void *arg, const struct io_prefix *prefix, uint32_t id) {
    struct counted *counted = arg;
    counted->prefixes++;
    if (geo_place(counted->geo, id)->country[0]) counted->placed++;
    return SK_OK;
}
static void the_walk_gives_every_network(void **state) {
    const char *paths[] = {city};
    struct counted counted = {.geo = loaded(paths, 1)};
    (void)state;
    assert_ok(geo_walk(counted.geo, count_prefix, &counted));
    assert_int_equal(counted.placed, 2);
    geo_free((struct geo *)counted.geo);
}

/* The city file cut to BYTES, or with one byte changed. */
static void damage(size_t bytes, size_t change_at, uint8_t change) {
    uint8_t data[65536];
    FILE *file = fopen(city, "rb");
    size_t whole = fread(data, 1, sizeof data, file);
    fclose(file);
    if (change_at < whole) data[change_at] = (uint8_t)(data[change_at] ^ change);
    file = fopen(damaged, "wb");
    fwrite(data, 1, bytes < whole ? bytes : whole, file);
    fclose(file);
}

static void missing_cut_off_and_damaged_files_are_refused_or_harmless(void **state) {
    const char *paths[] = {damaged}, *none[] = {"/nonexistent/file"};
    struct geo *geo;
    struct sk_buf problems;
    (void)state;
    sk_buf_init(&problems, 0);
    assert_err(geo_load(none, 1, &geo, &problems), SK_ERR_INVALID);
    assert_true(
        sk_str_starts_with(sk_buf_str(&problems), SK_STR("/nonexistent/file: not a readable MMDB file")));
    for (size_t bytes = 0; bytes < 700; bytes += 50) {
        damage(bytes, SIZE_MAX, 0);
        assert_err(geo_load(paths, 1, &geo, &problems), SK_ERR_INVALID);
    }
    for (size_t at = 0; at < 1400; at += 3) {
        damage(SIZE_MAX, at, (uint8_t)(1 << at % 8));
        if (geo_load(paths, 1, &geo, &problems) == SK_OK) geo_free(geo);
    }
    sk_buf_free(&problems);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_city_layout),
        cmocka_unit_test(several_files_complete_each_other_and_the_first_wins),
        cmocka_unit_test(the_walk_gives_every_network),
        cmocka_unit_test(missing_cut_off_and_damaged_files_are_refused_or_harmless),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
