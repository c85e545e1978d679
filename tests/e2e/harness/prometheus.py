"""A strict reader of the Prometheus text format 0.0.4: what does not follow the grammar is an error."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{LABEL})(?:,{LABEL})*,?)?\}})? (\S+)(?: (-?[0-9]+))?\Z")
COMMENT = re.compile(rf"# (HELP|TYPE) ({NAME})(?: (.*))?\Z")
TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}
SUFFIXES = ("_bucket", "_sum", "_count")


class Metrics(dict):
    """{'name{label="x"}': value}, with .types and .helps by family."""

    def __init__(self, text):
        super().__init__()
        self.types, self.helps = {}, {}
        assert text.endswith("\n"), "the last line has no end"
        finished, family = set(), None
        for line in text[:-1].split("\n"):
            family = self._line(line, family, finished)
        self._check_histograms()

    def _line(self, line, family, finished):
        if line.startswith("#"):
            match = COMMENT.match(line)
            assert match, f"bad comment line {line!r}"
            kind, name, text = match.groups()
            table = self.helps if kind == "HELP" else self.types
            assert name not in table, f"second {kind} for {name}"
            assert kind == "HELP" or text in TYPES, f"bad type {line!r}"
            table[name] = text
        else:
            match = SAMPLE.match(line)
            assert match, f"bad sample line {line!r}"
            name = self.family(match[1])
            key = match[1] + (f"{{{match[2]}}}" if match[2] else "")
            assert key not in self, f"series {key} stands twice"
            self[key] = float(match[3])
        if name != family:
            assert name not in finished, f"the lines of {name} do not stand together"
            finished.add(family)
        return name

    def family(self, name):
        for suffix in SUFFIXES:
            if name.endswith(suffix) and self.types.get(name.removesuffix(suffix)) in ("histogram", "summary"):
                return name.removesuffix(suffix)
        return name

    def _check_histograms(self):
        for name in (name for name, kind in self.types.items() if kind == "histogram"):
            buckets = [(key, value) for key, value in self.items() if key.startswith(f"{name}_bucket{{")]
            values = [value for _, value in buckets]
            assert values == sorted(values), f"buckets of {name} do not grow"
            assert buckets and 'le="+Inf"' in buckets[-1][0], f"{name} has no +Inf bucket"
            assert values[-1] == self[f"{name}_count"], f"{name}: +Inf bucket and count differ"
            assert f"{name}_sum" in self, f"{name} has no sum"
