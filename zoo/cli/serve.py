"""The command that puts a model behind an OpenAI-compatible endpoint on loopback: serve."""

import json
import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import click

from zoo.cli import models
from zoo.cli.display import byte_text
from zoo.errors import EnvironmentFailure, ModelError

__all__ = ["serve"]

_HOST = "127.0.0.1"


@click.command()
@click.argument("named", metavar="FILE|FOLDER|OWNER/NAME")
@click.option("--file", "part", metavar="PART", help="Which file, where there are several: a word of its name.")
@click.option("--port", default=8080, show_default=True, help="0 takes a free one.")
@click.option("--context", type=click.IntRange(64), default=4096, show_default=True, help="Most tokens, with answer.")
@click.option("--threads", type=click.IntRange(1), help="Of llama.cpp. Default: as many as measure fastest.")
@click.option("--device", default="auto", show_default=True, help="Of a checkpoint: cpu, cuda, ...")
@click.option("--offline", is_flag=True, help="Ask the embedded Hub only.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line, as soon as it listens.")
def serve(
    named: str,
    part: str | None,
    port: int,
    context: int,
    threads: int | None,
    device: str,
    offline: bool,
    as_json: bool,
) -> None:
    """Put a model behind an OpenAI-compatible endpoint on loopback, until Ctrl-C.

    A GGUF file is served by llama.cpp's own server (streaming, tools, grammars), a checkpoint folder by torch (greedy
    text, streaming).
    """
    models.require_runtimes()
    found = models.model(named, part, offline)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended by another program, it stops in order too
    if found.is_dir():
        _serve_checkpoint(found, port, device, as_json)
    elif found.suffix == ".gguf":
        _serve_file(found, port, context, threads, as_json)
    else:
        raise ModelError(f"{found}: neither a .gguf file nor a folder with a checkpoint")


def _serve_file(file: Path, port: int, context: int, threads: int | None, as_json: bool) -> None:
    from zoo.serving import fastest_threads
    from zoo.serving.llama_server import llama_server

    told: dict[str, object] = {}
    if threads is None:
        sweep = fastest_threads(file)
        threads = sweep.threads
        told["tokens_per_second"] = {str(count): round(speed, 1) for count, speed in sweep.tokens_per_second.items()}
    with llama_server(file, port, threads, context, file.stem) as address:
        _announce(address, file.stem, {"runtime": "llama.cpp", "threads": threads, **told}, as_json)
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


def _serve_checkpoint(folder: Path, port: int, device: str, as_json: bool) -> None:
    import uvicorn

    from zoo import machine
    from zoo.serving import open_torch
    from zoo.serving.torch_server import application

    models.be_quiet()
    listening = _listen(port)
    name = folder.resolve().name
    with open_torch(folder, machine.device(device)) as runtime:
        config = uvicorn.Config(application(runtime, name), log_level="warning", lifespan="off", server_header=False)
        address = f"http://{_HOST}:{listening.getsockname()[1]}"
        _announce(address, name, {"runtime": "torch"}, as_json)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((_HOST, port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise EnvironmentFailure(f"port {port}: {error}; take another with --port, 0 for a free one") from error
    return listening


def _announce(address: str, name: str, told: dict[str, object], as_json: bool) -> None:
    resident = _resident_bytes()
    if as_json:
        click.echo(json.dumps({"url": f"{address}/v1", "model": name, **told, "resident_bytes": resident}))
        return
    shown = ", ".join(f"{key} {value}" for key, value in told.items() if not isinstance(value, dict))
    click.echo(f"{name} on {address}/v1   ({shown}, {byte_text(resident)} of memory)\n")
    click.echo(f"  curl {address}/v1/chat/completions -H 'Content-Type: application/json' \\")
    click.echo("""    -d '{"messages": [{"role": "user", "content": "Hello"}]}'\n""")
    click.echo(f'  openai.OpenAI(base_url="{address}/v1", api_key="none")\n\nCtrl-C ends it.')


def _resident_bytes() -> int:
    """Memory of this process that lies in RAM now, mapped weights included."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
