"""An episode on the page: answers and what follows from them, a visitor's hand, a hand-over, a stop, a time limit."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from answerers import ENDPOINT, EXPERT, Answerers, EndpointChoice
from course import Over, after, expert_course
from episode import act, replay
from keepsake import as_data, as_gif
from phone_view import phone
from shelf import Shelf
from steps_view import ending, steps
from tasks import Tasks, playable
from turns import Turns
from visit import LONGEST_TASK, Cost, Visit

from zoo.actions import Action, write_answer
from zoo.errors import ModelError
from zoo.schema import AgentSpec
from zoo.space import SpaceModel, SpaceSettings


@pytest.fixture(scope="module")
def answerers(settings: SpaceSettings) -> Iterator[Answerers]:
    shelf = Shelf(settings)
    yield Answerers(settings, settings.agent.model_copy(update={"rounds": 15}), shelf, Turns())
    shelf.close()


@pytest.fixture(scope="module")
def tasks(settings: SpaceSettings, page_folder: Path) -> Tasks:
    return Tasks(settings, page_folder)


@pytest.fixture
def visit(answerers: Answerers, tasks: Tasks) -> Visit:
    return Visit(answerers.spec, tasks.first)


def run(visit: Visit, answerers: Answerers, name: str, **more: str) -> list:
    return list(act(visit, answerers, name, EndpointChoice(**more), pause_seconds=0))


def test_the_expert_solves_a_task_without_any_model(visit: Visit, answerers: Answerers) -> None:
    run(visit, answerers, EXPERT)
    assert isinstance(visit.now, Over)
    assert visit.now.success
    assert len(visit.answers) == visit.expert_steps
    assert answerers.shelf.loaded == []
    assert "Solved" in ending(visit)


def test_an_episode_is_the_same_wherever_it_is_looked_at(visit: Visit, answerers: Answerers) -> None:
    run(visit, answerers, EXPERT)
    seen = [visit.screen(step).observation() for step in range(len(visit.answers) + 1)]
    now = visit.now
    assert [step.observation for step in now.steps] == seen[:-1]
    again = after(visit.spec, visit.task, visit.answers)
    assert [step.action for step in again.steps] == [step.action for step in now.steps]
    assert again.environment.stored == now.environment.stored


def test_a_visitor_taps_and_hands_over(visit: Visit, answerers: Answerers) -> None:
    visit.touch(Action("tap", (1,)))
    visit.touch(Action("home"))
    run(visit, answerers, EXPERT)
    assert isinstance(visit.now, Over)
    assert visit.now.success
    assert [cost.by for cost in visit.costs[:3]] == ["you", "you", "agent"]
    assert 'class="tag">you' in steps(visit, 0)


def test_a_visitors_own_steps_take_none_from_the_agent(visit: Visit) -> None:
    for _ in range(3):
        visit.touch(Action("home"))
        visit.touch(Action("back"))
    assert visit._patient().rounds == visit.spec.rounds + 6


def test_a_model_acts_and_every_step_has_its_cost(visit: Visit, answerers: Answerers) -> None:
    moments = run(visit, answerers, "Tiny Q8_0")
    assert visit.answers
    assert all(cost.by == "agent" and cost.tokens > 0 for cost in visit.costs)
    assert not moments[-1].doing
    assert not moments[-1].problem
    assert answerers.shelf.loaded == ["Tiny Q8_0"]


def test_a_stop_ends_an_episode_between_two_steps_and_it_can_go_on(visit: Visit, answerers: Answerers) -> None:
    going = act(visit, answerers, EXPERT, EndpointChoice(), pause_seconds=0)
    while not visit.answers:
        next(going)
    visit.stop.set()
    list(going)
    assert (visit.ended, visit.running, len(visit.answers)) == ("stopped", False, 1)
    assert "you stopped it" in ending(visit)
    visit.stop.clear()
    run(visit, answerers, EXPERT)
    assert visit.now.success


def test_an_abandoned_episode_does_not_look_as_if_it_ran(visit: Visit, answerers: Answerers) -> None:
    going = act(visit, answerers, EXPERT, EndpointChoice(), pause_seconds=0)
    next(going)
    assert visit.running
    going.close()
    assert not visit.running


def test_an_episode_ends_when_its_seconds_are_used_up(visit: Visit, answerers: Answerers) -> None:
    visit.give(write_answer("", "", Action("home")), Cost("agent", seconds=10_000.0))
    run(visit, answerers, EXPERT)
    assert visit.ended == "time"
    assert len(visit.answers) == 1


def test_recorded_episodes_play_without_a_model_and_end_as_they_did(visit: Visit, tasks: Tasks) -> None:
    assert len(tasks.courses) == 6
    for course in tasks.courses:
        own = Visit(visit.spec, tasks.first)
        list(replay(own, course, pause_seconds=0))
        assert isinstance(own.now, Over)
        assert (own.now.success, own.now.ended) == (course.success, course.ended)


def test_a_known_task_is_found_whatever_its_case_and_stops(tasks: Tasks) -> None:
    known = tasks.instructions[3]
    assert tasks.find(known.upper().rstrip(".") + " ")[0].instruction == known
    assert tasks.find(known)[1] == ""


def test_a_task_in_other_words_is_cut_and_not_judged(visit: Visit, tasks: Tasks, answerers: Answerers) -> None:
    task, words = tasks.find("paint the house " * 1000)
    assert len(words) == LONGEST_TASK
    visit.begin(task, words)
    visit.give(write_answer("", "", Action("finish", ("done",))), Cost("agent"))
    assert isinstance(visit.now, Over)
    assert "No check" in ending(visit)
    assert as_data(visit)["success"] is None


def test_what_a_model_says_is_shown_as_text_and_never_as_html(visit: Visit) -> None:
    evil = "<img src=x onerror=alert(1)>"
    visit.give(write_answer(evil, evil, Action("finish", (evil,))), Cost("agent"))
    shown = steps(visit, 0) + phone(visit.screen(0), visit.action(0)) + ending(visit)
    assert "onerror" in shown
    assert "<img src=x" not in shown


def test_an_unreadable_answer_is_a_step_like_any_other(visit: Visit) -> None:
    visit.give("I do not know", Cost("agent"))
    assert "no readable call" in steps(visit, 0)
    assert visit.action(0) is None


def test_everything_that_can_be_touched_has_a_button_with_a_name(visit: Visit) -> None:
    drawn = phone(visit.screen(0))
    assert drawn.count('data-call="tap"') == len(visit.screen(0).layout().touchable)
    assert drawn.count("aria-label=") == drawn.count("<button")
    assert "<button" not in phone(visit.screen(0), touchable=False)


def test_an_episode_is_kept_as_json_and_gif(visit: Visit, answerers: Answerers) -> None:
    run(visit, answerers, EXPERT)
    data = as_data(visit)
    assert data["success"] is True
    assert len(data["steps"]) == data["expert_steps"] == len(visit.answers)
    assert as_gif(visit)[:6] == b"GIF89a"


def test_a_missing_file_is_said_without_the_machines_folders(settings: SpaceSettings, visit: Visit) -> None:
    gone = SpaceModel(name="gone", path="/nowhere/at/all/model.gguf")
    page = settings.model_copy(update={"models": (gone,)})
    answerers = Answerers(page, visit.spec, Shelf(page), Turns())
    last = run(visit, answerers, "gone")[-2:]
    assert any("cannot be fetched" in moment.problem for moment in last)
    assert all("/nowhere" not in moment.problem for moment in last)


def test_a_file_that_is_no_model_is_said_without_the_machines_folders(
    settings: SpaceSettings, visit: Visit, tmp_path: Path
) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF" + bytes(100))
    page = settings.model_copy(update={"models": (SpaceModel(name="broken", path=str(tmp_path / "model.gguf")),)})
    answerers = Answerers(page, visit.spec, Shelf(page), Turns())
    (problem,) = [moment.problem for moment in run(visit, answerers, "broken") if moment.problem]
    assert "cannot be opened" in problem
    assert str(tmp_path) not in problem


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080/v1", "https://169.254.169.254/latest", "file:///etc/passwd", "https://good.example@evil/",
        "https://good.example.evil.org/v1", "http://good.example/v1", "https://[::1]/v1", "not a url", "",
    ],
)  # fmt: skip
def test_a_public_page_asks_no_address_but_those_that_it_names(settings: SpaceSettings, url: str) -> None:
    page = settings.model_copy(update={"local": False, "endpoint_hosts": ("good.example",)})
    answerers = Answerers(page, page.agent, Shelf(page), Turns())
    assert ENDPOINT in answerers.names
    with pytest.raises(ModelError):
        answerers._allowed(url)
    assert answerers._allowed("https://good.example/v1") == "https://good.example/v1"


def test_a_public_page_that_names_no_host_offers_no_endpoint(settings: SpaceSettings) -> None:
    page = settings.model_copy(update={"local": False})
    assert ENDPOINT not in Answerers(page, page.agent, Shelf(page), Turns()).names


def test_a_world_that_a_page_cannot_hold_becomes_the_embedded_phone() -> None:
    assert playable(AgentSpec(world="miniwob")).world == "phone"
    assert playable(AgentSpec(world="phone-ten")).world == "phone-ten"
    assert playable(AgentSpec(pictures="marks")).pictures == "none"


def test_a_page_of_another_world_has_tasks_of_the_phone_whatever_its_split(settings: SpaceSettings) -> None:
    desk = settings.model_copy(update={"agent": AgentSpec(world="arithmetic"), "split": "held-out-app"})
    assert len(Tasks(desk, Path("nowhere")).instructions) >= 30


def test_the_experts_way_is_found_for_every_task_on_offer(answerers: Answerers, tasks: Tasks) -> None:
    assert len(tasks.instructions) >= 30
    for words in tasks.instructions:
        task, _ = tasks.find(words)
        assert after(answerers.spec, task, expert_course(answerers.spec, task)).success
