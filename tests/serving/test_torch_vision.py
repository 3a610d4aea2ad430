"""A checkpoint with eyes in transformers: what it answers depends on the picture, in a batch as alone."""

from collections.abc import Iterator
from pathlib import Path

import lively_model
import pytest
from PIL import Image

from zoo.agent import open_environment, play
from zoo.errors import DataError, ModelError
from zoo.playground import ModelAgent, ask_runtime
from zoo.prompt import messages, with_picture
from zoo.schema import AgentSpec
from zoo.serving import TorchRuntime, open_torch

SPEC = AgentSpec(style="terse", pictures="marks", rounds=2, answer_tokens=8)
WORDS = messages(SPEC, "Tap the red button.", [], "")
RED, BLUE = (with_picture(WORDS, Image.new("RGB", (112, 84), colour)) for colour in ("red", "blue"))
TALL = with_picture(WORDS, Image.new("RGB", (84, 224), "green"))


@pytest.fixture(scope="module")
def seeing(tiny_vlm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchRuntime]:
    with open_torch(lively_model.make(tiny_vlm, tmp_path_factory.mktemp("lively-vlm") / "model")) as runtime:
        yield runtime


def test_what_is_said_depends_on_the_picture_alone(seeing: TorchRuntime) -> None:
    red, blue, again = seeing.generate([RED, BLUE, RED], 12)
    assert red.text != blue.text
    assert (red.text, red.prompt_tokens) == (again.text, again.prompt_tokens)


def test_a_batch_of_pictures_and_words_is_answered_as_alone(seeing: TorchRuntime) -> None:
    chats = [TALL, WORDS, RED]
    together = seeing.generate(chats, 12)
    alone = [seeing.generate([chat], 12)[0] for chat in chats]
    assert [one.text for one in together] == [one.text for one in alone]
    assert [one.prompt_tokens for one in together] == [len(seeing.encode(chat)) for chat in chats]
    # 112 x 84 pixels are 4 x 3 tokens, where the words alone have none.
    assert len(seeing.encode(RED)) - len(seeing.encode(WORDS)) == 12 + 2


def test_a_model_without_eyes_and_a_stream_refuse_pictures(torch_runtime: TorchRuntime, seeing: TorchRuntime) -> None:
    with pytest.raises(ModelError, match=r"reads text only; set agent\.pictures to none"):
        torch_runtime.generate([RED], 4)
    with pytest.raises(DataError, match="not streamed"):
        seeing.stream(RED, 4)


def test_an_agent_with_eyes_acts_on_the_phone(seeing: TorchRuntime) -> None:
    agent = ModelAgent(SPEC, ask_runtime(SPEC, seeing))
    tasks = open_environment(SPEC).draw_tasks("train", 2, 0)
    episodes = play(SPEC, tasks, agent, batch=2)
    assert [len(episode.steps) for episode in episodes] == [2, 2]
    assert all(answer.prompt_tokens > 32 for spent in agent.spent.values() for answer in spent)
