import csv
import json

import pytest
from openpyxl import load_workbook

from zoo.agent import expert_answers, random_answers
from zoo.answering.models import grammar_for
from zoo.errors import DataError, ModelError
from zoo.playground import (
    EPISODES_NAME,
    EpisodeLog,
    EpisodeRecord,
    ModelAgent,
    Session,
    StepRecord,
    ask_runtime,
    choose_tasks,
    groups,
    measures,
    write_csv,
    write_xlsx,
)
from zoo.playground.scores import reasonable_operations
from zoo.schema import AgentSpec
from zoo.serving import Generation

TERSE = AgentSpec(style="terse")
TASKS = choose_tasks(TERSE, "train", (), 12, seed=0)


def session(folder, answer=None, tasks=TASKS, **settings):
    return Session(TERSE, tasks, answer or expert_answers(TERSE), EpisodeLog(folder, {"model": "expert"}), **settings)


def steps(*screens, action="back()"):
    return tuple(StepRecord(screen, "", action, 0.5) for screen in screens)


def episode(number=0, success=True, **fields):
    known = {"task": f"t{number}", "template": "clock.alarm", "kind": "operation", "app": "clock", "instruction": "Do."}
    return EpisodeRecord(
        **{**known, "number": number, "success": success, "sub_goals": (success, False), "ended": "finish", **fields}
    )


def test_every_episode_is_written_with_what_the_expert_would_need(tmp_path):
    records = session(tmp_path).run()
    assert [record.number for record in records] == list(range(12))
    assert all(record.success and record.expert_steps == len(record.steps) for record in records)
    lines = [json.loads(line) for line in (tmp_path / EPISODES_NAME).read_text("utf-8").splitlines()]
    assert {line["task"] for line in lines} == {task.id for task in TASKS}
    assert set(lines[0]["steps"][0]) > {"observation", "answer", "action", "seconds"}


def test_a_stopped_evaluation_goes_on_where_it_was_and_ends_with_the_same(tmp_path):
    whole = session(tmp_path / "whole", random_answers(0)).run()
    asked = []

    def stops(situations):
        asked.append(len(situations))
        if len(asked) == 12:
            raise KeyboardInterrupt
        return random_answers(0)(situations)

    with pytest.raises(KeyboardInterrupt):
        session(tmp_path / "cut", stops, batch=2).run()
    begun = len(EpisodeLog(tmp_path / "cut", {"model": "expert"}).finished)
    assert 0 < begun < 12
    with (tmp_path / "cut" / EPISODES_NAME).open("a") as file:
        file.write('{"number": 11, "task": "cut o')
    played = []

    def counts(situations):
        played.extend(situation.task.id for situation in situations)
        return random_answers(0)(situations)

    again = session(tmp_path / "cut", counts, batch=3).run()
    assert len(set(played)) == 12 - begun
    assert [[step.action for step in record.steps] for record in again] == [
        [step.action for step in record.steps] for record in whole
    ]


def test_a_log_of_other_settings_is_refused(tmp_path):
    with EpisodeLog(tmp_path, {"model": "a", "seed": 1}).held():
        pass
    with pytest.raises(DataError, match=r"seed: 1 there, 2 now"):
        EpisodeLog(tmp_path, {"model": "a", "seed": 2})


def test_a_line_that_is_no_episode_is_named(tmp_path):
    session(tmp_path, tasks=TASKS[:1]).run()
    with (tmp_path / EPISODES_NAME).open("a") as file:
        file.write('{"task": 3}\n')
    with pytest.raises(DataError, match=f"{EPISODES_NAME}:2: no episode"):
        EpisodeLog(tmp_path, {"model": "expert"})


def test_tasks_are_chosen_by_pattern_and_their_lack_is_said():
    chosen = choose_tasks(TERSE, "train", ("clock.*",), 9, seed=0)
    assert len({task.id for task in chosen}) == 9
    assert {task.app for task in chosen} == {"clock"}
    assert chosen == choose_tasks(TERSE, "train", ("clock.*",), 9, seed=0)
    with pytest.raises(DataError, match=r"--tasks flying\.\*: 0 tasks of train, 1 are too many.*clock\."):
        choose_tasks(TERSE, "train", ("flying.*",), 1, seed=0)
    with pytest.raises(DataError, match=r"10000000 are too many.*ask for at most"):
        choose_tasks(TERSE, "train", (), 10_000_000, seed=0)


class Runtime:
    """A model that always taps the first element, and says what it cost."""

    def generate(self, chats, max_new_tokens):
        return [Generation("<CALLED_FUNCTION>tap(1)</CALLED_FUNCTION>", 9, len(chat), 0.0, 0.0) for chat in chats]


class Constrainable(Runtime):
    """The same, and keeps the grammars that it was given."""

    def __init__(self):
        self.grammars = []

    def generate(self, chats, max_new_tokens, grammar=None):
        self.grammars += [grammar] * len(chats)
        return super().generate(chats, max_new_tokens)


def test_what_a_model_spent_is_kept_step_by_step(tmp_path):
    agent = ModelAgent(TERSE, ask_runtime(TERSE, Runtime()))
    records = session(tmp_path, agent, batch=5).run()
    assert {step.tokens for record in records for step in record.steps} == {9}
    assert measures(records)["tokens_per_step"].value == 9.0
    assert measures(records)["prompt_tokens_per_step"].value == 2.0
    assert not agent.spent


def test_a_constrained_agent_has_the_grammar_of_its_own_screen(tmp_path):
    spec = TERSE.model_copy(update={"constrained": True, "rounds": 2})
    runtime = Constrainable()
    agent = ModelAgent(spec, ask_runtime(spec, runtime))
    Session(spec, TASKS[:1], agent, EpisodeLog(tmp_path, {})).run()
    assert len(runtime.grammars) == 2
    assert 'index ::= "1" | "2" | "3" | "4"\n' in runtime.grammars[0]
    assert runtime.grammars[0] == grammar_for(spec, [{"content": ";;Home\n [1] x\n [2] x\n [3] x\n [4] x"}])


def test_a_runtime_without_grammars_says_so_before_it_answers():
    with pytest.raises(ModelError, match="export the model to GGUF"):
        ask_runtime(TERSE.model_copy(update={"constrained": True}), Runtime())


def test_the_four_measures_of_androidlab_on_episodes_counted_by_hand():
    records = [
        episode(0, True, expert_steps=2, steps=steps("a", "b", "b", "c")),
        episode(1, False, expert_steps=3, steps=steps("a", "a"), sub_goals=(True, False, False, False)),
        episode(2, False, steps=(), sub_goals=(), ended="error"),
    ]
    found = measures(records)
    assert (found["success_rate"].value, found["success_rate"].n) == (pytest.approx(1 / 3), 3)
    assert found["sub_goal_rate"].value == pytest.approx((1 + 0.25 + 0) / 3)
    assert (found["reversed_redundancy"].value, found["reversed_redundancy"].n) == (50.0, 1)
    assert reasonable_operations(records[0]) == pytest.approx(100 * 2 / 3)
    assert (found["reasonable_operations"].value, found["reasonable_operations"].n) == (pytest.approx(100 / 3), 2)
    assert found["error_rate"].value == pytest.approx(1 / 3)
    assert found["sub_goal_rate"].low < found["sub_goal_rate"].value < found["sub_goal_rate"].high


def test_the_agreement_of_a_judge_leaves_out_what_it_left_open():
    verdicts = [(True, True), (True, False), (False, False), (False, None)]
    found = measures([episode(at, won, judge={"verdict": said, "text": ""}) for at, (won, said) in enumerate(verdicts)])
    assert (found["judge_agreement"].value, found["judge_agreement"].n) == (pytest.approx(2 / 3), 3)
    assert found["judged_success_rate"].value == pytest.approx(1 / 3)
    assert "judge_agreement" not in measures([episode()])


def test_groups_are_all_then_apps_then_lengths_in_order():
    records = [
        episode(0, app="clock", expert_steps=12),
        episode(1, app="settings", expert_steps=2),
        episode(2, app="clock", expert_steps=20),
        episode(3, app="clock"),
    ]
    assert [(group.by, group.name, len(group.records)) for group in groups(records)] == [
        ("all", "all", 4),
        ("app", "clock", 3),
        ("app", "settings", 1),
        ("length", "1 to 3 steps", 1),
        ("length", "11 to 15 steps", 1),
        ("length", "16 steps or more", 1),
    ]


def test_the_tables_hold_the_same_numbers_and_no_formulas(tmp_path):
    records = [episode(0, instruction="=1+1"), episode(1, False, app="settings")]
    write_csv(records, tmp_path / "table.csv")
    write_xlsx(records, tmp_path / "table.xlsx")
    with (tmp_path / "table.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    first = lines[0]
    assert (first["by"], first["measure"], float(first["value"]), first["n"]) == ("all", "success_rate", 0.5, "2")
    book = load_workbook(tmp_path / "table.xlsx")
    assert [cell.value for cell in book["measures"][2]][2:4] == ["success_rate", 0.5]
    assert book["measures"].max_row == len(lines) + 1
    assert book["episodes"]["E2"].value == "'=1+1"
    assert not list(tmp_path.glob("*.part"))


# zipfile tries once more to close the archive that it could not write, and says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_leaves_the_tables_of_before(tmp_path):
    records = [episode(0), episode(1, False, app="settings")]
    for write, name in ((write_csv, "table.csv"), (write_xlsx, "table.xlsx")):
        file = tmp_path / name
        write(records[:1], file)
        before = file.read_bytes()
        (tmp_path / "table.part").symlink_to("/dev/full")
        with pytest.raises(OSError, match="No space left"):
            write(records, file)
        assert file.read_bytes() == before
        (tmp_path / "table.part").unlink()
        write(records, file)
        assert file.read_bytes() != before


def test_an_instruction_with_marks_that_no_spreadsheet_holds_is_written_without_them(tmp_path):
    write_xlsx([episode(0, instruction="Ring \x07 the\x00bell")], tmp_path / "table.xlsx")
    told = load_workbook(tmp_path / "table.xlsx")["episodes"]["E2"].value
    assert told == "Ring \N{REPLACEMENT CHARACTER} the\N{REPLACEMENT CHARACTER}bell"
