"""A card as one HTML file, as near to how the Hub shows it as a file without scripts can be.

Pictures that lie beside the card are carried in the file; nothing else is loaded, and nothing in a card can run: see
`markdown`, and the page forbids it to the browser besides.
"""

import base64
import html
import re
from pathlib import Path
from urllib.parse import unquote

from zoo.cards.markdown import as_html

__all__ = ["STYLE", "page"]

_HEAD = re.compile(r"\A---\s*\n(?P<yaml>.*?)\n---\s*\n", re.DOTALL)
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
_TYPES = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg", ".webp": "image/webp"}

STYLE = """
:root { color-scheme: light dark; --edge: #8885; --soft: #8882; --link: #2563eb; }
@media (prefers-color-scheme: dark) { :root { --link: #7aa7ff; } }
body { font: 16px/1.6 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
h1, h2 { border-bottom: 1px solid var(--edge); padding-bottom: .2em; line-height: 1.25; }
table { border-collapse: collapse; display: block; overflow-x: auto; max-width: 100%; font-size: .9em; }
th, td { border: 1px solid var(--edge); padding: .3rem .6rem; vertical-align: top; overflow-wrap: normal; }
th { background: var(--soft); text-align: left; white-space: nowrap; }
td code, td[style*="right"] { white-space: nowrap; }
pre { background: var(--soft); padding: .8rem; overflow-x: auto; border-radius: .4rem; font-size: .85em; }
code { background: var(--soft); padding: .1em .3em; border-radius: .2em; font-size: .9em; }
pre code { background: none; padding: 0; font-size: 1em; overflow-wrap: normal; }
img { max-width: 100%; background: white; border-radius: .4rem; }
blockquote { border-left: .25em solid var(--edge); margin: 1em 0; padding: .1em 1em; }
blockquote.alert { border-color: #d29922; background: #d2992218; }
blockquote.alert strong:first-child { display: block; color: #b7791f; }
figure.drawing { margin: 1em 0; overflow-x: auto; }
figure.drawing svg { max-width: 100%; height: auto; min-width: 46rem; font: 12px system-ui, sans-serif; }
summary { cursor: pointer; }
"""
"""What a card looks like, light and dark, from a phone's width on."""


def page(card: str, folder: Path, title: str) -> str:
    """The page of a README.md. Pictures are looked for in its folder, and nowhere above it."""
    match = _HEAD.match(card)
    text = card[match.end() :] if match else card
    head = _folded(match["yaml"]) if match else ""
    body = as_html(text, lambda path: _carried(folder, unquote(path)), lambda path: _place(folder, unquote(path)))
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f'<meta http-equiv=Content-Security-Policy content="{_POLICY}">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style><body>{head}{body}</body></html>\n"
    )


def _folded(metadata: str) -> str:
    return f"<details class=metadata><summary>metadata</summary><pre>{html.escape(metadata)}</pre></details>"


def _inside(folder: Path, path: str) -> Path | None:
    file = (folder / path).resolve()
    return file if file.is_relative_to(folder.resolve()) and file.is_file() else None


def _carried(folder: Path, path: str) -> str:
    file = _inside(folder, path)
    if file is None or file.suffix.lower() not in _TYPES:
        return ""
    return f"data:{_TYPES[file.suffix.lower()]};base64," + base64.b64encode(file.read_bytes()).decode()


def _place(folder: Path, path: str) -> str:
    file = _inside(folder, path)
    return file.as_uri() if file else "#"
