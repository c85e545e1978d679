"""From the words of a test to the YAML of an edge."""

import yaml


def render(edge, words):
    return yaml.safe_dump({})
