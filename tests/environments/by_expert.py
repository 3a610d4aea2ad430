"""The rest of an episode on the phone, as its expert plays it."""

_MOST_STEPS = 200


def solved(environment):
    """The expert's actions from here to its `finish`."""
    actions = []
    while not environment.done:
        assert len(actions) < _MOST_STEPS, f"{environment.task.id}: the expert goes round in circles"
        actions.append(environment.expert().action)
        environment.act(actions[-1])
    return actions
