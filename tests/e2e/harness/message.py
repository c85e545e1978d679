"""HTTP messages as bytes: building requests exactly, reading responses strictly."""

import re


class BadMessage(AssertionError):
    """The peer sent something that is not HTTP/1.1."""


class Fields(list):
    """(name, value) pairs in order, as received."""

    def get(self, name, default=None):
        values = self.all(name)
        return ", ".join(values) if values else default

    def all(self, name):
        return [value for key, value in self if key.lower() == name.lower()]

    def __contains__(self, name):
        return isinstance(name, tuple) and list.__contains__(self, name) or bool(self.all(name))

    def names(self):
        return [name.lower() for name, _ in self]

    def elements(self, name):
        """The elements of a list-based field without quoted commas."""
        return [part.strip() for value in self.all(name) for part in value.split(",") if part.strip()]


TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-9][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)\Z")


def parse_fields(block, strict=True):
    fields = Fields()
    for line in block.split(b"\r\n") if block else []:
        name, colon, value = line.partition(b":")
        if strict and (not colon or not TOKEN.match(name) or b"\r" in line or b"\n" in line or b"\0" in line):
            raise BadMessage(f"bad field line {line!r}")
        fields.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))
    return fields


def build(method="GET", target="/", fields=(), body=None, version="1.1", host="example.test", chunked=None):
    """A request as bytes. BODY gets a Content-Length unless FIELDS frame it; CHUNKED is a list of chunks."""
    lines = [f"{method} {target} HTTP/{version}"]
    names = {name.lower() for name, _ in fields}
    if host is not None and "host" not in names:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in fields]
    if chunked is not None and "transfer-encoding" not in names:
        lines.append("Transfer-Encoding: chunked")
    elif body is not None and not names & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return head + (b"".join(chunk(piece) for piece in chunked) + b"0\r\n\r\n" if chunked is not None else body or b"")


def chunk(data, extension=b""):
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


class Request:
    """A request as an origin received it."""

    def __init__(self, head, connection):
        self.raw_head = head
        self.connection = connection
        line, _, block = head.partition(b"\r\n")
        self.line = line.decode("latin-1")
        parts = self.line.split(" ")
        if len(parts) != 3:
            raise BadMessage(f"bad request line {line!r}")
        self.method, self.target, self.version = parts
        self.fields = parse_fields(block)
        self.body = None  # bytes once read to the end
        self.trailers = Fields()
        self.cut = False  # the peer went away before the body's end

    @property
    def path(self):
        return self.target.partition("?")[0]

    @property
    def length(self):
        """Content-Length, None when chunked, 0 when there is no body."""
        if self.fields.get("transfer-encoding", "").lower() == "chunked":
            return None
        return int(self.fields.get("content-length", "0"))

    def __repr__(self):
        return f"<{self.line}>"


class Response:
    """A response as a client received it."""

    def __init__(self, head):
        self.raw_head = head
        line, _, block = head.partition(b"\r\n")
        match = STATUS_LINE.match(line)
        if not match:
            raise BadMessage(f"bad status line {line!r}")
        self.status = int(match[1])
        self.reason = match[2].decode("latin-1")
        self.fields = parse_fields(block)
        self.informational = []  # the 1xx responses before it
        self.body = None
        self.trailers = Fields()
        self.complete = True
        if "content-length" in self.fields and "transfer-encoding" in self.fields:
            raise BadMessage(f"both Content-Length and Transfer-Encoding in {head!r}")
        if len(self.fields.all("content-length")) > 1:
            raise BadMessage(f"several Content-Length in {head!r}")

    def __getitem__(self, name):
        return self.fields.get(name)

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def closes(self):
        return "close" in [element.lower() for element in self.fields.elements("connection")]

    @property
    def framing(self):
        """'chunked', 'close' or the number of bytes."""
        if "transfer-encoding" in self.fields:
            if self["transfer-encoding"].lower() != "chunked":
                raise BadMessage(f"transfer coding {self['transfer-encoding']!r}")
            return "chunked"
        length = self["content-length"]
        if length is None:
            return "close"
        if not re.fullmatch(r"[0-9]+", length):
            raise BadMessage(f"Content-Length {length!r}")
        return int(length)

    @property
    def cache_status(self):
        """The parameters of our own member of Cache-Status (the last one), such as {'hit': True, 'ttl': 30}."""
        value = self["cache-status"]
        if value is None:
            return None
        parts = [part.strip() for part in value.split(",")[-1].split(";")]
        parameters = {"cache": parts[0]}
        for part in parts[1:]:
            name, equals, text = part.partition("=")
            parameters[name] = _bare_item(text) if equals else True
        return parameters

    @property
    def hit(self):
        return bool(self.cache_status and self.cache_status.get("hit"))

    @property
    def age(self):
        return int(self["age"])

    def __repr__(self):
        return f"<{self.status} {self.reason} {list(self.fields)} {len(self.body or b'')} bytes>"


def _bare_item(text):
    if re.fullmatch(r"-?[0-9]+", text):
        return int(text)
    return text.strip('"')
