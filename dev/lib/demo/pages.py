"""This project's Markdown as a small site of HTML pages. Knows the Markdown that our own documents use: headings,
paragraphs, code, lists, tables, quotes, images, links, emphasis. Not for anybody else's."""

import html
import re
import shutil
from pathlib import Path

STYLE = """\
body { font: 17px/1.55 system-ui, sans-serif; max-width: 54rem; margin: 2rem auto; padding: 0 1rem; color: #1d2b33; }
nav { border-bottom: 1px solid #cdd8dd; padding-bottom: .5rem; } nav a { margin-right: 1rem; }
a { color: #06617f; } h1, h2, h3 { line-height: 1.2; color: #0d3b4f; }
pre { background: #eef3f5; padding: .8rem 1rem; overflow-x: auto; } code { font-size: .92em; }
table { border-collapse: collapse; } td, th { border: 1px solid #cdd8dd; padding: .25rem .6rem; text-align: left; }
img { max-width: 100%; } .gallery img { width: 160px; margin: 3px; }
blockquote { border-left: 3px solid #cdd8dd; padding-left: 1rem; }
"""

PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><link rel="stylesheet" href="/style.css"></head>
<body><nav>{menu}</nav>
{body}
</body></html>
"""


def inline(text):
    """Code spans first, so that nothing inside them is taken for anything else."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(f"<code>{html.escape(part[1:-1])}</code>" if part.startswith("`") and len(part) > 2
                   else _marks(html.escape(part)) for part in parts)


def _marks(text):
    text = re.sub(r"!\[([^\]]*)\]\(([^)\s]+)\)", lambda m: f'<img src="{_address(m[2])}" alt="{m[1]}">', text)
    text = re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", lambda m: f'<a href="{_address(m[2])}">{m[1]}</a>', text)
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"(?<![\w*])\*([^*\s][^*]*)\*", r"<em>\1</em>", text)


def _address(target):
    """Pages lie side by side on the site, whatever folder their source is in."""
    if re.match(r"[a-z]+:", target):
        return target
    path, mark, anchor = target.partition("#")
    name = path.rpartition("/")[2]
    return (f"/{re.sub(r'[.]md$', '.html', name)}" if name else "") + mark + anchor


class Renderer:
    def __init__(self, text):
        self.lines = text.split("\n")
        self.at = 0
        self.out = []

    def render(self):
        while self.at < len(self.lines):
            self._block(self.lines[self.at])
        return "\n".join(self.out)

    def _take(self, belongs):
        taken = []
        while self.at < len(self.lines) and belongs(self.lines[self.at]):
            taken.append(self.lines[self.at])
            self.at += 1
        return taken

    def _block(self, line):
        if not line.strip():
            self.at += 1
        elif line.startswith("```"):
            self._fence()
        elif line.startswith("    "):
            self._code(self._take(lambda each: each.startswith("    ") or not each.strip()), 4)
        elif match := re.match(r"(#{1,4}) (.*)", line):
            self.at += 1
            level = len(match[1])
            anchor = re.sub(r"[^a-z0-9]+", "-", match[2].lower()).strip("-")
            self.out.append(f'<h{level} id="{anchor}">{inline(match[2])}</h{level}>')
        elif line.startswith("|"):
            self._table(self._take(lambda each: each.startswith("|")))
        elif re.match(r"([-*]|\d+\.) ", line):
            self._list(line)
        elif line.startswith(">"):
            quoted = "\n".join(each[1:].lstrip() for each in self._take(lambda each: each.startswith(">")))
            self.out.append(f"<blockquote>{Renderer(quoted).render()}</blockquote>")
        else:
            self.out.append(f"<p>{inline(' '.join(self._take(self._is_text)))}</p>")

    @staticmethod
    def _is_text(line):
        return bool(line.strip()) and not re.match(r"#{1,4} |```|\||>|([-*]|\d+\.) ", line)

    def _fence(self):
        self.at += 1
        self._code(self._take(lambda each: not each.startswith("```")), 0)
        self.at += 1

    def _code(self, lines, indent):
        text = "\n".join(line[indent:] for line in lines).rstrip()
        self.out.append(f"<pre><code>{html.escape(text)}</code></pre>")

    def _table(self, lines):
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] for line in lines]
        out = ["<table>"]
        for number, row in enumerate(rows):
            if number == 1:
                continue  # the rule between head and body
            tag = "th" if number == 0 else "td"
            out.append("<tr>" + "".join(f"<{tag}>{inline(cell)}</{tag}>" for cell in row) + "</tr>")
        self.out.append("\n".join([*out, "</table>"]))

    def _list(self, line):
        ordered = line[0].isdigit()
        items = []
        while self.at < len(self.lines) and re.match(r"([-*]|\d+\.) ", self.lines[self.at]):
            first = re.sub(r"^([-*]|\d+\.) ", "", self.lines[self.at])
            self.at += 1
            items.append([first, *(each.strip() for each in self._take(lambda each: each.startswith("  ") and each.strip()))])
        tag = "ol" if ordered else "ul"
        self.out.append(f"<{tag}>" + "".join(f"<li>{inline(' '.join(item))}</li>" for item in items) + f"</{tag}>")


def title_of(text, path):
    match = re.search(r"^# (.+)$", text, re.MULTILINE)
    return match[1] if match else path.stem


def make_site(top, root, gallery):
    """Renders TOP's documents into ROOT; GALLERY is a list of image paths for a page of their own."""
    sources = [top / "README.md", top / "CONTRIBUTING.md", *sorted((top / "docs").glob("*.md"))]
    sources = [path for path in sources if path.exists()]
    texts = {path: path.read_text("utf-8") for path in sources}
    names = {path: "index" if path.name == "README.md" else path.stem for path in sources}
    titles = {path: title_of(texts[path], path) for path in sources}
    menu = "".join(f'<a href="/{names[path]}.html">{html.escape(titles[path])}</a>' for path in sources)
    menu += '<a href="/pictures.html">Pictures</a>'
    for path, text in texts.items():
        body = Renderer(text).render()
        _write(root / f"{names[path]}.html", titles[path], menu, body)
    images = "".join(f'<a href="{name}"><img src="{name}" alt=""></a>' for name in gallery)
    _write(root / "pictures.html", "Pictures", menu, f'<h1>Skerries</h1><div class="gallery">{images}</div>')
    (root / "style.css").write_text(STYLE)
    for other in (top / "LICENSE", *sorted((top / "docs").glob("**/*.svg"))):
        if other.exists():
            shutil.copy(other, root / other.name)


def _write(path, title, menu, body):
    path.write_text(PAGE.format(title=html.escape(title), menu=menu, body=body), "utf-8")


if __name__ == "__main__":
    import sys

    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    make_site(Path(__file__).resolve().parents[3], target, [])
