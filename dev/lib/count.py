#!/usr/bin/env python3
"""Counts test results.

count.py meson|junit FILE [AGAIN]   prints "PASSED FAILED SKIPPED", then what failed with the end of what it said. What a
                                    second try tells in AGAIN counts instead, and what it passed is named
count.py programs FILE              the names of meson's programs that failed, a line each"""
import json
import re
import sys
import xml.etree.ElementTree

CASE = re.compile(r"^(not ok|ok) \d+ - ?([^#\n]*)(# ?SKIP)?", re.M)
LINES = 60  # of what one failure said
TOLD = 10  # failures of which more than the name is told
LINE_LENGTH = 400


class Result:
    def __init__(self, kind, name, said=""):
        self.kind, self.name, self.said = kind, name, said


def meson_programs(path):
    """meson's testlog.json has a line for each program: {name: (whether it passed, its line)}."""
    lines = [json.loads(line) for line in open(path, encoding="utf-8", errors="replace")]
    return {line["name"]: (line["result"] in ("OK", "EXPECTEDFAIL"), line) for line in lines}


def meson(path):
    """{program: results of its cases}, told as TAP. A program that fails without saying which case (it was ended, it
    crashed, or a sanitizer spoke) is one failure more."""
    found = {}
    for program, (ok, line) in meson_programs(path).items():
        output = line.get("stdout", "")
        cases = CASE.findall(output)
        results = [Result("skipped" if skip else "passed" if verdict == "ok" else "failed", f"{program}: {name.strip()}")
                   for verdict, name, skip in cases]
        failed = [result for result in results if result.kind == "failed"]
        if ok and not cases:
            results.append(Result("passed", program))
        if not ok and not failed:
            failed.append(Result("failed", f"{program}: {line['result']}, {len(cases)} cases before"))
            results.append(failed[0])
        if not ok:
            failed[-1].said = output + line.get("stderr", "")
        found[program] = results
    return found


def junit(path):
    """{case: its one result}."""
    found = {}
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        bad = [child for child in case if child.tag in ("failure", "error")]
        kind = "failed" if bad else "skipped" if case.find("skipped") is not None else "passed"
        found.setdefault(name, []).append(Result(kind, name, "\n".join(child.text or "" for child in bad)))
    return found


def failures(results):
    return [result for each in results.values() for result in each if result.kind == "failed"]


def main(kind, path, again=None):
    if kind == "programs":
        for name, (ok, _) in meson_programs(path).items():
            if not ok:
                print(name.rpartition(" / ")[2])
        return
    read = {"meson": meson, "junit": junit}[kind]
    results, second = read(path), read(again) if again else {}
    first = failures(results)
    results.update(second)
    every = [result for each in results.values() for result in each]
    left = failures(results)
    print(*(sum(result.kind == wanted for result in every) for wanted in ("passed", "failed", "skipped")))
    for result in first:
        if result.name not in {other.name for other in left}:
            spoke = ", though a sanitizer spoke at the first" if "Sanitizer" in result.said else ""
            print(f"  passed at the second try: {result.name}{spoke}")
    for number, result in enumerate(left):
        print(f"  failed: {result.name}")
        for line in result.said.splitlines()[-LINES:] if number < TOLD else ():
            print(f"    | {line[:LINE_LENGTH]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
