"""From the words of a test to the YAML of an edge.

Top-level keys are those of the file. `origins`, `origin_options`, `cache`, `vary`, `compress`, `cache_status`, `early_hints`, `hosts` and `name` belong to a single site
unless there are `sites`. An origin may be an Origin, a URL or a dictionary."""

import yaml

from . import protocol

SITE_KEYS = ("name", "hosts", "origins", "origin_options", "cache", "vary", "compress", "key", "rules",
             "cache_status", "early_hints")


def render(edge, words):
    words = dict(words)
    site = {key: words.pop(key) for key in SITE_KEYS if key in words}
    document = {
        "listen": [edge.listen],
        "admin": f"unix:{edge.admin_path}",
        "access_log": {"file": str(edge.access_log_path)},
        "memory": "64MiB",
        "threads": 2,
        "log_level": "debug",
        **words,
        "sites": [_site(each) for each in words.pop("sites", [site])],
    }
    if edge.other and "listeners" not in words and not document.get("certificates"):
        cert, key = protocol.files()
        document["listeners"] = [{"address": str(edge.other)}]
        document["certificates"] = [{"cert": str(cert), "key": str(key)}]
    return yaml.safe_dump({key: value for key, value in document.items() if value is not None}, sort_keys=False)


def _site(site):
    return {**site, "origins": [_origin(each) for each in site["origins"]]}


def _origin(origin):
    if isinstance(origin, dict):
        return {**origin, "url": getattr(origin["url"], "url", origin["url"])}
    return {"url": getattr(origin, "url", origin)}
