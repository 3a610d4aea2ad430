"""Routes that hand a client of Xet its folder, or the advice to do without."""

import time

from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from zoo.local_hub.call import Call, route
from zoo.local_hub.refusal import Refused
from zoo.local_hub.xet import Xet

__all__ = ["XET_ROUTES"]

_ADVICE = "/no-xet-here/set-HF_HUB_DISABLE_XET=1-and-run-again"
_LIFE_SECONDS = 20 * 3600  # less than the day after which `Blobs.sweep` takes an unfinished upload away
_LOOPBACK = ("127.0.0.1", "::1")


def _write_token(call: Call) -> Response:
    call.writable()
    client = call.request.client
    if not Xet.usable() or client is None or client.host not in _LOOPBACK:
        # hf_xet shows no word of a refusal but its address, so the advice is put there.
        return RedirectResponse(call.base + _ADVICE, 307)
    address, expires = Xet(call.hub.root).open(), int(time.time()) + _LIFE_SECONDS
    headers = {
        "X-Xet-Cas-Url": address,
        "X-Xet-Access-Token": "none-needed",
        "X-Xet-Token-Expiration": str(expires),
    }
    return JSONResponse({"casUrl": address, "accessToken": "none-needed", "exp": expires}, headers=headers)


def _no_xet(call: Call) -> Response:
    raise Refused(403, "This client cannot upload over Xet here: set HF_HUB_DISABLE_XET=1 and run again.")


XET_ROUTES: list[Route] = [
    route("GET", "/api/{kinds}/{owner}/{name}/xet-write-token/{revision}", _write_token),
    route("GET", _ADVICE, _no_xet),
]
