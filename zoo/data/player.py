"""Who acts in a data stage: a checkpoint, an exported file or an endpoint, opened while a block runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zoo.answering import Draw, KeptAnswers, draw_endpoint, draw_runtime, endpoint_of
from zoo.errors import ModelError
from zoo.formats import gguf_names, onnx_files
from zoo.memory import CountTokens, about_tokens
from zoo.records import StageContext
from zoo.schema import DataSpec, EndpointSpec
from zoo.serving import open_model

__all__ = ["Player", "chosen_file", "kept_answers", "opened_player"]

_ANSWERS_FOLDER = "answers"


@dataclass(frozen=True)
class Player:
    """A model that can be asked."""

    draw: Draw
    count: CountTokens = about_tokens
    """Tokens of a text, for a memory that is bounded by them."""


@contextmanager
def opened_player(spec: DataSpec, ctx: StageContext) -> Iterator[Player]:
    """The player that the recipe names.

    Raises ModelError when it cannot be opened or is none of a checkpoint, a GGUF file and an ONNX graph.
    """
    if spec.endpoint:
        yield Player(draw_endpoint(spec.agent, kept_answers(spec.endpoint, ctx), spec.temperature))
        return
    source = ctx.inputs["model"] if spec.model else ctx.inputs["export"]
    chosen = chosen_file(source, spec.file)
    # A checkpoint as the stage `evaluate` opens it: in bfloat16 (half the bytes to read for every token), and each
    # prompt computed from nothing, since a prompt in two parts is another sum. Files reuse what prompts share.
    runtime = open_model(chosen, device=ctx.device, dtype="bfloat16", reuse=chosen.is_file())
    try:
        yield Player(draw_runtime(spec.agent, runtime, spec.temperature), lambda text: len(runtime.encode(text)))
    finally:
        runtime.close()


def kept_answers(spec: EndpointSpec, ctx: StageContext) -> KeptAnswers:
    """The player's endpoint, and what it has answered so far."""
    return KeptAnswers(ctx.scratch / _ANSWERS_FOLDER, endpoint_of(spec))


def chosen_file(source: Path, word: str) -> Path:
    """The file of a folder of exports that `word` names; what is a file or a checkpoint is chosen already.

    Raises ModelError when none or several fit.
    """
    if source.is_file() or ((source / "config.json").is_file() and any(source.glob("*.safetensors"))):
        return source
    graphs = onnx_files.find(source)
    # Of a split model, llama.cpp is given the first file.
    ggufs = [file for file in sorted(source.glob("*.gguf")) if gguf_names.shards(file)[0] == file]
    ggufs = [file for file in ggufs if not file.name.startswith(("mmproj", "adapter"))]
    found = [*ggufs, *graphs.values()]
    names = {file: str(file.relative_to(source)) for file in found}
    variants = {file: variant for variant, file in graphs.items()}
    fitting = [file for file in found if word.lower() in names[file].lower() or word == variants.get(file)]
    exact = [file for file in fitting if word and word == variants.get(file)] or fitting
    if len(exact) != 1:
        there = ", ".join(names.values()) or "no checkpoint, GGUF file or ONNX graph"
        raise ModelError(f"`file: {word}` names {len(exact)} files; there is {there}; write a word of one name")
    return exact[0]
