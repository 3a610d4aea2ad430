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
@click.option("--threads", default="auto", show_default=True, help="How many, or auto: as many as measure fastest.")
@click.option("--device", default="auto", show_default=True, help="Of a checkpoint: cpu, cuda, ...")
@click.option("--lookup", is_flag=True, help="Guess tokens from prompt and earlier answers. Not for GGUF.")
@click.option(
    "--adapters",
    type=click.Path(file_okay=False, path_type=Path),
    help="Of a policy that learns: where its adapters are written. A checkpoint then answers by chance.",
)
@click.option(
    "--key-variable",
    default="RECIPES_SERVE_KEY",
    show_default=True,
    help="With --adapters: the environment variable that holds the key which requests must carry.",
)
@click.option("--offline", is_flag=True, help="Ask the embedded Hub only.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line, as soon as it listens.")
def serve(
    named: str,
    part: str | None,
    port: int,
    context: int,
    threads: str,
    device: str,
    lookup: bool,
    adapters: Path | None,
    key_variable: str,
    offline: bool,
    as_json: bool,
) -> None:
    """Put a model behind an OpenAI-compatible endpoint on loopback, until Ctrl-C.

    A GGUF file is served by llama.cpp's own server (streaming, tools, grammars, pictures with its mmproj beside it); an
    ONNX graph, a folder of ONNX Runtime GenAI and a checkpoint by a server of ours (greedy text, streaming, grammars).
    """
    counted = _threads(threads)
    models.require_runtimes()
    found = models.model(named, part, offline)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended by another program, it stops in order too
    if adapters:
        _serve_policy(found, port, adapters, key_variable, device, as_json)
    elif found.suffix == ".gguf":
        if lookup:
            raise ModelError("--lookup: llama.cpp's own server takes no such switch; leave it out for a GGUF file")
        _serve_file(found, port, context, counted, as_json)
    else:
        _serve_runtime(found, port, context, counted, device, lookup, as_json)


def _threads(said: str) -> int | None:
    if said == "auto":
        return None
    if not said.isdecimal() or int(said) < 1:
        raise click.BadParameter(f"{said!r} is neither a number from 1 on nor auto", param_hint="--threads")
    return int(said)


def _serve_file(file: Path, port: int, context: int, threads: int | None, as_json: bool) -> None:
    from zoo.formats import gguf_header
    from zoo.serving import fastest_threads
    from zoo.serving.llama_eyes import the_tower, towers_beside
    from zoo.serving.llama_server import llama_server

    towers = towers_beside(file, gguf_header.read(file))
    tower = the_tower(file, towers) if towers else None
    told: dict[str, object] = {"sees with": tower.name} if tower else {}
    if threads is None:
        sweep = fastest_threads(file)
        threads = sweep.threads
        told["tokens_per_second"] = {str(count): round(speed, 1) for count, speed in sweep.tokens_per_second.items()}
    with llama_server(file, port, threads, context, file.stem, tower=tower) as address:
        _announce(address, file.stem, {"runtime": "llama.cpp", "threads": threads, **told}, as_json)
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


def _serve_runtime(
    source: Path, port: int, context: int, threads: int | None, device: str, lookup: bool, as_json: bool
) -> None:
    import uvicorn

    from zoo import machine
    from zoo.serving import open_model
    from zoo.serving.runtime_server import application
    from zoo.serving.threads import sweep

    models.be_quiet()
    listening = _listen(port)
    name = source.resolve().stem if source.is_file() else source.resolve().name
    place = machine.device(device)
    with open_model(source, threads=threads, context=context, device=place, lookup=lookup) as runtime:
        if threads is None and place == "cpu":
            sweep(runtime)
        config = uvicorn.Config(application(runtime, name), log_level="warning", lifespan="off", server_header=False)
        address = f"http://{_HOST}:{listening.getsockname()[1]}"
        told = runtime.describe()
        _announce(address, name, {"runtime": told.runtime, "threads": told.threads}, as_json)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])


def _serve_policy(source: Path, port: int, adapters: Path, key_variable: str, device: str, as_json: bool) -> None:
    import uvicorn

    from zoo import machine
    from zoo.serving import open_torch
    from zoo.serving.policy_server import policy_application

    if not (source / "config.json").is_file():
        raise ModelError(f"--adapters: {source.name} is no checkpoint folder, and only its adapters can change")
    key = os.environ.get(key_variable)
    if not key:
        raise EnvironmentFailure(
            f"--adapters: {key_variable} is not set, and whoever has an adapter read from disk must know a key; set it "
            "to a secret of yours, here and for the stage (endpoint.key_variable)"
        )
    models.be_quiet()
    adapters.mkdir(parents=True, exist_ok=True)
    listening = _listen(port)
    name = source.resolve().name
    with open_torch(source, machine.device(device)) as runtime:
        app = policy_application(runtime, name, adapters, key)
        config = uvicorn.Config(app, log_level="warning", lifespan="off", server_header=False)
        address = f"http://{_HOST}:{listening.getsockname()[1]}"
        _announce(address, name, {"runtime": "torch", "adapters": str(adapters)}, as_json, key_variable)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((_HOST, port))
        listening.listen()  # the address is told before the server takes over: who is quick waits and is not refused
    except (OSError, OverflowError) as error:
        listening.close()
        raise EnvironmentFailure(f"port {port}: {error}; take another with --port, 0 for a free one") from error
    return listening


def _announce(address: str, name: str, told: dict[str, object], as_json: bool, key_variable: str | None = None) -> None:
    from zoo.serving.runtime import memory_now

    resident = memory_now().resident_bytes
    if as_json:
        click.echo(json.dumps({"url": f"{address}/v1", "model": name, **told, "resident_bytes": resident}))
        return
    shown = ", ".join(f"{key} {value}" for key, value in told.items() if not isinstance(value, dict))
    click.echo(f"{name} on {address}/v1   ({shown}, {byte_text(resident)} of memory)\n")
    click.echo(f"  curl {address}/v1/chat/completions -H 'Content-Type: application/json' \\")
    if key_variable:
        click.echo(f'    -H "Authorization: Bearer ${key_variable}" \\')
    said = json.dumps({"model": name, "max_tokens": 64, "messages": [{"role": "user", "content": "Hello"}]})
    click.echo(f"    -d '{said}'\n")
    key = f'os.environ["{key_variable}"]' if key_variable else '"none"'
    click.echo(f'  openai.OpenAI(base_url="{address}/v1", api_key={key})\n\nCtrl-C ends it.')
