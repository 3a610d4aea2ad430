"""Seconds of an agent's step, on real steps of a trained one: transformers, llama.cpp's server, ours switch by switch.

    python benchmarks/agent_step.py CHECKPOINT FILE.gguf [--graph GENAI_FOLDER|GRAPH.onnx] [--steps 30] [--threads N]

The agent first operates the phone with the file, and every prompt that it is asked is kept. Then each way answers
each prompt, one way after the other at every step, so that a busy machine slows all alike. Every way has a model of its
own and sees the steps in their order, as an agent's do. Printed: the median seconds a step, the ratio to transformers'
plain `generate` and to llama.cpp's server without its prompt cache, how many tokens were computed, how often the model
ran, and on how many steps the answer is letter for letter that of the same weights answered plainly.

`recipes run recipes/pocket-135m.yaml` makes CHECKPOINT (stage grpo) and FILE (stage gguf).
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from time import perf_counter
from typing import Any

from zoo import machine, shipped
from zoo.actions import parse, same
from zoo.agent import chat_of, open_environment, play
from zoo.answering.models import grammar_for
from zoo.prompt import Chat
from zoo.recipe import load
from zoo.schema import AgentSpec
from zoo.serving import fastest_threads, open_model
from zoo.serving.llama_server import ask, llama_server

TRANSFORMERS = "transformers generate"
SERVER = "llama.cpp server, no prompt cache"
PLAIN = "llama.cpp, ours, plain"
SWITCHES = {
    PLAIN: (False, False),
    "+ reuse": (True, False),
    "+ lookup": (False, True),
    "+ reuse + lookup": (True, True),
}


@dataclass
class Way:
    """One way to answer, and what it took."""

    answer: Callable[[Chat], tuple[str, int, int]]
    """A chat -> the answer, tokens of the prompt that were computed, runs of the model; 0 where nobody tells."""
    like: str
    """The way whose answers it must repeat."""
    seconds: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    computed: list[int] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)

    def step(self, chat: Chat) -> None:
        started = perf_counter()
        text, computed, calls = self.answer(chat)
        self.seconds.append(perf_counter() - started)
        self.texts.append(text)
        self.computed.append(computed)
        self.calls.append(calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--graph", type=Path, help="an ONNX graph, or a folder of ONNX Runtime GenAI, of the same model"
    )
    parser.add_argument("--recipe", default="pocket-135m", help="whose agent (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=30, help="default: %(default)s")
    parser.add_argument("--threads", type=int, help="of all; by default as many as decode the file fastest")
    options = parser.parse_args()
    spec = load(shipped.folder("recipes") / f"{options.recipe}.yaml").recipe.agent
    threads = options.threads or fastest_threads(options.file).threads
    chats = recorded(spec, options.file, options.steps, threads)
    with ExitStack() as stack:
        found = ways(spec, options, threads, stack)
        for way in found.values():
            way.step(chats[0])
            way.__init__(way.answer, way.like)  # type: ignore[misc]  # the first answer warms up and is not counted
        for number, chat in enumerate(chats):
            for way in found.values():
                way.step(chat)
            print(f"{number + 1}/{len(chats)}", end="\r", file=sys.stderr, flush=True)
    report(found, threads)


def recorded(spec: AgentSpec, file: Path, steps: int, threads: int) -> list[Chat]:
    """What a trained agent is really asked: it acts on held-out tasks until there are so many steps."""
    chats: list[Chat] = []
    with open_model(file, threads=threads) as runtime:

        def answer(situations: Sequence[Any]) -> list[str]:
            asked = [chat_of(spec, one) for one in situations]
            chats.extend(asked)
            return [one.text for one in runtime.generate(asked, spec.answer_tokens)]

        for task in open_environment(spec).draw_tasks("held-out-parameters", steps, 0):
            if len(chats) >= steps:
                break
            play(spec, [task], answer)
    return chats[:steps]


def ways(spec: AgentSpec, options: argparse.Namespace, threads: int, stack: ExitStack) -> dict[str, Way]:
    """Every way, loaded."""
    found = {TRANSFORMERS: Way(plain_transformers(options.checkpoint, spec, threads), TRANSFORMERS)}
    for name, cached in ((SERVER, False), ("llama.cpp server as it comes", True)):
        address = stack.enter_context(llama_server(options.file, threads=threads))
        found[name] = Way(served(address, spec, cached), PLAIN)
    for name, switches in SWITCHES.items():
        found[name] = Way(ours(stack, options.file, spec, threads, switches), PLAIN)
    found["+ grammar, no switch"] = Way(ours(stack, options.file, spec, threads, (False, False), True), PLAIN)
    found["+ grammar + reuse + lookup"] = Way(
        ours(stack, options.file, spec, threads, (True, True), True), "+ grammar, no switch"
    )
    found["torch, ours, + reuse + lookup"] = Way(
        ours(stack, options.checkpoint, spec, threads, (True, True)), TRANSFORMERS
    )
    if options.graph:
        found["graph, ours, plain"] = Way(
            ours(stack, options.graph, spec, threads, (False, False)), "graph, ours, plain"
        )
        found["graph, ours, + reuse + lookup"] = Way(
            ours(stack, options.graph, spec, threads, (True, True)), "graph, ours, plain"
        )
    return found


def plain_transformers(checkpoint: Path, spec: AgentSpec, threads: int) -> Callable[[Chat], tuple[str, int, int]]:
    """As its documentation shows it: the checkpoint's own number type, one prompt, greedy."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.bfloat16)

    def answer(chat: Chat) -> tuple[str, int, int]:
        ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        said = model.generate(**ids, max_new_tokens=spec.answer_tokens, do_sample=False)
        new = said[0, ids["input_ids"].shape[1] :]
        return tokenizer.decode(new, skip_special_tokens=True), ids["input_ids"].shape[1], len(new)

    return answer


def served(address: str, spec: AgentSpec, cached: bool) -> Callable[[Chat], tuple[str, int, int]]:
    def answer(chat: Chat) -> tuple[str, int, int]:
        body = {"messages": chat, "max_tokens": spec.answer_tokens, "temperature": 0, "cache_prompt": cached}
        said = ask(address, "/v1/chat/completions", body)
        computed = said.get("timings", {}).get("prompt_n", 0)
        return said["choices"][0]["message"]["content"], computed, said["usage"]["completion_tokens"]

    return answer


def ours(
    stack: ExitStack, source: Path, spec: AgentSpec, threads: int, switches: tuple[bool, bool], grammar: bool = False
) -> Callable[[Chat], tuple[str, int, int]]:
    reuse, lookup = switches
    runtime = stack.enter_context(open_model(source, threads=threads, dtype="bfloat16", reuse=reuse, lookup=lookup))

    def answer(chat: Chat) -> tuple[str, int, int]:
        (said,) = runtime.generate([chat], spec.answer_tokens, grammar_for(spec, chat) if grammar else None)
        return said.text, runtime.prefilled_tokens, runtime.calls

    return answer


def report(found: dict[str, Way], threads: int) -> None:
    """A table, and one JSON line."""
    slowest, server = median(found[TRANSFORMERS].seconds), median(found[SERVER].seconds)
    rows = list(rows_of(found, slowest, server))
    header = ["way", "s a step", f"x {TRANSFORMERS}", f"x {SERVER}"]
    header += ["prompt tokens computed", "runs of the model", "same answers"]
    print(f"| {' | '.join(header)} |\n| --- |{' ---: |' * (len(header) - 1)}")
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    agreed = mean(
        same(parse(one), parse(other)) for one, other in zip(found[TRANSFORMERS].texts, found[PLAIN].texts, strict=True)
    )
    versions = machine.versions(("torch", "transformers", "xllamacpp", "onnxruntime-genai"))
    told = {"threads": threads, "steps": len(found[PLAIN].texts), "same_call_file_and_checkpoint": round(agreed, 3)}
    print(json.dumps({**told, "machine": machine.hardware(), "versions": versions, "rows": rows}))


def rows_of(found: dict[str, Way], slowest: float, server: float) -> Iterator[dict[str, Any]]:
    for name, way in found.items():
        seconds, texts = median(way.seconds), found[way.like].texts
        yield {
            "way": name,
            "seconds": round(seconds, 3),
            "times_transformers": round(slowest / seconds, 2),
            "times_server": round(server / seconds, 2),
            "computed": round(mean(way.computed), 1),
            "calls": round(mean(way.calls), 1),
            "same": f"{sum(one == other for one, other in zip(way.texts, texts, strict=True))} of {len(texts)}",
        }


if __name__ == "__main__":
    main()
