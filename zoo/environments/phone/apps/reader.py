"""The Reader app: a shelf of books, a page that is open, a bookmark in each."""

from random import Random
from typing import NamedTuple

from zoo.environments.phone import collection, preferences
from zoo.environments.phone.app import App, Want
from zoo.environments.phone.collection import Attribute, Collection, named, with_record
from zoo.environments.phone.preferences import Preference, Preferences
from zoo.environments.phone.screen import Element, Screen, button, field, note
from zoo.environments.phone.state import Data, Place, State
from zoo.environments.phone.values import AUTHORS

__all__ = ["APP", "BOOKS", "PAGE", "SHELVES", "Book"]

SHELVES = ("To read", "Reading", "Finished", "Wish list")
_TURNED = 3
"""Pages that are sooner turned than gone to."""

PAGE = Preferences(
    "reader/settings",
    "Reading settings",
    (
        Preference("reader.text_size", "Text size", ("Small", "Medium", "Large", "Huge")),
        Preference("reader.theme", "Page colour", ("White", "Sepia", "Grey", "Black")),
        Preference("reader.awake", "Keep screen on"),
        Preference("reader.sync", "Sync pages"),
    ),
)


class Book(NamedTuple):
    """One book; titles are unique."""

    title: str
    author: str
    pages: int
    page: int = 1
    """Where it is open."""
    bookmark: int = 0
    """A page; 0 for none."""
    shelf: str = SHELVES[0]
    favourite: bool = False


def _draw(rng: Random, title: str) -> Book:
    pages = rng.randint(190, 480)
    page, shelf = rng.randint(1, 19), rng.choice(SHELVES)
    return Book(title, rng.choice(AUTHORS), pages, page, 0, shelf, rng.random() < 0.3)


def _open_button(data: Data, book: Book) -> tuple[Element, ...]:
    return (button("Read", "open", "reader/page", book.title),)


BOOKS = Collection(
    "books",
    "reader/book",
    "book",
    Book,
    (
        Attribute("title", "Title", "fact"),
        Attribute("author", "Author", "fact"),
        Attribute("pages", "Pages", "fact"),
        Attribute("shelf", "Shelf", "choice", SHELVES),
        Attribute("favourite", "Favourite", "switch"),
    ),
    _draw,
    way=lambda book: (("reader", ""),),
    line=lambda book: book.title,
    buttons=_open_button,
)


def _root(data: Data, place: Place) -> Screen:
    return Screen("Reader", (preferences.entry(PAGE),), collection.rows(BOOKS, data["books"]))


def _page(data: Data, place: Place) -> Screen:
    book = named(data["books"], place.subject)
    if book is None:
        return Screen("No such book")
    marked = "Remove bookmark" if book.page == book.bookmark else "Add bookmark"
    return Screen(
        book.title,
        (
            note(f"Page {book.page} of {book.pages}"),
            note(f"Bookmark: {book.bookmark or 'none'}"),
            button("Next page", "reader.turn", book.title, "1"),
            button("Previous page", "reader.turn", book.title, "-1"),
            button("Go to page", "open", "reader/go", book.title),
            button(marked, "reader.mark", book.title),
        ),
    )


def _go_dialog(data: Data, place: Place) -> Screen:
    elements = (field(place, "page", "Page"), button("Go", "reader.go", place.subject), button("Cancel", "leave"))
    return Screen("Go to page", elements, kind="dialog")


def _changed(state: State, title: str, **values: int) -> State:
    books = state.data["books"]
    return state.store(books=with_record(books, named(books, title)._replace(**values)))


def _turn(state: State, title: str, pages: str) -> State:
    book = named(state.data["books"], title)
    return _changed(state, title, page=max(1, min(book.pages, book.page + int(pages))))


def _mark(state: State, title: str) -> State:
    book = named(state.data["books"], title)
    return _changed(state, title, bookmark=0 if book.bookmark == book.page else book.page)


def _go(state: State, title: str) -> State:
    """A page that the book does not have is refused: the dialog stays."""
    wanted = state.stack[-1].edit("page").strip()
    book = named(state.data["books"], title)
    if not wanted.isascii() or not wanted.isdigit() or not 1 <= int(wanted) <= book.pages:
        return state
    return _changed(state, title, page=int(wanted)).leave()


def _repair(data: Data, goal: Data) -> list[Want]:
    have = {book.title: book for book in data["books"]}
    wants = [
        want
        for book in goal["books"]
        if book.title in have and have[book.title] != book
        for want in _repair_page(have[book.title], book)
    ]
    present = {**goal, "books": tuple(book for book in goal["books"] if book.title in have)}
    return [*wants, *collection.repair(BOOKS, data, present), *preferences.repair(PAGE, data, goal)]


def _repair_page(have: Book, need: Book) -> list[Want]:
    """A bookmark is set, or taken away, on its own page; only then the book is opened where it should be."""
    wanted = need.bookmark or have.bookmark
    target = wanted if have.bookmark != need.bookmark else need.page
    reading = (("reader", ""), ("reader/book", have.title), ("reader/page", have.title))
    if have.page == target:
        return [Want(reading, ("reader.mark", have.title))] if have.bookmark != need.bookmark else []
    if abs(target - have.page) <= _TURNED:
        return [Want(reading, ("reader.turn", have.title, "1" if target > have.page else "-1"))]
    fields = (("page", str(target)),)
    return [Want((*reading, ("reader/go", have.title)), ("reader.go", have.title), fields)]


APP = App(
    "Reader",
    {
        "reader": _root,
        "reader/page": _page,
        "reader/go": _go_dialog,
        **collection.screens(BOOKS),
        **preferences.screens(PAGE),
    },
    {**collection.commands(BOOKS), "reader.turn": _turn, "reader.mark": _mark, "reader.go": _go},
    _repair,
)
