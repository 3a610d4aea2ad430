"""The web page, read with a parser: what is shown, and that no card runs a script or reaches out."""

import base64
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hub_requests import Answer, ask
from huggingface_hub import HfApi

from zoo.cards.markdown import as_html
from zoo.hub import Endpoint

HOSTILE = """---
title: "<script>alert(0)</script>"
---
# Card <script>alert(1)</script>

<script src="https://evil.example/x.js"></script>
<img src=x onerror=alert(2)>
<a href="javascript:alert(3)">x</a>
<iframe src="https://evil.example"></iframe>
<style>body { display: none }</style>
<svg onload=alert(4)></svg>

[a](javascript:alert(5)) [b](JaVaScRiPt:alert(6)) [c](data:text/html;base64,PHNjcmlwdD4=) [d](vbscript:x)
[e](&#106;avascript:alert(7)) [f](java\tscript:alert(8)) [g](%6Aavascript:alert(9)) <javascript:alert(10)>
[h]( javascript:alert(11)) [i](//evil.example) [j](file:///etc/passwd)
![p](https://evil.example/pixel.png) ![q](../../../../api/whoami-v2) ![r](//evil.example/p.png)
![" onerror="alert(12)](x.png "\\" onerror=\\"alert(13)") ![s](/login) ![t](data:image/svg+xml;base64,PHN2Zz4=)

| a | b |
|---|---|
| <b onclick=alert(14)>x</b> | `<script>` |

```html" onclick="alert(15)
<script>alert(16)</script>
```

```mermaid
graph LR; A-->B
```

<details>
<summary>Fold <script>alert(17)</script></summary>

inside

</details>
"""

ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "nav", "a", "strong", "span", "h1", "h2", "h3", "p", "article",
    "table", "thead", "tbody", "tr", "th", "td", "code", "pre", "img", "em", "ul", "ol", "li", "details", "summary",
    "blockquote", "hr", "br", "s",
}  # fmt: skip
ATTRIBUTES = {"href", "src", "alt", "title", "class", "rel", "lang", "charset", "name", "content", "start", "style"}


class Page(HTMLParser):
    """Every element of a page with its attributes, and its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def values(self, attribute: str) -> list[str]:
        return [str(attributes[attribute]) for _, attributes in self.elements if attribute in attributes]


@pytest.fixture
def card(api: HfApi, endpoint: Endpoint) -> Answer:
    api.create_repo("a/b")
    api.upload_file(path_or_fileobj=HOSTILE.encode(), path_in_repo="README.md", repo_id="a/b")
    return ask(endpoint, "GET", "/a/b")


def test_nothing_of_a_hostile_card_can_run(card: Answer) -> None:
    page = Page(card.body.decode())
    assert card.status == 200
    assert {tag for tag, _ in page.elements} <= ALLOWED
    assert {name for _, attributes in page.elements for name in attributes} <= ATTRIBUTES
    for address in [*page.values("href"), *page.values("src")]:
        assert urlsplit(address).scheme in ("", "http", "https", "mailto"), address
    assert not any(address.startswith("//") for address in page.values("src"))
    assert "alert(1)" in "".join(page.words)


def test_the_policy_lets_no_script_run_whatever_got_through(card: Answer) -> None:
    policy = dict(part.strip().split(" ", 1) for part in card.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert not any(name.startswith("script") or name in ("connect-src", "object-src") for name in policy)
    assert policy["img-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert card.headers["x-content-type-options"] == "nosniff"


def test_pictures_come_from_the_cards_own_repository_alone(card: Answer) -> None:
    sources = Page(card.body.decode()).values("src")
    assert len(sources) == 1
    assert sources[0].startswith("/a/b/picture/")
    assert sources[0].endswith("/x.png")


def test_mermaid_stays_code(card: Answer) -> None:
    page = Page(card.body.decode())
    assert ("code", {"class": "language-mermaid"}) in page.elements
    assert any("graph LR; A-->B" in words for words in page.words)


def rendered(text: str) -> Page:
    return Page(str(as_html(text, lambda path: f"/r/{path}", lambda path: f"/f/{path}")))


def test_folds_open_and_close_in_order_or_stay_text() -> None:
    good = rendered(
        "<!-- note -->\n<details>\n<summary>The recipe & more</summary>\n\n```yaml\na: 1\n```\n\n</details>\n"
    )
    assert [tag for tag, _ in good.elements] == ["details", "summary", "pre", "code"]
    assert "The recipe & more" in good.words
    assert "note" not in "".join(good.words)
    for bad in (
        "</details>\n\n<details>",
        "<details>\n\ntext",
        "x</details>",
        "<details open onclick=a>\n\n</details>",
    ):
        assert not any(tag == "details" for tag, _ in rendered(bad).elements), bad


def test_what_a_card_is_made_of_is_rendered() -> None:
    page = rendered(
        "# T\n\n| a |\n|---|\n| 1 |\n\n[l](https://example.org/a:b) [m](docs/x.md) ![p](plots/ä b.svg)\n\n~~x~~"
    )
    assert {"h1", "table", "td", "a", "s"} <= {tag for tag, _ in page.elements}
    assert page.values("href") == ["https://example.org/a:b", "/f/docs/x.md"]
    assert rendered("![p](<plots/ä b.svg>)").values("src") == ["/r/plots/%C3%A4%20b.svg"]


def test_repositories_and_files_are_listed(api: HfApi, endpoint: Endpoint) -> None:
    api.create_repo("a/b")
    api.create_repo("a/rows", repo_type="dataset")
    api.upload_file(path_or_fileobj=b"x", path_in_repo="sub/zeichen 日本.txt", repo_id="a/b")
    api.create_tag("a/b", tag="v1")
    page = Page(ask(endpoint, "GET", "/").body.decode())
    assert {"/a/b", "/datasets/a/rows"} <= set(page.values("href"))
    only = Page(ask(endpoint, "GET", "/?kind=datasets").body.decode()).values("href")
    assert "/datasets/a/rows" in only
    assert "/a/b" not in only
    files = Page(ask(endpoint, "GET", "/a/b?revision=v1").body.decode()).values("href")
    address = next(href for href in files if "zeichen" in href)
    assert ask(endpoint, "GET", address).body == b"x"
    assert "?revision=v1" in "".join(files)
    assert ask(endpoint, "GET", "/datasets/a/rows").status == 200
    assert ask(endpoint, "GET", "/a/absent").status == 404
    assert ask(endpoint, "GET", "/a/b?revision=absent").status == 404


def test_private_pages_need_a_token_as_the_password(api: HfApi, endpoint: Endpoint) -> None:
    api.create_repo("a/secret", private=True)
    api.upload_file(path_or_fileobj=b"png", path_in_repo="p.png", repo_id="a/secret")
    password = {"Authorization": "Basic " + base64.b64encode(f"me:{endpoint.token}".encode()).decode()}
    wrong = {"Authorization": "Basic " + base64.b64encode(b"me:hf_wrong").decode()}
    picture = f"/a/secret/picture/{api.model_info('a/secret').sha}/p.png"
    for headers in ({}, wrong, {"Authorization": "Basic !"}):
        assert b"a/secret" not in ask(endpoint, "GET", "/", headers=headers).body
        assert ask(endpoint, "GET", "/a/secret", headers=headers).status == 404
        assert ask(endpoint, "GET", picture, headers=headers).status == 404
        assert ask(endpoint, "GET", "/login", headers=headers).status == 401
    assert b"a/secret" in ask(endpoint, "GET", "/", headers=password).body
    assert ask(endpoint, "GET", "/a/secret", headers=password).status == 200
    assert ask(endpoint, "GET", picture, headers=password).body == b"png"
    assert ask(endpoint, "GET", "/login", headers=password).status == 303


def test_a_browsers_password_changes_nothing(api: HfApi, endpoint: Endpoint) -> None:
    """Browsers send it along with what other pages make them ask for."""
    password = {"Authorization": "Basic " + base64.b64encode(f"me:{endpoint.token}".encode()).decode()}
    body = b'{"organization": "a", "name": "x"}'
    assert ask(endpoint, "POST", "/api/repos/create", body, headers=password).status == 401
    assert not api.repo_exists("a/x")


def test_pictures_have_their_type_and_nothing_else_has(api: HfApi, endpoint: Endpoint) -> None:
    api.create_repo("a/b")
    for name in ("p.svg", "p.png", "page.html"):
        api.upload_file(path_or_fileobj=b"<svg><script>alert(1)</script></svg>", path_in_repo=name, repo_id="a/b")
    svg = ask(endpoint, "GET", "/a/b/picture/main/p.svg")
    assert svg.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in svg.headers["content-security-policy"]
    assert "default-src 'none'" in svg.headers["content-security-policy"]
    assert ask(endpoint, "GET", "/a/b/picture/main/p.png").headers["content-type"] == "image/png"
    assert ask(endpoint, "GET", "/a/b/picture/main/page.html").status == 404
    raw = ask(endpoint, "GET", "/a/b/resolve/main/page.html")
    assert raw.headers["content-type"].startswith("application/octet-stream")
    assert raw.headers["x-content-type-options"] == "nosniff"


def test_no_script_of_a_card_runs_in_a_browser(card: Answer, endpoint: Endpoint, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium on this machine")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=2000",
    ]
    command = [browser, *options, "--dump-dom", f"{endpoint.url}/a/b"]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=120)
    page = Page(outcome.stdout)
    assert outcome.returncode == 0, outcome.stderr
    assert "script" not in {tag for tag, _ in page.elements}
    assert "Card <script>alert(1)</script>" in "".join(page.words)
