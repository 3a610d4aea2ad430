"""Routes about repositories as wholes: who am I, create, list, settings, branches, tags, Spaces."""

from collections.abc import Callable
from datetime import UTC, datetime

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from zoo.local_hub import names, protocol
from zoo.local_hub.call import USER, Call, route
from zoo.local_hub.front_matter import front_matter, metadata
from zoo.local_hub.names import kind
from zoo.local_hub.paging import paged
from zoo.local_hub.refusal import Refused
from zoo.local_hub.state import Entry, Repository

__all__ = ["REPOSITORY_ROUTES"]

_LARGE_PATTERNS = ("*.safetensors", "*.gguf", "*.onnx", "*.parquet", "*.arrow", "*.bin", "*.zip", "*.tar", "*.gz")
_GITATTRIBUTES = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in _LARGE_PATTERNS)


def _instance(call: Call) -> Response:
    return JSONResponse({"instance": call.hub.instance})


def _whoami(call: Call) -> Response:
    found = call.require_token()
    token = {"displayName": found.name, "role": found.role}
    return JSONResponse(
        {
            "type": "user",
            "id": USER,
            "name": USER,
            "fullname": USER,
            "email": None,
            "isPro": False,
            "orgs": [],
            "auth": {"type": "access_token", "accessToken": token},
        }
    )


def _validate_card(call: Call) -> Response:
    """Whether the block between the `---` lines of a README is a YAML mapping."""
    errors = []
    try:
        front_matter(call.text("content", ""))
    except ValueError as error:
        errors.append(f"The card's metadata {error}")
    body = {"errors": [{"message": message} for message in errors], "warnings": []}
    return JSONResponse(body, 400 if errors else 200)


def _create(call: Call) -> Response:
    call.require_write()
    of_kind, name = call.named_in_body()
    url = protocol.repository_url(call.base, of_kind, name)
    private = call.text("visibility", "public") == "private" or bool(call.json.get("private"))
    details = {"sdk": call.text("sdk", "static"), **_variables(call)} if of_kind == "space" else {}
    attributes = _GITATTRIBUTES.encode()
    files: dict[str, Entry] = {".gitattributes": protocol.small_entry(call.hub.blobs.put(attributes), attributes)}
    try:
        call.hub.repositories.create(of_kind, name, private, details, files)
    except Refused as refused:
        if refused.status == 409:  # huggingface_hub reads the url from here under exist_ok
            return JSONResponse({"error": refused.message, "url": url}, 409, {"X-Error-Message": refused.message})
        raise
    return JSONResponse({"url": url, "name": name})


def _variables(call: Call) -> dict[str, object]:
    given = call.json.get("variables") or []
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise Refused(400, "'variables' must be a list of objects with 'key' and 'value'.")
    return {"variables": {str(item.get("key")): str(item.get("value")) for item in given}}


def _delete(call: Call) -> Response:
    call.require_write()
    call.hub.repositories.delete(*call.named_in_body())
    return JSONResponse({})


def _move(call: Call) -> Response:
    call.require_write()
    owner, _, name = call.text("toRepo").partition("/")
    to = names.repository(owner, name)
    call.hub.repositories.move(kind(call.text("type", "model")), call.text("fromRepo"), to)
    return JSONResponse({})


def _settings(call: Call) -> Response:
    found = call.writable()
    private = call.json.get("private")
    if visibility := call.text("visibility", ""):
        private = visibility == "private"
    details = {}
    if "gated" in call.json:
        details["gated"] = call.json["gated"]
        if details["gated"] not in ("auto", "manual", False):
            raise Refused(400, f"'gated' must be 'auto', 'manual' or false, not {details['gated']!r}.")
    changed = call.hub.repositories.change(found, None if private is None else bool(private), details)
    return JSONResponse({"private": changed.private, "gated": changed.gated})


def _list(call: Call) -> Response:
    author, search = call.query.get("author", ""), call.query.get("search", "").lower()
    wanted = set(call.request.query_params.getlist("filter"))
    gated = call.query.get("gated", "").lower()
    found = []
    for repository in call.hub.repositories.all(call.kind):
        hidden = repository.private and not call.authenticated
        if hidden or (author and repository.name.partition("/")[0] != author) or search not in repository.name.lower():
            continue
        if gated in ("true", "false") and bool(repository.gated) != (gated == "true"):
            continue
        if not wanted or wanted <= _card_tags(call, repository):
            found.append(repository)
    return paged(call, found, lambda page: [_shape(call, repository) for repository in page])


def _shape(call: Call, found: Repository, revision: str = "main") -> dict[str, object]:
    commit = call.hub.repositories.resolve(found, revision)
    return protocol.info_shape(found, commit, metadata(call.hub.blobs, commit))


def _card_tags(call: Call, found: Repository) -> set[str]:
    shape = _shape(call, found)
    tags = shape["tags"]
    assert isinstance(tags, list)
    return {*tags, str(shape.get("pipeline_tag")), str(shape.get("library_name"))}


def _info(call: Call) -> Response:
    found = call.repository()
    commit = call.commit(found)
    return JSONResponse(protocol.info_shape(found, commit, metadata(call.hub.blobs, commit)))


def _references(call: Call) -> Response:
    return JSONResponse(protocol.refs_shape(call.hub.repositories.references(call.repository())))


def _history(call: Call) -> Response:
    found = call.repository()
    commits = call.hub.repositories.history(found, call.part("revision"))
    here = f"/api/{found.kind}s/{found.name}/commits/{commits[0].sha}"
    return paged(call, commits, lambda page: protocol.commits_shape(page, USER), here)


def _add_branch(call: Call) -> Response:
    start = call.text("startingPoint", "main")
    call.hub.repositories.add_reference(call.writable(), "branch", call.part("reference"), start)
    return JSONResponse({})


def _add_tag(call: Call) -> Response:
    call.hub.repositories.add_reference(call.writable(), "tag", call.text("tag"), call.part("reference"))
    return JSONResponse({})


def _delete_reference(type: str) -> Callable[[Call], Response]:
    def handler(call: Call) -> Response:
        call.hub.repositories.delete_reference(call.writable(), type, call.part("reference"))
        return JSONResponse({})

    return handler


def _squash(call: Call) -> Response:
    call.hub.repositories.squash(call.writable(), call.part("reference"), call.text("message", "Super-squash branch"))
    return JSONResponse({})


def _check_access(call: Call) -> Response:
    call.require_access(call.repository())
    return JSONResponse({})


def _space(found: Repository) -> Repository:
    if found.kind != "space":
        raise Refused(404, f"The {found.kind} {found.name} is no Space.")
    return found


def _runtime(call: Call) -> Response:
    return JSONResponse(protocol.runtime_shape(_space(call.repository())))


def _hardware(call: Call) -> Response:
    found = call.hub.repositories.change(_space(call.writable()), details={"hardware": call.text("flavor")})
    return JSONResponse(protocol.runtime_shape(found))


def _touch_runtime(call: Call) -> Response:
    return JSONResponse(protocol.runtime_shape(_space(call.writable())))


def _keyed(what: str) -> Callable[[Call], Response]:
    """Variables with their values, and secrets without: nothing here runs Spaces, so no secret is kept."""

    def handler(call: Call) -> Response:
        found = _space(call.repository() if call.request.method == "GET" else call.writable())
        if what == "secrets":
            call.require_write()
        kept = found.details.get(what) or {}
        values = dict(kept) if isinstance(kept, dict) else {}
        if call.request.method == "POST":
            values[call.text("key")] = call.text("value") if what == "variables" else ""
        elif call.request.method == "DELETE":
            values.pop(call.text("key"), None)
        if call.request.method != "GET":
            call.hub.repositories.change(found, details={what: values})
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return JSONResponse({key: {"key": key, "value": value, "updatedAt": now} for key, value in values.items()})

    return handler


_REPOSITORY = "/api/{kinds}/{owner}/{name}"

REPOSITORY_ROUTES: list[Route] = [
    route("GET", "/api/local-hub", _instance),
    route("GET", "/api/whoami-v2", _whoami),
    route("POST", "/api/validate-yaml", _validate_card),
    route("POST", "/api/repos/create", _create),
    route("DELETE", "/api/repos/delete", _delete),
    route("POST", "/api/repos/move", _move),
    route("GET", "/api/{kinds}", _list),
    route("GET", _REPOSITORY, _info),
    route("GET", _REPOSITORY + "/revision/{revision}", _info),
    route("PUT", _REPOSITORY + "/settings", _settings),
    route("GET", _REPOSITORY + "/refs", _references),
    route("GET", _REPOSITORY + "/commits/{revision}", _history),
    route("POST", _REPOSITORY + "/branch/{reference}", _add_branch),
    route("DELETE", _REPOSITORY + "/branch/{reference}", _delete_reference("branch")),
    route("POST", _REPOSITORY + "/tag/{reference}", _add_tag),
    route("DELETE", _REPOSITORY + "/tag/{reference}", _delete_reference("tag")),
    route("POST", _REPOSITORY + "/super-squash/{reference}", _squash),
    route("GET", _REPOSITORY + "/auth-check", _check_access),
    route("GET", _REPOSITORY + "/runtime", _runtime),
    route("POST", _REPOSITORY + "/hardware", _hardware),
    route("POST", _REPOSITORY + "/restart", _touch_runtime),
    route("POST", _REPOSITORY + "/pause", _touch_runtime),
    route("POST", _REPOSITORY + "/sleeptime", _touch_runtime),
    route("GET POST DELETE", _REPOSITORY + "/variables", _keyed("variables")),
    route("GET POST DELETE", _REPOSITORY + "/secrets", _keyed("secrets")),
]
