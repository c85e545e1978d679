"""The command line without a running edge: help, check, exit codes, and that the documents agree with the program."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from harness.edge import binary, execution_environment, run

pytestmark = pytest.mark.one_by_one

TOP = Path(__file__).resolve().parents[2]
TOPICS = ["configuration", "metrics", "reasons", "cache-status", "access-log", "admin", "signals", "exit-codes", "examples", "edge", "check", "help"]


def test_help_lists_every_topic():
    text = run("help").stdout
    for topic in TOPICS:
        assert topic in text


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_explains_itself(topic):
    done = run("help", topic)
    assert done.returncode == 0 and done.stderr == "" and len(done.stdout.splitlines()) > 2
    assert all(len(line) <= 160 for line in done.stdout.splitlines())


@pytest.mark.parametrize("path, words", [("timeouts.header", ["timeouts.header: a duration", "default 10s"]),
                                         ("sites.origins.url", ["sites[].origins[].url", "Required"]),
                                         ("sites[].origin_options.health_check", ["healthy_after", "expect_status"]),
                                         ("limits", ["limits.header_bytes", "431"])])
def test_help_of_one_key(path, words):
    done = run("help", "configuration", path)
    assert done.returncode == 0
    for word in words:
        assert word in done.stdout
    assert "admin_token" not in done.stdout


@pytest.mark.parametrize("arguments, words", [(["chekc"], ['"chekc"', '"check"']), (["help", "sgnals"], ['"sgnals"', '"signals"']),
                                              (["--vresion"], ["--vresion"]), (["help", "configuration", "timeout"], ['"timeout"']),
                                              (["help", "--html"], ["--html"]), (["help", "a", "b", "c"], ['"c"'])])
def test_a_wrong_word_is_2_and_what_is_near_is_told(arguments, words):
    done = run(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    for word in words:
        assert word in done.stderr


def test_a_full_disk_is_1():
    with open("/dev/full", "wb") as full:
        for arguments in (["help"], ["help", "configuration"], ["--version"], ["check", str(TOP / "examples/edge.yaml")]):
            done = subprocess.run([binary(), *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30,
                                  env={**os.environ, **execution_environment()})
            assert done.returncode == 1 and "No space left" in done.stderr, arguments


# --- check


def test_check_says_what_a_file_means():
    done = run("check", TOP / "examples/edge.yaml")
    assert done.returncode == 0
    for word in ("OK", "127.0.0.1:8080", "256 MiB", "www.example.com", "http://127.0.0.1:9000"):
        assert word in done.stdout


def test_check_of_several_files_tells_all_and_fails_if_one_is_wrong(tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("sites: 5\n")
    done = run("check", TOP / "examples/edge.yaml", wrong, TOP / "examples/edge-full.yaml")
    assert done.returncode == 2
    assert done.stdout.count(": OK") == 2 and "wrong.yaml:1:8: sites: found \"5\", expected a list" in done.stderr
    assert "1 problem" in done.stderr


def test_check_shows_no_secret(tmp_path):
    file = tmp_path / "edge.yaml"
    for token in ("short", "long-enough-to-be-a-token"):
        file.write_text(f"admin: 127.0.0.1:9\nadmin_token: {token}\nsites: [{{origin: \"http://127.0.0.1:1\"}}]\n")
        done = run("check", file)
        assert token not in done.stdout + done.stderr


def test_check_of_a_pipe():
    done = run("check", "/dev/stdin", input="sites: [{origin: \"http://127.0.0.1:1\"}]\n")
    assert done.returncode == 0


@pytest.mark.parametrize("piece, times", [("a", (4 << 20) + 1), ("- ", 100_000), ("a: ", 5000), ("&a ", 1000), ("{a: ", 100_000)])
def test_check_of_huge_nonsense_is_quick(tmp_path, piece, times):
    file = tmp_path / "edge.yaml"
    file.write_text(piece * times)
    assert run("check", file, timeout=5).returncode == 2


# --- documents


@pytest.mark.parametrize("file, arguments", [("docs/configuration.md", ["help", "configuration", "--markdown"]),
                                             ("docs/edge.schema.json", ["help", "configuration", "--json-schema"]),
                                             ("docs/metrics.md", ["help", "metrics", "--markdown"])])
def test_documents_are_what_the_program_says(file, arguments):
    assert run(*arguments).stdout == (TOP / file).read_text()


def test_every_metric_is_documented(new_edge, origin):
    """Of a running edge too: gauges are registered by whoever has them."""
    documented = set(re.findall(r"^\| `(\w+)` \| (\w+) \|", (TOP / "docs/metrics.md").read_text(), re.M))
    shown = {(name, kind) for name, kind in new_edge(origin).metrics().types.items()}
    assert shown <= documented, shown - documented


def fits(value, schema):
    """As much of JSON Schema as ours uses."""
    if "anyOf" in schema:
        return any(fits(value, each) for each in schema["anyOf"])
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool}
    if not any(isinstance(value, kinds[name]) if name in kinds else type(value) is int for name in types):
        return False
    if isinstance(value, dict):
        return set(schema.get("required", ())) <= set(value) <= set(schema["properties"]) and all(
            fits(each, schema["properties"][key]) for key, each in value.items())
    if isinstance(value, list):
        return len(value) <= schema["maxItems"] and all(fits(each, schema["items"]) for each in value)
    if isinstance(value, str):
        return bool(re.search(schema.get("pattern", ""), value)) and value in schema.get("enum", [value])
    return schema.get("minimum", value) <= value <= schema.get("maximum", value)


@pytest.mark.parametrize("name", ["edge.yaml", "edge-full.yaml"])
def test_examples_fit_the_schema(name):
    schema = json.loads((TOP / "docs/edge.schema.json").read_text())
    document = yaml.safe_load((TOP / "examples" / name).read_text())
    assert fits(document, schema)


@pytest.mark.parametrize("text", ["{}", "sites: 5", "sites: [{hots: [a]}]", "sites: []\nmemory: lots", "sites: []\nlog_level: loud",
                                  "sites: []\nthreads: 5000", "sites: []\ntimeouts: {header: soon}"])
def test_the_schema_refuses_what_check_refuses(tmp_path, text):
    schema = json.loads((TOP / "docs/edge.schema.json").read_text())
    assert not fits(yaml.safe_load(text), schema)
    file = tmp_path / "edge.yaml"
    file.write_text(text)
    assert run("check", file).returncode == 2
