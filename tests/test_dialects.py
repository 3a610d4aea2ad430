"""ReTool's tags, read, written and kept to a grammar; devices keep theirs."""

import json

import pytest

from zoo.actions import Action, read_call, write
from zoo.dialects import DEVICE, dialect_of
from zoo.prompt import messages
from zoo.schema import AgentSpec

CODE, ALONE = dialect_of("arithmetic"), dialect_of("arithmetic-alone")
ACTIONS = (Action("code", ("print(1 < 2)",)), Action("code", ("n = 1\nprint(n)",)), Action("finish", ("2 * 3",)))


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("reasoning", ["", "Let me compute."])
def test_what_is_written_is_read_again(action: Action, reasoning: str) -> None:
    answer = CODE.read(CODE.write(reasoning, "", action))
    assert answer.action == action and (answer.reasoning or "") == reasoning and not answer.extra_text
    assert read_call(write(action)) == action


@pytest.mark.parametrize(
    ("text", "action"),
    [
        (
            "<code>\nprint(1)\n</code>\n<interpreter>\n1\n</interpreter><answer>1</answer>",
            Action("code", ("print(1)",)),
        ),
        ("<answer> 7 </answer><code>print(1)</code>", Action("finish", ("7",))),
        ("<code>```python\nprint(1)\n```</code>", Action("code", ("print(1)",))),
        ("So:\n```python\nprint(1)\n```", Action("code", ("print(1)",))),
        (r"It is \boxed{42}.", Action("finish", ("42",))),
        (r"<answer>\boxed{42}</answer>", Action("finish", ("42",))),
        ("<code></code>", None),
        ("<code>print(1)", None),
        ("tap(3)", None),
        ("", None),
    ],
)
def test_the_first_readable_call_counts(text: str, action: Action | None) -> None:
    assert CODE.read(text).action == action


def test_without_an_interpreter_a_program_is_not_heard() -> None:
    assert ALONE.read("<code>print(1)</code>").action is None
    assert ALONE.read("<code>print(1)</code><answer>1</answer>").action == Action("finish", ("1",))


def test_an_endpoint_answers_in_data() -> None:
    said = json.dumps({"reasoning": "so", "call": {"name": "code", "source": "print(1)"}})
    assert CODE.read(CODE.read_data(said)).action == Action("code", ("print(1)",))
    assert CODE.read_data("no data") == "no data"
    names = [one["properties"]["name"]["const"] for one in ALONE.schema(None)["properties"]["call"]["anyOf"]]
    assert names == ["finish"]


def test_the_prompt_holds_the_question_and_all_that_was_run_and_no_phone() -> None:
    agent = AgentSpec(world="arithmetic", style="terse", memory="none")
    system, user = messages(
        agent, "What is 6 * 7?", [], "<code>\nprint(6 * 7)\n</code>\n<interpreter>\n42\n</interpreter>"
    )
    assert "<code>" in system["content"] and "tap" not in system["content"]
    assert user["content"].startswith("What is 6 * 7?\n\n<code>") and user["content"].endswith("</interpreter>")


def test_devices_speak_as_before() -> None:
    assert dialect_of("phone") is dialect_of("android") is DEVICE
