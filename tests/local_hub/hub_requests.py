"""Plain HTTP to a Hub, and a Hub that runs in a process of its own."""

import subprocess
from dataclasses import dataclass
from http.client import HTTPConnection

from zoo.hub import Endpoint


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Served:
    process: subprocess.Popen[bytes]
    endpoint: Endpoint


def ask(
    endpoint: Endpoint,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    token: str | None = None,
) -> Answer:
    """One request exactly as written: no client tidies the path up first."""
    authorization = {"Authorization": f"Bearer {token}"} if token else {}
    connection = HTTPConnection(endpoint.url.removeprefix("http://"), timeout=30)
    connection.request(method, path, body, {**authorization, **(headers or {})})
    response = connection.getresponse()
    answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    connection.close()
    return answer
