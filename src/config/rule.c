#include "config/rule.h"

#include "base/glob.h"
#include "config/config.h"

static bool pattern_matches(const struct config_pattern *pattern, sk_str path) {
    sk_str text = pattern->text;
    if (!sk_str_starts_with(path, sk_str_slice(text, 0, pattern->literal))) return false;
    if (pattern->literal == text.len) return path.len == text.len;
    if (pattern->literal + 1 == text.len && text.data[pattern->literal] == '*') return true;
    return sk_glob_match(text, path, SK_STR(""));
}

static bool host_matches(sk_str wanted, sk_str host) {
    if (!wanted.len || sk_str_eq(wanted, SK_STR("*"))) return true;
    if (!sk_str_starts_with(wanted, SK_STR("*."))) return sk_str_ieq(wanted, host);
    sk_str below = sk_str_slice(wanted, 1, wanted.len);
    return host.len > below.len && sk_str_ieq(sk_str_slice(host, host.len - below.len, host.len), below);
}

static bool matches(const struct config_rule *rule, sk_str host, sk_str path) {
    if (!host_matches(rule->host, host)) return false;
    for (uint32_t i = 0; i < rule->path_count; i++)
        if (pattern_matches(&rule->paths[i], path)) return true;
    return false;
}

static bool has_method(const struct config_rule *rule, sk_str method) {
    for (uint32_t i = 0; i < rule->method_count; i++)
        if (sk_str_eq(rule->methods[i], method)) return true;
    return rule->method_count == 0;
}

const struct config_rule *config_rule_for(const struct config_site *site, sk_str host, sk_str path,
                                          sk_str method) {
    for (uint32_t i = 0; i < site->rule_count; i++)
        if (has_method(&site->rules[i], method) && matches(&site->rules[i], host, path))
            return &site->rules[i];
    return &site->base;
}
