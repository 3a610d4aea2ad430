"""The command that opens a model's page on this machine: demo. The page is `spaces/agent`, laid out as for a Hub."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import click

from zoo.cache import default_root
from zoo.cli.demo_pages import PAGES, Page, made_on_the_spot, of_recipe, published
from zoo.cli.library import tiny
from zoo.errors import EnvironmentFailure, StageFailed
from zoo.hub import Endpoint
from zoo.space import space_files

__all__ = ["demo", "laid_out"]

_START_SECONDS = 180.0
_STOP_SECONDS = 10.0
_LOOPBACK = "127.0.0.1"


@click.command()
@click.argument("what", metavar="[RECIPE|NAME|OWNER/NAME]", required=False)
@click.option("--port", default=7861, show_default=True, help="0 takes a free one.")
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@click.option("--offline", is_flag=True, help="Ask the embedded Hub only.")
@tiny
@click.option("--json", "as_json", is_flag=True, help="One JSON line, as soon as it listens.")
def demo(what: str | None, port: int, no_browser: bool, offline: bool, tiny: bool, as_json: bool) -> None:
    """Open the page of a model until Ctrl-C: watch it act, compare its files, see its numbers.

    A RECIPE whose run is finished here, a NAME of the zoo, or a published repository. --tiny alone makes a model of two
    layers on the spot, which knows nothing and shows that the page works.
    """  # fmt: skip
    _require_gradio()
    if what is None and not tiny:
        raise click.UsageError("name a recipe, a model of the zoo or a repository; or say --tiny")
    with ExitStack() as stack:
        endpoint: Endpoint | None = None
        if what is None:
            page = made_on_the_spot()
        elif (finished := of_recipe(what, tiny, offline)) is not None:
            page = finished
        else:
            page, endpoint = stack.enter_context(published(what, offline))
        folder = laid_out(page)
        _serve(folder, port, endpoint, browser=not no_browser, as_json=as_json)


def _require_gradio() -> None:
    from importlib.util import find_spec

    if missing := [name for name in ("gradio", "PIL", "xllamacpp") if find_spec(name) is None]:
        raise EnvironmentFailure(f"{', '.join(missing)} not installed; install with: pip install 'edgezoo[spaces]'")


def laid_out(page: Page) -> Path:
    """The page's folder, whole: exactly what a Space holds."""
    name = "".join(letter if letter.isalnum() else "-" for letter in page.settings.title.lower())
    folder = default_root() / PAGES / f"space-{name}"
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    for path, content in space_files(page.settings, page.records, page.episodes, recipe=page.recipe).items():
        file = part / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    shutil.rmtree(folder, ignore_errors=True)
    part.replace(folder)
    return folder


def _serve(folder: Path, port: int, endpoint: Endpoint | None, browser: bool, as_json: bool) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended by another program, the page ends with it
    port = _free_port(port)
    url = f"http://{_LOOPBACK}:{port}"
    told = {"GRADIO_SERVER_NAME": _LOOPBACK, "GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    if endpoint is not None:
        told["HF_ENDPOINT"] = endpoint.url
        told |= {"HF_TOKEN": endpoint.token} if endpoint.token else {}
    process = subprocess.Popen([sys.executable, str(folder / "app.py")], env={**os.environ, **told}, cwd=folder)
    try:
        _await(process, url)
        click.echo(json.dumps({"url": url, "folder": str(folder)}) if as_json else f"{url}\n\nCtrl-C ends it.")
        if browser:
            click.launch(url)
        process.wait()
    except KeyboardInterrupt:
        click.echo("", err=True)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _await(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StageFailed(
                f"the page ended with code {process.returncode} before it listened; what it said is above"
            )
        try:
            with urlopen(url, timeout=2):  # noqa: S310 - our own loopback address
                return
        except OSError:
            time.sleep(0.2)
    raise StageFailed(f"the page does not answer on {url} after {_START_SECONDS:.0f} s")


def _free_port(port: int) -> int:
    """The port itself, or a free one for 0. Raises EnvironmentFailure when somebody listens there: that page would be
    taken for this one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except (OSError, OverflowError) as error:
            raise EnvironmentFailure(f"port {port}: {error}; take another with --port, 0 for a free one") from error
        return int(probe.getsockname()[1])
