"""Tasks in Maps: save places, navigate, and facts about a place."""

from zoo.environments.phone.apps.maps import MODES, PAGE, way_to
from zoo.environments.phone.collection import named
from zoo.environments.phone.state import Data
from zoo.environments.phone.tasks.records import preference_templates
from zoo.environments.phone.tasks.template import Changes, Look, Pool, Template, Values, pool
from zoo.environments.phone.values import SPOTS

__all__ = ["SPOT", "TEMPLATES", "look_at_spot", "trip"]

_NAMES = tuple(name for names in SPOTS.values() for name in names)
SPOT = pool("spot", _NAMES)
_MODE = Pool(("mode",), tuple((mode,) for mode in MODES), closed=True)


def _saved(data: Data, values: Values) -> Changes:
    return {"saved": tuple(sorted({*data["saved"], values["spot"]}))}


def _not_saved(data: Data, values: Values) -> Changes:
    return {"saved": tuple(name for name in data["saved"] if name != values["spot"])}


def trip(name: str, mode: str = "Drive") -> Changes:
    """On the way somewhere."""
    return {"maps.destination": name, "maps.mode": mode}


def look_at_spot(data: Data, name: str, label: str, fact: str) -> Look:
    """A line of a place's screen."""
    return Look(way_to(data, name), f"{label}: {fact}", fact)


def _look_at_address(data: Data, values: Values) -> Look:
    return look_at_spot(data, values["spot"], "Address", named(data["spots"], values["spot"]).address)


def _look_at_closing(data: Data, values: Values) -> Look:
    return look_at_spot(data, values["spot"], "Closes at", named(data["spots"], values["spot"]).closes)


def _look_at_minutes(data: Data, values: Values) -> Look:
    minutes = named(data["spots"], values["spot"]).minutes * MODES[values["mode"]]
    places = (*way_to(data, values["spot"]), ("maps/directions", values["spot"]))
    return Look(places, f"{values['mode']}: {minutes} min", f"{minutes} min")


def _by(values: Values) -> Values:
    return {**values, "mode": values["mode"].lower()}


TEMPLATES = (
    Template(
        "maps.save",
        "operation",
        ("Save {spot} in Maps.", "Add {spot} to the saved places."),
        (SPOT,),
        prepare=_not_saved,
        change=_saved,
    ),
    Template(
        "maps.unsave",
        "operation",
        ("Remove {spot} from the saved places.", "Do not keep {spot} among the saved places."),
        (SPOT,),
        prepare=_saved,
        change=_not_saved,
    ),
    Template(
        "maps.navigate",
        "operation",
        ("Navigate to {spot} by car.", "Start driving directions to {spot}."),
        (SPOT,),
        change=lambda data, values: trip(values["spot"]),
    ),
    Template(
        "maps.navigate_by",
        "operation",
        ("Start navigation to {spot}, travelling by: {mode}.", "Take me to {spot}; way of travel: {mode}."),
        (SPOT, Pool(("mode",), (("Transit",), ("Walk",)), closed=True)),
        change=lambda data, values: trip(values["spot"], values["mode"]),
        show=_by,
    ),
    Template(
        "maps.redirect",
        "operation",
        ("I am navigating to {old}; go to {spot} by car instead.", "Change the trip to {old}: drive to {spot}."),
        (SPOT, pool("old", (*_NAMES[4:], *_NAMES[:4]))),
        prepare=lambda data, values: trip(values["old"], "Walk"),
        change=lambda data, values: trip(values["spot"]),
        held_out=True,
    ),
    Template(
        "maps.stop",
        "operation",
        ("Stop the navigation to {spot}.", "End the trip to {spot}."),
        (SPOT,),
        prepare=lambda data, values: trip(values["spot"]),
        change=lambda data, values: trip("", ""),
    ),
    Template(
        "maps.address",
        "query",
        ("What is the address of {spot}?", "At which address is {spot}?"),
        (SPOT,),
        look=_look_at_address,
    ),
    Template(
        "maps.closes",
        "query",
        ("When does {spot} close?", "Until what time is {spot} open?"),
        (SPOT,),
        look=_look_at_closing,
    ),
    Template(
        "maps.minutes",
        "query",
        ("How long does it take to {spot}, by {mode}?", "How many minutes is {spot} away by {mode}?"),
        (SPOT, _MODE),
        look=_look_at_minutes,
        show=_by,
        held_out=True,
    ),
    *preference_templates(PAGE, "Maps"),
)
