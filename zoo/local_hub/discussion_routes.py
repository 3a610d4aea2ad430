"""Routes that list pull requests, so that they can be found; they cannot be commented on, merged or closed here."""

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from zoo.local_hub.call import USER, Call, route
from zoo.local_hub.refusal import Refused
from zoo.local_hub.state import Commit, Reference, Repository

__all__ = ["DISCUSSION_ROUTES"]


def _pulls(call: Call, found: Repository) -> list[tuple[int, Reference]]:
    """Number and head of every pull request, the newest first."""
    pulls = [ref for ref in call.hub.repositories.references(found) if ref.type == "pull"]
    return sorted(((int(ref.name.rpartition("/")[2]), ref) for ref in pulls), key=lambda pull: -pull[0])


def _shape(found: Repository, number: int, head: Commit) -> dict[str, object]:
    return {
        "num": number,
        "title": head.title,
        "author": {"name": USER},
        "createdAt": head.date,
        "status": "open",
        "isPullRequest": True,
        "repo": {"name": found.name, "type": found.kind},
    }


def _list(call: Call) -> Response:
    found = call.repository()
    wanted = call.query.get("type", "all") != "discussion" and call.query.get("status", "all") != "closed"
    wanted = wanted and call.query.get("author", USER) == USER
    pulls = _pulls(call, found) if wanted else []
    page = call.query.get("p", "0")
    start = int(page) * call.hub.page_items if page.isdecimal() and len(page) < 7 else 0
    shapes = [
        _shape(found, number, call.hub.repositories.resolve(found, ref.sha))
        for number, ref in pulls[start : start + call.hub.page_items]
    ]
    return JSONResponse({"discussions": shapes, "count": len(pulls), "start": start, "numClosedDiscussions": 0})


def _details(call: Call) -> Response:
    found = call.repository()
    for number, ref in _pulls(call, found):
        if str(number) == call.part("number"):
            head = call.hub.repositories.resolve(found, ref.sha)
            details: dict[str, object] = {
                "events": [],
                "filesWithConflicts": [],
                "changes": {"base": "refs/heads/main"},
                "diff": None,
            }
            return JSONResponse(_shape(found, number, head) | details)
    raise Refused(404, f"{found.name} has no pull request {call.part('number')!r}; discussions are not kept here.")


_DISCUSSIONS = "/api/{kinds}/{owner}/{name}/discussions"

DISCUSSION_ROUTES: list[Route] = [
    route("GET", _DISCUSSIONS, _list),
    route("GET", _DISCUSSIONS + "/{number}", _details),
]
