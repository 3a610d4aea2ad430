import pytest

from zoo.agent import chat_of, expert_answers, play, run_episodes
from zoo.environments.phone import draw_tasks
from zoo.memory import about_tokens, noted, remembered
from zoo.prompt import messages
from zoo.schema import AgentSpec

NOTES = [f"On screen {number}; need {number + 1}." for number in range(8)]
SCREEN = ";;Home\n [1] ;click; ;;Clock"


def agent(**settings):
    return AgentSpec(style="terse", **settings)


def user(spec, notes, count=about_tokens):
    return messages(spec, "Open Clock.", notes, SCREEN, count)[1]["content"]


def test_the_defaults_are_the_prompts_and_the_keys_of_before():
    assert AgentSpec().model_dump(mode="json") == {
        "world": "phone",
        "style": "openphone",
        "observation": "xml",
        "memory_steps": 10,
        "rounds": 25,
        "answer_tokens": 256,
    }
    assert remembered(AgentSpec(memory_steps=3), NOTES) == NOTES[-3:]
    assert remembered(AgentSpec(), NOTES) == NOTES
    assert user(agent(memory_steps=2), NOTES).startswith(f"Task: Open Clock.\nPast: {NOTES[-2]} {NOTES[-1]}\nScreen:")


def test_a_field_that_came_later_is_in_a_key_only_when_it_is_set():
    changed = agent(memory="folded", memory_tokens=40, constrained=True, episode_seconds=9.0).model_dump(mode="json")
    assert changed.items() >= {"memory": "folded", "memory_tokens": 40, "constrained": True}.items()
    assert AgentSpec.model_validate(changed).model_dump(mode="json") == changed


def test_the_oldest_are_folded_into_one_line_and_not_dropped():
    shown = remembered(agent(memory="folded", memory_steps=3), NOTES)
    assert shown[1:] == NOTES[-3:]
    assert shown[0] == "Before: On screen 0 > On screen 1 > On screen 2 > On screen 3 > On screen 4"
    assert "\n" not in shown[0]


def test_what_is_said_again_and_again_is_folded_once():
    notes = ["On Home; need Clock."] * 4 + ["On Clock."]
    assert remembered(agent(memory="folded", memory_steps=1), notes) == ["Before: On Home", "On Clock."]


def test_without_anything_older_nothing_is_folded():
    assert remembered(agent(memory="folded", memory_steps=8), NOTES) == NOTES


@pytest.mark.parametrize("memory", ["assessments", "folded", "actions"])
@pytest.mark.parametrize("tokens", [0, 1, 5, 6, 11, 12, 20, 40, 1000])
def test_the_memory_keeps_its_tokens_and_never_touches_instruction_or_screen(memory, tokens):
    spec = agent(memory=memory, memory_tokens=tokens, memory_steps=5)
    shown = remembered(spec, NOTES)
    assert sum(map(about_tokens, shown)) <= tokens
    whole = user(spec, NOTES)
    assert "Open Clock." in whole
    assert whole.endswith(SCREEN)


def test_the_newest_notes_are_the_last_to_go():
    assert remembered(agent(memory_tokens=5), NOTES) == NOTES[-1:]
    assert remembered(agent(memory_tokens=4), NOTES) == []


def test_a_fold_is_cut_at_its_old_end():
    shown = remembered(agent(memory="folded", memory_steps=1, memory_tokens=20), NOTES)
    assert shown[0].startswith("Before: ... > ")
    assert shown[0].endswith("On screen 6")


def test_the_counter_that_is_passed_in_decides():
    spec = agent(memory_tokens=2)
    assert remembered(spec, NOTES, count=lambda text: 1) == NOTES[-2:]
    assert user(spec, NOTES, count=lambda text: 3).startswith("Task: Open Clock.\nPast: none\n")


def test_no_memory_is_no_memory():
    assert user(agent(memory="none"), NOTES).startswith("Task: Open Clock.\nPast: none\n")


def test_a_step_leaves_what_the_memory_keeps():
    assert noted(agent(), "On Home.", "back()") == "On Home."
    assert noted(agent(memory="actions"), "On Home.", "back()") == "back()"
    assert noted(agent(), None, "back()") is None
    assert noted(agent(memory="actions"), "On Home.", None) is None


def test_an_agent_that_remembers_its_actions_is_shown_its_calls():
    asked = []

    def generate(chats):
        asked.append(chats[0][1]["content"])
        return ["<STATE_ASSESSMENT>Here.</STATE_ASSESSMENT><CALLED_FUNCTION>tap(1)</CALLED_FUNCTION>"]

    run_episodes(agent(memory="actions", rounds=3), draw_tasks("train", 1, seed=0), generate)
    assert "Past: tap(1) tap(1)\n" in asked[2]


def test_the_expert_solves_its_tasks_whatever_it_remembers():
    tasks = draw_tasks("train", 20, seed=1)
    for memory in ("folded", "actions", "none"):
        spec = agent(memory=memory)
        assert all(episode.success for episode in play(spec, tasks, expert_answers(spec), batch=4))


def test_a_chat_is_what_the_loop_asks():
    seen = []

    def answer(situations):
        seen.extend(chat_of(agent(), one) for one in situations)
        return ["<CALLED_FUNCTION>finish()</CALLED_FUNCTION>"] * len(situations)

    (task,) = draw_tasks("train", 1, seed=0)
    (episode,) = play(agent(), [task], answer)
    assert seen == [messages(agent(), task.instruction, [], episode.steps[0].observation)]
