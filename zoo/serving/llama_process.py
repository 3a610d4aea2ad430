"""llama.cpp's server in a process of its own: `python -m zoo.serving.llama_process SETTINGS`, for `llama_server`.

Its address, or why there is none, goes as one JSON line to standard output. It serves until its standard input closes,
also when whoever started it dies, and then ends at once: the wheel's own way of stopping a server can wait for ever for
a thread that waits for the next connection.
"""

import json
import os
import sys
from typing import Any

__all__ = ["main"]

_QUIET = -1


def main() -> None:
    """Serve what the first argument, a JSON object, describes."""
    settings = json.loads(sys.argv[1])
    told = os.dup(1)
    os.dup2(2, 1)  # nobody reads what llama.cpp prints after the address: it would stand still at a full pipe
    import xllamacpp

    try:
        server = xllamacpp.Server(_parameters(settings))
    except RuntimeError as error:
        _tell(told, {"error": str(error)})
        return
    _tell(told, {"address": server.listening_address})
    sys.stdin.read()
    os._exit(0)


def _parameters(settings: dict[str, Any]) -> Any:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = settings["file"]
    parameters.model_alias = {settings["name"]}
    parameters.hostnames, parameters.port = ["127.0.0.1"], settings["port"]
    parameters.n_ctx, parameters.n_parallel = settings["context"], 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = settings["threads"]
    if settings["tower"]:
        parameters.mmproj.path, parameters.mmproj_use_gpu = settings["tower"], False
        parameters.image_min_tokens, parameters.image_max_tokens = settings["image_tokens"]
    parameters.use_jinja, parameters.prefill_assistant = True, False
    parameters.warmup = parameters.ui = parameters.fit_params = False
    if not settings["log"]:
        parameters.verbosity = _QUIET
    return parameters


def _tell(told: int, event: dict[str, str]) -> None:
    os.write(told, (json.dumps(event) + "\n").encode())


if __name__ == "__main__":
    main()
