"""An origin's side of range requests: a resource that answers them rightly, and ways to answer them wrongly."""

import re
import threading

SPEC = re.compile(r"bytes=(\d*)-(\d*)\Z")


class Resource:
    """A script that serves BODY with ETAG by RFC 9110; what is set in `lie` it does otherwise. It remembers the
    Range and the If-Range of each request."""

    def __init__(self, body, etag='"v1"', max_age=3600, fields=()):
        self.body, self.etag, self.max_age, self.fields = body, etag, max_age, list(fields)
        self.lie = None  # called with (exchange, first, end, head): answers itself
        self.asked, self.conditions = [], []
        self.sent_bytes = 0
        self.lock = threading.Lock()

    def head_fields(self, *more):
        etag = [("ETag", self.etag)] if self.etag else []
        return [("Cache-Control", f"max-age={self.max_age}"), *etag, ("Accept-Ranges", "bytes"), *self.fields, *more]

    def range_of(self, value):
        match = SPEC.match(value or "")
        if not match or not (match[1] or match[2]):
            return None
        size = len(self.body)
        if not match[1]:
            return max(0, size - int(match[2])), size
        return int(match[1]), min(size, int(match[2]) + 1) if match[2] else size

    def __call__(self, x):
        fields = x.request.fields
        with self.lock:
            self.asked.append(fields.get("range"))
            self.conditions.append(fields.get("if-range"))
        if self.etag and fields.get("if-none-match") == self.etag:
            x.reply(status=304, reason="Not Modified", fields=self.head_fields())
            return
        part = self.range_of(fields.get("range"))
        if part and fields.get("if-range") not in (None, self.etag):
            part = None
        if part and self.lie:
            self.lie(x, *part, self.head_fields)
        elif part and part[0] >= len(self.body):
            x.reply(status=416, reason="Range Not Satisfiable", fields=[("Content-Range", f"bytes */{len(self.body)}")])
        elif part:
            self.send(x, 206, self.body[part[0]:part[1]],
                      self.head_fields(("Content-Range", f"bytes {part[0]}-{part[1] - 1}/{len(self.body)}")))
        else:
            self.send(x, 200, self.body, self.head_fields())

    def send(self, x, status, body, fields):
        with self.lock:
            self.sent_bytes += len(body)
        x.reply(body, status, "Partial Content" if status == 206 else "OK", fields)
