"""The Maps app: places of a town by kind or by search, saved places, and directions."""

from random import Random
from types import MappingProxyType
from typing import NamedTuple

from zoo.environments.phone import preferences
from zoo.environments.phone.app import App, Want
from zoo.environments.phone.collection import named
from zoo.environments.phone.preferences import Preference, Preferences
from zoo.environments.phone.screen import Element, Screen, button, field, note, row, switch
from zoo.environments.phone.state import Data, Place, State
from zoo.environments.phone.values import SPOTS, STREETS

__all__ = ["APP", "MODES", "PAGE", "Spot", "draw_spots", "way_to"]

MODES = MappingProxyType({"Drive": 1, "Transit": 2, "Walk": 5})
"""How to travel -> how much longer than by car it takes."""

PAGE = Preferences(
    "maps/settings",
    "Map settings",
    (
        Preference("maps.units", "Units", ("Kilometres", "Miles")),
        Preference("maps.view", "Map view", ("Standard", "Satellite", "Terrain", "Traffic")),
        Preference("maps.voice", "Voice guidance"),
        Preference("maps.tolls", "Avoid tolls"),
        Preference("maps.offline", "Offline maps"),
    ),
)


class Spot(NamedTuple):
    """One place of the town."""

    name: str
    kind: str
    address: str
    closes: str
    """HH:MM."""
    minutes: int
    """By car."""


def draw_spots(rng: Random) -> tuple[Spot, ...]:
    """The places of a town: their names are the same everywhere, the rest is not."""
    return tuple(
        Spot(
            name,
            kind,
            f"{rng.choice(STREETS)} {rng.randint(2, 99)}",
            f"{rng.randint(16, 22)}:{rng.choice(('00', '30'))}",
            rng.randint(3, 19),
        )
        for kind, names in SPOTS.items()
        for name in names
    )


def way_to(data: Data, name: str) -> tuple[tuple[str, str], ...]:
    """The nearest way from the launcher to a place: its list is shorter when it is saved."""
    if name in data["saved"]:
        return (("maps", ""), ("maps/saved", ""), ("maps/spot", name))
    return (("maps", ""), ("maps/kinds", ""), ("maps/kind", named(data["spots"], name).kind), ("maps/spot", name))


def _row(spot: Spot) -> Element:
    return row(spot.name, "open", "maps/spot", spot.name)


def _root(data: Data, place: Place) -> Screen:
    target = data["maps.destination"]
    trip = (note(f"To {target}: {data['maps.mode']}"), button("Stop", "maps.stop")) if target else ()
    links = (
        row("Saved places", "open", "maps/saved"),
        row("Explore", "open", "maps/kinds"),
        preferences.entry(PAGE),
    )
    return Screen("Maps", (field(place, "search", "Search"), button("Go", "maps.search"), *trip, *links))


def _kinds(data: Data, place: Place) -> Screen:
    return Screen("Explore", rows=tuple(row(kind, "open", "maps/kind", kind) for kind in SPOTS))


def _kind(data: Data, place: Place) -> Screen:
    return Screen(place.subject, rows=tuple(_row(spot) for spot in data["spots"] if spot.kind == place.subject))


def _saved(data: Data, place: Place) -> Screen:
    return Screen("Saved places", rows=tuple(row(name, "open", "maps/spot", name) for name in data["saved"]))


def _results(data: Data, place: Place) -> Screen:
    words = place.subject.casefold()
    found = tuple(_row(spot) for spot in data["spots"] if words in f"{spot.name} {spot.kind}".casefold())
    return Screen(f"Results: {place.subject}", () if found else (note("Nothing found"),), found)


def _spot(data: Data, place: Place) -> Screen:
    spot = named(data["spots"], place.subject)
    return Screen(
        spot.name,
        (
            note(f"Address: {spot.address}"),
            note(f"Closes at: {spot.closes}"),
            switch("Saved", spot.name in data["saved"], "maps.save", spot.name),
            button("Directions", "open", "maps/directions", spot.name),
        ),
    )


def _directions(data: Data, place: Place) -> Screen:
    minutes = named(data["spots"], place.subject).minutes
    picked = place.edit("mode", "Drive")
    modes = tuple(
        row(f"{mode}: {minutes * longer} min", "put", "mode", mode, status="selected" if mode == picked else "")
        for mode, longer in MODES.items()
    )
    return Screen(f"To {place.subject}", (*modes, button("Start", "maps.start", place.subject)))


def _search(state: State) -> State:
    words = state.stack[-1].edit("search").strip()
    return state.go(*state.stack, Place("maps/results", words)) if words else state


def _save(state: State, name: str) -> State:
    saved = state.data["saved"]
    changed = [one for one in saved if one != name] if name in saved else sorted((*saved, name))
    return state.store(saved=tuple(changed))


def _start(state: State, name: str) -> State:
    """The trip begins, and the map shows it."""
    mode = state.stack[-1].edit("mode", "Drive")
    return state.store(**{"maps.destination": name, "maps.mode": mode}).go(Place("maps"))


def _stop(state: State) -> State:
    return state.store(**{"maps.destination": "", "maps.mode": ""})


def _repair(data: Data, goal: Data) -> list[Want]:
    wants = []
    if any(data[key] != goal[key] for key in ("maps.destination", "maps.mode")):
        wants.append(_trip(data, goal["maps.destination"], goal["maps.mode"]))
    for name in sorted({*data["saved"]} ^ {*goal["saved"]}):
        wants.append(Want(way_to(data, name), ("maps.save", name)))
    return wants + preferences.repair(PAGE, data, goal)


def _trip(data: Data, name: str, mode: str) -> Want:
    if not name:
        return Want((("maps", ""),), ("maps.stop",))
    return Want((*way_to(data, name), ("maps/directions", name)), ("maps.start", name), (("mode", mode),))


APP = App(
    "Maps",
    {
        "maps": _root,
        "maps/kinds": _kinds,
        "maps/kind": _kind,
        "maps/saved": _saved,
        "maps/results": _results,
        "maps/spot": _spot,
        "maps/directions": _directions,
        **preferences.screens(PAGE),
    },
    {"maps.search": _search, "maps.save": _save, "maps.start": _start, "maps.stop": _stop},
    _repair,
)
