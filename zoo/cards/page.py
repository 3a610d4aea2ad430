"""A card as one HTML file, as near to how the Hub shows it as a file without scripts can be.

Pictures that lie beside the card are carried in the file; nothing else is loaded, and nothing in a card can run: the
page forbids it to the browser. Not covered: drawing mermaid, whose source is shown instead.
"""

import base64
import html
import re
from pathlib import Path

__all__ = ["page"]

_HEAD = re.compile(r"\A---\s*\n(?P<yaml>.*?)\n---\s*\n", re.DOTALL)
_ALERT = re.compile(r"<blockquote>\s*<p>\[!(?P<kind>\w+)\]\s*", re.IGNORECASE)
_PICTURE = re.compile(r'<img src="(?P<path>[^":]+\.png)"')
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.6 system-ui, sans-serif; max-width: 58rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { border-bottom: 1px solid #8884; padding-bottom: .2em; }
table { border-collapse: collapse; display: block; overflow-x: auto; font-size: .9rem; }
th, td { border: 1px solid #8884; padding: .35em .7em; }
pre { background: #8881; padding: 1em; overflow-x: auto; border-radius: .4em; font-size: .85rem; }
code { background: #8881; padding: .1em .3em; border-radius: .2em; } pre code { background: none; padding: 0; }
img { max-width: 100%; background: white; border-radius: .4em; }
blockquote { border-left: .25em solid #d29922; margin: 1em 0; padding: .1em 1em; }
details.metadata { margin-bottom: 2rem; color: #888; }
"""


def page(card: str, folder: Path, title: str) -> str:
    """The page of a README.md. Pictures are looked for in its folder, and nowhere above it."""
    from markdown_it import MarkdownIt

    match = _HEAD.match(card)
    text = card[match.end() :] if match else card
    head = _folded(match["yaml"]) if match else ""
    body = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)
    body = _ALERT.sub(lambda found: f"<blockquote><p><strong>{found['kind'].title()}</strong><br>", body)
    body = _PICTURE.sub(lambda found: f'<img src="{_carried(folder, found["path"])}"', body)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f'<meta http-equiv=Content-Security-Policy content="{_POLICY}">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style><body>{head}{body}</body></html>\n"
    )


def _folded(metadata: str) -> str:
    return f"<details class=metadata><summary>metadata</summary><pre>{html.escape(metadata)}</pre></details>"


def _carried(folder: Path, path: str) -> str:
    file = (folder / path).resolve()
    if not file.is_relative_to(folder.resolve()) or not file.is_file():
        return ""
    return "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()
