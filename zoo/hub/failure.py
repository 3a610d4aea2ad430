"""What goes wrong between a client and a Hub: as one line for the user, and whether to try again."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from traceback import extract_tb
from typing import TypeVar

from zoo.errors import HubError
from zoo.hub.endpoint import Endpoint

__all__ = ["explained", "persistently", "reason"]

_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT_SECONDS = 60.0

T = TypeVar("T")


@contextmanager
def explained(endpoint: Endpoint, subject: str) -> Iterator[None]:
    """Whatever huggingface_hub and its HTTP library raise, as a HubError that says where and about what."""
    try:
        yield
    except Exception as error:
        if not _is_hub_failure(error):
            raise
        raise HubError(f"{endpoint}: {subject}: {reason(error, endpoint)}") from error


def _is_hub_failure(error: Exception) -> bool:
    """Whether an exception comes from the Hub, the network or the disk, and not from a bug of ours."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    return isinstance(error, (HfHubHTTPError, httpx2.HTTPError, HFValidationError, OSError)) or (
        isinstance(error, (ValueError, RuntimeError)) and _raised_in_hub_library(error)
    )


def _raised_in_hub_library(error: Exception) -> bool:
    """huggingface_hub words some refusals (a card's metadata, an LFS answer) as plain ValueError or RuntimeError."""
    frames = extract_tb(error.__traceback__)
    return bool(frames) and "huggingface_hub" in frames[-1].filename


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and those that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__


def reason(error: Exception, endpoint: Endpoint) -> str:
    """One line that a user can act on.

    Raises the error itself when it is none of the Hub's.
    """
    import httpx2
    from huggingface_hub import errors

    if not _is_hub_failure(error):
        raise error
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, which forbids every Hub, this one too. Unset it."
    if isinstance(error, errors.GatedRepoError):
        return "is gated. Accept its terms on its page, and log in with `hf auth login`."
    if isinstance(error, errors.RevisionNotFoundError):
        return "has the repository, but not this revision"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "has no such repository" + ("" if endpoint.token else ", or it is private and there is no token")
    if isinstance(error, httpx2.ConnectError):
        return f"does not answer ({error}). {_mend_connection(endpoint)}"
    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code if error.response is not None else "?"
        if status == 412:
            return "was changed by somebody else meanwhile (412). Run again: what is there is not sent again."
        return f"answered {status}: {_first_line(error.server_message or str(error))}"
    cause = error.__cause__
    wrapped = isinstance(error, (RuntimeError, errors.LocalEntryNotFoundError))
    if wrapped and isinstance(cause, Exception) and _is_hub_failure(cause):
        return reason(cause, endpoint)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no message")


def _mend_connection(endpoint: Endpoint) -> str:
    if not endpoint.embedded:
        return "Check the network, or HF_ENDPOINT."
    if any(os.environ.get(name) for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")):
        return "A proxy is set: add 127.0.0.1 to NO_PROXY."
    return "Start it with `recipes hub serve`."


def persistently(attempt: Callable[[], T], sleep: Callable[[float], None], tries: int = 5) -> T:
    """Call until it succeeds, at most `tries` times, while failures are of the passing kind."""
    for number in range(1, tries):
        try:
            return attempt()
        except Exception as error:
            wait = _wait_seconds(error, number)
            if wait is None:
                raise
            sleep(wait)
    return attempt()


def _wait_seconds(error: Exception, number: int) -> float | None:
    """How long to wait before the next try; None when there is no point. Nobody at the port is no passing failure."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    for cause in _chain(error):
        if isinstance(cause, HfHubHTTPError) and cause.response is not None:
            if cause.response.status_code not in _PASSING_STATUS:
                return None
            asked = cause.response.headers.get("retry-after", "")
            return min(float(asked) if asked.isdecimal() else 2.0**number, _LONGEST_WAIT_SECONDS)
        if isinstance(cause, (httpx2.ConnectError, httpx2.ConnectTimeout)):
            return None
        if isinstance(cause, (httpx2.NetworkError, httpx2.RemoteProtocolError, httpx2.TimeoutException)):
            return 2.0**number
    return None
