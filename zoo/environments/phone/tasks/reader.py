"""Tasks in Reader: shelves, pages, bookmarks, and facts about books."""

from zoo.environments.phone.apps.reader import BOOKS, PAGE, SHELVES
from zoo.environments.phone.collection import named
from zoo.environments.phone.state import Data
from zoo.environments.phone.tasks.records import gone, look_at, preference_templates, there, unlike
from zoo.environments.phone.tasks.template import Look, Template, Values, pool
from zoo.environments.phone.values import BOOKS as TITLES
from zoo.environments.phone.values import PAGES

__all__ = ["TEMPLATES"]

_BOOK, _PAGE = pool("title", TITLES), pool("page", PAGES)


def _page(values: Values) -> int:
    return int(values["page"])


def _look_at_page(data: Data, values: Values) -> Look:
    book = named(data["books"], values["title"])
    places = (("reader", ""), ("reader/book", book.title), ("reader/page", book.title))
    return Look(places, f"Page {book.page} of {book.pages}", str(book.page))


TEMPLATES = (
    Template(
        "reader.favourite",
        "operation",
        ("Make the book {title} a favourite.", "Mark {title} as a favourite book."),
        (_BOOK,),
        prepare=there(BOOKS, favourite=False),
        change=there(BOOKS, favourite=True),
    ),
    Template(
        "reader.unfavourite",
        "operation",
        ("The book {title} is no favourite any more: change it.", "Remove {title} from the favourite books."),
        (_BOOK,),
        prepare=there(BOOKS, favourite=True),
        change=there(BOOKS, favourite=False),
        held_out=True,
    ),
    Template(
        "reader.shelve",
        "operation",
        ("Move the book {title} to the shelf {shelf}.", "Put {title} on the shelf {shelf}."),
        (_BOOK, pool("shelf", SHELVES)),
        prepare=there(BOOKS, shelf=unlike(SHELVES, "shelf")),
        change=there(BOOKS, shelf="{shelf}"),
    ),
    Template(
        "reader.remove",
        "operation",
        ("Delete the book {title}.", "Remove {title} from the books."),
        (_BOOK,),
        prepare=there(BOOKS),
        change=gone(BOOKS),
    ),
    Template(
        "reader.go_to",
        "operation",
        ("Open {title} at page {page}.", "Go to page {page} of the book {title}."),
        (_BOOK, _PAGE),
        prepare=there(BOOKS, page=3),
        change=there(BOOKS, page=_page),
    ),
    Template(
        "reader.next_page",
        "operation",
        ("Turn one page on in {title}.", "Go to the next page of {title}."),
        (_BOOK, _PAGE),
        prepare=there(BOOKS, page=_page),
        change=there(BOOKS, page=lambda values: _page(values) + 1),
    ),
    Template(
        "reader.two_pages_back",
        "operation",
        ("Turn two pages back in {title}.", "Go back two pages in the book {title}."),
        (_BOOK, _PAGE),
        prepare=there(BOOKS, page=_page),
        change=there(BOOKS, page=lambda values: _page(values) - 2),
        held_out=True,
    ),
    Template(
        "reader.bookmark",
        "operation",
        ("Set a bookmark where {title} is open.", "Bookmark the open page of {title}."),
        (_BOOK, _PAGE),
        prepare=there(BOOKS, page=_page, bookmark=0),
        change=there(BOOKS, bookmark=_page),
    ),
    Template(
        "reader.bookmark_page",
        "operation",
        ("Bookmark page {page} of {title} and leave it open there.", "Go to page {page} of {title} and bookmark it."),
        (_BOOK, _PAGE),
        prepare=there(BOOKS, page=3, bookmark=0),
        change=there(BOOKS, page=_page, bookmark=_page),
    ),
    Template(
        "reader.remove_bookmark",
        "operation",
        ("Remove the bookmark of {title} on the open page.", "Take the bookmark out of {title}; it is on this page."),
        (_BOOK, _PAGE),
        prepare=there(BOOKS, page=_page, bookmark=_page),
        change=there(BOOKS, bookmark=0),
    ),
    Template(
        "reader.author",
        "query",
        ("Who wrote {title}?", "Which author is the book {title} by?"),
        (_BOOK,),
        prepare=there(BOOKS),
        look=look_at(BOOKS, "author"),
    ),
    Template(
        "reader.pages",
        "query",
        ("How many pages does {title} have?", "How long is {title}, in pages?"),
        (_BOOK,),
        prepare=there(BOOKS),
        look=look_at(BOOKS, "pages"),
    ),
    Template(
        "reader.open_page",
        "query",
        ("At which page is {title} open?", "Which page of {title} am I on?"),
        (_BOOK, _PAGE),
        prepare=there(BOOKS, page=_page),
        look=_look_at_page,
    ),
    Template(
        "reader.shelf",
        "query",
        ("On which shelf is {title}?", "What shelf is the book {title} on?"),
        (_BOOK, pool("shelf", SHELVES)),
        prepare=there(BOOKS, shelf="{shelf}"),
        look=look_at(BOOKS, "shelf"),
    ),
    *preference_templates(PAGE, "Reader"),
)
