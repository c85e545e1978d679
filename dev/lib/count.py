#!/usr/bin/env python3
"""Counts test results: count.py meson|junit FILE prints "PASSED FAILED SKIPPED", then what failed."""
import json
import re
import sys
import xml.etree.ElementTree

CASE = re.compile(r"^(not ok|ok) \d+ - ?([^#\n]*)(# ?SKIP)?", re.M)


def meson(path):
    """meson's testlog.json: a line for each program, whose output tells its cases as TAP. A program that
    fails without saying which case (it crashed, or a sanitizer spoke) is one failure more."""
    for line in open(path, encoding="utf-8", errors="replace"):
        program = json.loads(line)
        output = program.get("stdout", "")
        cases = CASE.findall(output)
        for verdict, name, skip in cases:
            yield ("skipped" if skip else "passed" if verdict == "ok" else "failed"), f"{program['name']}: {name}"
        ok = program["result"] in ("OK", "EXPECTEDFAIL")
        if ok and not cases:
            yield "passed", program["name"]
        if not ok and not any(verdict == "not ok" for verdict, _, _ in cases):
            yield "failed", f"{program['name']}: {program['result']}\n{output[-2000:]}{program.get('stderr', '')[-4000:]}"


def junit(path):
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        children = {child.tag for child in case}
        kind = "failed" if children & {"failure", "error"} else "skipped" if "skipped" in children else "passed"
        yield kind, name


results = list({"meson": meson, "junit": junit}[sys.argv[1]](sys.argv[2]))
print(*(sum(kind == wanted for kind, _ in results) for wanted in ("passed", "failed", "skipped")))
for kind, name in results:
    if kind == "failed":
        print(f"  failed: {name}")
