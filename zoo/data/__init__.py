"""Rows to learn from: what the stages `data` and `tiny-rows` write, and how it is read again.

`rows.jsonl` holds one JSON object a line, all of one of three kinds:

- steps: `prompt` and `completion` (lists of messages, the completion of one message of the assistant), and for steps of
  an agent `solution` (the right call, canonical), `task`, `template`, `step` (from 0);
- conversations: `messages` (with tool calls and tool results), `tools` where the dataset has them, `task`;
- plain text: `text`, `task`.

`task` says where a row came from. Rows with pictures have `images`, paths relative to the folder. `tiny-rows` writes
OpenPhone's raw columns instead, for `data` to read.
"""

from zoo.data.rows import ROWS_NAME, columns, read_rows
from zoo.data.stage import run
from zoo.data.tiny import run_tiny_rows

__all__ = ["ROWS_NAME", "columns", "read_rows", "run", "run_tiny_rows"]
