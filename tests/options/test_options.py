"""Options of the libraries are checked by name, type and choice, and the tables are those of the installed classes."""

import json
import subprocess
import sys
from typing import Any

import pytest

from zoo.options import LIBRARIES, OptionProblem, check
from zoo.options.fields import _GOLD_SETS, _LORA_SETS, _TRAINER_SETS
from zoo.options.tables import FILES, read, version_problems
from zoo.options.tables.generate import generate


def said(library: str, **options: Any) -> str:
    return "\n".join(str(problem) for problem in check(library, options))


@pytest.mark.parametrize("library", FILES)
def test_a_table_is_what_the_installed_library_has(library: str) -> None:
    assert json.loads(json.dumps(generate(library))) == read(library), "run `python -m zoo.options.tables`"


@pytest.mark.parametrize("library", FILES)
def test_the_installed_versions_are_those_of_the_tables(library: str) -> None:
    assert version_problems(library) == []


def test_checking_imports_neither_torch_nor_the_libraries() -> None:
    code = (
        "import sys; from zoo.options import LIBRARIES, check; [check(name, {}) for name in LIBRARIES]; "
        "print([name for name in ('torch', 'transformers', 'trl', 'peft', 'mergekit') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_mistyped_name_gets_the_right_one() -> None:
    assert said("trl.SFTConfig", learning_rat=1e-5).endswith("did you mean 'learning_rate'?")
    assert said("peft.LoraConfig", lora_alfa=32).endswith("did you mean 'lora_alpha'?")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("learning_rate", "1e-5", "'1e-5' is not a number; remove the quotes"),
        ("max_steps", 2.5, "2.5 is not an integer"),
        ("packing", 1, "1 is not true or false"),
        ("max_steps", True, "True is not an integer"),
        ("lr_scheduler_type", "cosin", "did you mean 'cosine'?"),
        ("loss_type", "nl", "did you mean 'nll'?"),
        ("optim", "adam_w", "'adam_w' is none of its values"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(option: str, value: Any, words: str) -> None:
    assert words in said("trl.SFTConfig", **{option: value})


def test_right_options_have_no_problem() -> None:
    trl = {"learning_rate": 1, "max_steps": 10, "lr_scheduler_type": "cosine", "max_length": None, "optim": "sgd"}
    lora = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear", "init_lora_weights": "pissa_niter_4"}
    assert said("trl.SFTConfig", **trl) == ""
    assert said("peft.LoraConfig", **lora) == ""
    assert said("peft.LoraConfig", target_modules=["q_proj", "v_proj"], init_lora_weights=False) == ""
    assert said("trl.GRPOConfig", num_generations=4, scale_rewards=False, loss_type="dr_grpo") == ""


@pytest.mark.parametrize("name", ["SFTConfig", "GRPOConfig", "GOLDConfig"])
def test_what_a_stage_sets_itself_names_the_key_of_the_recipe(name: str) -> None:
    assert "`checkpoint_steps`" in said(f"trl.{name}", save_steps=5)
    assert "`dtype" in said(f"trl.{name}", bf16=True)
    assert "`seed`" in said(f"trl.{name}", seed=1)
    assert "never run" in said(f"trl.{name}", trust_remote_code=True)


def test_every_option_that_a_stage_sets_exists_in_the_library() -> None:
    known = set(read("trl")["SFTConfig"]) | set(read("trl")["GRPOConfig"])
    assert set(_TRAINER_SETS) <= known and len(_TRAINER_SETS) > 40
    assert set(_GOLD_SETS) <= set(read("trl")["GOLDConfig"])
    assert set(_LORA_SETS) <= set(read("peft")["LoraConfig"])


def test_all_problems_are_reported_at_once() -> None:
    assert len(check("trl.SFTConfig", {"learning_rat": 1, "save_steps": 1, "max_steps": "x"})) == 3


def test_an_unknown_library_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match=r"no table of 'torch'; there is trl.SFTConfig"):
        check("torch", {})
    assert [check(name, {}) for name in LIBRARIES[:3]] == [[], [], []]


def test_a_problem_reads_as_one_sentence() -> None:
    assert str(OptionProblem("a.b", "1 is odd", "write 2")) == "a.b: 1 is odd; write 2"
    assert str(OptionProblem("", "nothing is said")) == "nothing is said"
