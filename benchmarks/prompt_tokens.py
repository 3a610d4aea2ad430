"""How many tokens a step's prompt has, by world, kind of observation and style: what a small model has to read.

The expert plays held-out tasks, so that the screens are those of the way; a prompt is the chat of one of its steps, its
past included, rendered and counted as the model does that is named. Printed: a Markdown table, then one JSON line.
Pictures are not counted here: a screen of the phone is 798 tokens of Qwen2.5-VL (19 x 42), whatever is on it.

    python benchmarks/prompt_tokens.py files/Pocket-135M-Q8_0.gguf --worlds phone phone-ten desk --tasks 50
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, quantiles

from zoo.agent import Situation, chat_of, expert_answers, open_environment, play
from zoo.environments import Task
from zoo.environments.choosing import EXPERT, choose_tasks
from zoo.registry import ENVIRONMENTS
from zoo.schema import AgentSpec
from zoo.serving import Runtime, open_model

_KINDS = ("terse", "xml", "xml-bounds")
_STYLES = ("terse", "openphone")
_ROUNDS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="whose tokens: a GGUF file or a checkpoint folder")
    parser.add_argument("--worlds", nargs="+", choices=sorted(ENVIRONMENTS), default=["phone", "phone-ten"])
    parser.add_argument("--tasks", type=int, default=50, help="of each world (default %(default)s)")
    parser.add_argument("--memory-steps", type=int, default=3, help="of the past (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the tasks (default %(default)s)")
    options = parser.parse_args()
    found = []
    print("| world | observation | style | prompts | mean | 90 % have at most | largest |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with open_model(options.model, threads=1, context=64) as runtime:
        for world in options.worlds:
            for spec in _agents(world, options.memory_steps):
                counts = list(prompt_tokens(spec, _tasks(spec, options.tasks, options.seed), runtime))
                most = round(quantiles(counts, n=10)[-1])
                row = (world, spec.observation, spec.style, len(counts), round(mean(counts)), most, max(counts))
                print("| " + " | ".join(map(str, row)) + " |", flush=True)
                found.append(row)
    print(json.dumps({"model": options.model.name, "memory_steps": options.memory_steps, "rows": found}))


def _agents(world: str, memory_steps: int) -> Iterator[AgentSpec]:
    for observation in _KINDS:
        for style in _STYLES:
            yield AgentSpec.model_validate(
                {
                    "world": world,
                    "observation": observation,
                    "style": style,
                    "memory_steps": memory_steps,
                    "rounds": _ROUNDS,
                }
            )


def _tasks(spec: AgentSpec, count: int, seed: int) -> Sequence[Task]:
    patterns = (EXPERT,) if spec.world == "miniwob" else ()
    return choose_tasks(open_environment(spec), "held-out-parameters", patterns, count, seed)


def prompt_tokens(spec: AgentSpec, tasks: Sequence[Task], runtime: Runtime) -> Iterator[int]:
    """The tokens of each prompt that a model would have been asked on the expert's way."""
    counts: list[int] = []
    expert = expert_answers(spec)

    def answer(situations: Sequence[Situation]) -> Sequence[str]:
        counts.extend(len(runtime.encode(chat_of(spec, one))) for one in situations)
        return expert(situations)

    play(spec, tasks, answer)
    yield from counts


if __name__ == "__main__":
    main()
