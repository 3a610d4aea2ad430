"""Cards' Markdown as HTML that nothing in a card can break out of.

Raw HTML is shown as text; links lead to http, https, mailto or inside the page; pictures come from the card's own
repository alone, any other becomes a link. Two things that cards use are let through by their exact form: comments
vanish, and `<details>` with `<summary>` folds. Mermaid is drawn where `flowchart` can, else it stays the code that it
is; `> [!NOTE]` and its like are called what they are.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup, escape

from zoo.cards import flowchart

__all__ = ["as_html"]

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FOLD = re.compile(r"<details>|</details>|<summary>([^<>]*)</summary>")
_ALERT = re.compile(r"\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]\s*")
_SCHEMES = ("http", "https", "mailto")


def as_html(text: str, picture: Callable[[str], str], file: Callable[[str], str]) -> Markup:
    """A card below its metadata, rendered.

    `picture`, `file`: the address of a file of the repository, to be shown or to be followed, for its quoted path.
    """
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "maxNesting": 20})
    parser.enable(["table", "strikethrough"])
    parser.validateLink = _is_safe  # type: ignore[method-assign,assignment]  # its documented way
    parser.add_render_rule("image", _image_rule(picture))
    parser.add_render_rule("link_open", _link_rule(file))
    parser.add_render_rule("fence", _fence_rule)
    tokens = parser.parse(_COMMENT.sub("", text), {})
    _fold(tokens)
    _call(tokens)
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704 - raw HTML is off, links are checked


def _is_safe(address: str) -> bool:
    """Whether a link may be followed. Blanks and control characters inside a scheme are not looked through."""
    try:
        scheme = urlsplit(unquote(address).strip()).scheme.lower()
    except ValueError:
        return False
    return scheme in _SCHEMES or (not scheme and ":" not in unquote(address).partition("/")[0])


def _inside(address: str) -> str | None:
    """The path of a file of the repository that an address means, quoted; None when it means something else."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    path = unquote(parts.path).removeprefix("./")
    if parts.scheme or parts.netloc or not path or path.startswith("/") or ".." in path.split("/"):
        return None
    return quote(path)


def _link_rule(file: Callable[[str], str]) -> Callable[..., str]:
    def rule(
        renderer: RendererHTML, tokens: Sequence[Token], place: int, options: OptionsDict, environment: dict[str, Any]
    ) -> str:
        if path := _inside(str(tokens[place].attrGet("href") or "")):
            tokens[place].attrSet("href", file(path))
        tokens[place].attrSet("rel", "noopener noreferrer nofollow")
        return renderer.renderToken(tokens, place, options, environment)

    return rule


def _image_rule(picture: Callable[[str], str]) -> Callable[..., str]:
    def rule(
        renderer: RendererHTML, tokens: Sequence[Token], place: int, options: OptionsDict, environment: dict[str, Any]
    ) -> str:
        source, words = str(tokens[place].attrGet("src") or ""), tokens[place].content or "picture"
        if path := _inside(source):
            return str(Markup('<img src="{}" alt="{}">').format(picture(path), words))
        return str(Markup('<a href="{}" rel="noopener noreferrer nofollow">{}</a>').format(source, words))

    return rule


def _fence_rule(
    renderer: RendererHTML, tokens: Sequence[Token], place: int, options: OptionsDict, environment: dict[str, Any]
) -> str:
    token = tokens[place]
    drawn = flowchart.draw(token.content) if token.info.strip() == "mermaid" else None
    return str(drawn) if drawn else str(RendererHTML.fence(renderer, tokens, place, options, environment))


def _call(tokens: list[Token]) -> None:
    """Have a quotation that begins with `[!WARNING]` or its like say so in bold, as the Hub does."""
    for place, token in enumerate(tokens):
        if token.type != "inline" or place < 2 or tokens[place - 2].type != "blockquote_open":
            continue
        first = (token.children or [Token("text", "", 0)])[0]
        match = _ALERT.match(first.content)
        if match is None:
            continue
        tokens[place - 2].attrSet("class", "alert")
        first.content = first.content[match.end() :]
        name = Token("text", "", 0, content=match[1].title())
        token.children = [
            Token("strong_open", "strong", 1), name, Token("strong_close", "strong", -1), *(token.children or ()),
        ]  # fmt: skip


def _fold(tokens: list[Token]) -> None:
    """Turn paragraphs that are nothing but `<details>`, `<summary>words</summary>` or `</details>` into those.

    Only when they open and close in order: otherwise a card could fold away the rest of the page.
    """
    places = [
        place
        for place, token in enumerate(tokens)
        if token.type == "inline" and token.level == 1 and not _FOLD.sub("", token.content).strip()
    ]
    marks = [mark[0] for place in places for mark in _FOLD.finditer(tokens[place].content)]
    if not _in_order([mark for mark in marks if not mark.startswith("<summary>")]):
        return
    for place in reversed(places):
        html = "".join(
            f"<summary>{escape(mark[1])}</summary>" if mark[1] is not None else mark[0]
            for mark in _FOLD.finditer(tokens[place].content)
        )
        tokens[place - 1 : place + 2] = [Token("html_block", "", 0, content=html + "\n")]


def _in_order(marks: Sequence[str]) -> bool:
    """Whether every fold that opens closes, and none closes that is not open."""
    depth = 0
    for mark in marks:
        depth += 1 if mark == "<details>" else -1
        if depth < 0:
            return False
    return depth == 0
