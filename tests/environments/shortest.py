"""A search over the phone's states, to hold the expert against: is there a shorter way than its own?"""

from zoo.actions import Action
from zoo.environments.phone.machine import blocking, touchable, transition, visible
from zoo.environments.phone.state import State


def _sensible(state, texts):
    """Everything that does something: each number, touched or held, both ways through a list, leave, and the texts that
    the task is about where a field has the focus. Short swipes never help a way that a long swipe is on, and waiting
    helps only where something loads."""
    _, elements = visible(state)
    for number, element in enumerate(touchable(elements), start=1):
        if element.on_tap:
            yield Action("tap", (number,))
        else:
            yield Action("swipe", (number, "up", "long"))
            yield Action("swipe", (number, "down", "long"))
        if element.on_hold:
            yield Action("long_press", (number,))
    if state.disturbances and blocking(state):
        yield Action("wait", (5,))
    if state.stack:
        yield Action("back")
        yield Action("home")
        if state.stack[-1].focus:
            yield from (Action("text", (text,)) for text in texts)


def _seen(state, look, elements):
    return state.stack[-1:] and state.stack[-1][:2] == look.places[-1] and look.label in {e.label for e in elements}


def can_be_done_in(steps, start, goal, texts, stray):
    """Whether some way of at most `steps` actions before `finish` ends in the goal.

    Without `stray`, ways over a stored value that is neither the first nor the wanted one are left out: nothing on the
    phone opens a shorter way by being changed, and it would have to be changed back.
    """
    frontier = {(_key(start), not goal.look): (start, not goal.look)}
    known = set(frontier)
    for depth in range(steps + 1):
        following = {}
        for state, seen in frontier.values():
            _, elements = visible(state)
            seen = bool(seen or _seen(state, goal.look, elements))
            if seen and state.data == goal.data:
                return True
            if depth == steps:
                continue
            for action in _sensible(state, texts):
                after = transition(state, action, elements)
                key = (_key(after), seen)
                if key not in known and (stray or _is_on_the_way(after, start, goal)):
                    known.add(key)
                    following[key] = (after, seen)
        frontier = following
    return False


def _key(state: State):
    return (tuple(state.data.values()), state.stack, state.disturbances)


def _is_on_the_way(state, start, goal):
    if state.data is start.data:
        return True
    return all(value in (start.data[key], goal.data[key]) for key, value in state.data.items())
