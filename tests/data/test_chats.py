"""Conversations of other people's datasets as rows."""

import json
from pathlib import Path
from typing import Any

import pytest

from zoo.data import columns
from zoo.errors import DataError

TOOLED = [
    {"role": "user", "content": "Weather in Paris?"},
    {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "function": {"name": "get", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "1", "name": "get", "content": "18 degrees"},
    {"role": "assistant", "content": "18 degrees."},
]
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 8


def written(folder: Path, *records: Any) -> Path:
    file = folder / "data.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


def chat(**changes: Any) -> dict[str, Any]:
    return {"source": "dataset", "format": "chat", **changes}


def test_a_conversation_with_tools_stays_whole_with_its_results_as_messages_of_their_own(
    made: Any, tmp_path: Path
) -> None:
    tools = [{"type": "function", "function": {"name": "get", "parameters": {}}}]
    rows, result, out = made(chat(), dataset=written(tmp_path, {"messages": TOOLED, "tools": json.dumps(tools)}))
    (row,) = rows
    assert [message["role"] for message in row["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert row["messages"][1]["tool_calls"][0]["function"] == {"name": "get", "arguments": {}}
    assert row["messages"][2]["tool_call_id"] == "1"
    assert row["tools"] == tools
    assert set(columns(out)) == {"messages", "tools", "task"}
    assert result.notes["rows_per_template"] == []


def test_only_the_last_turn_is_taught_where_the_recipe_says_so(made: Any, tmp_path: Path) -> None:
    (row,), _, _ = made(chat(turns="last"), dataset=written(tmp_path, {"messages": TOOLED}))
    assert row["completion"] == [{"role": "assistant", "content": "18 degrees."}]
    assert len(row["prompt"]) == 3 and "messages" not in row


def test_sharegpts_names_and_calls_are_read(made: Any, tmp_path: Path) -> None:
    turns = [("system", "Be brief."), ("human", "Go."), ("function_call", '{"name": "go", "arguments": {"x": 1}}')]
    turns += [("observation", "gone"), ("gpt", "Done.")]
    record = {"conversations": [{"from": who, "value": said} for who, said in turns]}
    (row,), _, _ = made(chat(), dataset=written(tmp_path, record))
    assert [one["role"] for one in row["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
    assert row["messages"][2]["tool_calls"] == [{"type": "function", "function": {"name": "go", "arguments": {"x": 1}}}]


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "Two and two?", "completion": "Four."},
        {"prompt": [{"role": "user", "content": "Two and two?"}], "completion": "Four."},
        {"instruction": "Two and two?", "input": "", "output": "Four."},
    ],
)
def test_prompts_with_completions_and_instructions_become_one_turn(
    made: Any, tmp_path: Path, record: dict[str, Any]
) -> None:
    (row,), _, _ = made(chat(), dataset=written(tmp_path, record))
    assert row["prompt"] == [{"role": "user", "content": "Two and two?"}]
    assert row["completion"] == [{"role": "assistant", "content": "Four."}]


def test_pictures_of_a_chat_are_kept_beside_its_row_and_their_marks_taken_out(made: Any, tmp_path: Path) -> None:
    (tmp_path / "shot.png").write_bytes(PNG)
    parts = [{"type": "image"}, {"type": "text", "text": "What is this?"}]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": "Red."}]
    rows, result, out = made(
        chat(), dataset=written(tmp_path, {"messages": messages, "images": ["shot.png"]}, {"messages": messages})
    )
    (row,) = rows
    assert row["messages"][0]["content"] == "What is this?"
    assert (out / row["images"][0]).read_bytes() == PNG
    assert result.notes["dropped"] == {"not as many pictures as <image> marks": 1}


def test_what_cannot_be_learned_is_dropped_with_its_reason(made: Any, tmp_path: Path) -> None:
    user = {"role": "user", "content": "Hi."}
    good = {"messages": [user, {"role": "assistant", "content": "Hello."}]}
    bad = [
        {"messages": []},
        {"messages": [user]},
        {"messages": [user, {"role": "wizard", "content": "?"}]},
        {"messages": [user, "text"]},
        {"messages": [user, {"role": "assistant", "content": "", "tool_calls": "{no json"}]},
    ]
    rows, result, _ = made(chat(), dataset=written(tmp_path, good, *bad))
    assert len(rows) == 1 and result.notes["made"] == 6
    assert result.notes["dropped"] == {
        "a conversation that does not end with the assistant": 1,
        "a message of the role 'wizard'": 1,
        "a message that is no object": 1,
        "a tool or tool call that is no JSON": 1,
        "no messages": 1,
    }


def test_columns_that_nobody_knows_are_named(made: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has the columns a, b; format chat reads messages"):
        made(chat(), dataset=written(tmp_path, {"a": 1, "b": 2}))


def test_rows_of_two_kinds_in_one_file_are_refused(made: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 1 has `text`, row 2 has `prompt`"):
        made(chat(), dataset=written(tmp_path, {"text": "a"}, {"prompt": "a", "completion": "b"}))


def test_rows_of_a_data_stage_are_read_again_as_they_are(made: Any) -> None:
    rows, _, folder = made({"tasks": 2})
    again, _, _ = made(chat(), dataset=folder)
    assert again == rows
