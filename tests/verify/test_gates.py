"""Gates: the recipe's own stand, the rest is the default of the precision, and nothing that was not measured passes."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from zoo.formats import onnx_files
from zoo.metrics import Agreement
from zoo.recipe import load
from zoo.schema import Gate, VerifySpec
from zoo.verify.check import Check
from zoo.verify.comparison import ActionAgreement, Closeness
from zoo.verify.gates import default_gate, gate_of
from zoo.verify.report import GENERAL, STEPS, FileReport
from zoo.verify.tasks import TaskAgreement
from zoo.verify.verdict import failures

SOUND = Agreement(
    positions=2000, same_top=1999, mean_kl=2e-6, p99_kl=1e-5, max_kl=1e-4, perplexity=9.0, perplexity_ratio=1.0,
    largest_difference=0.3,
)  # fmt: skip
TASKS = TaskAgreement(tasks=50, reference_successes=40, successes=39, same_outcome=49)


def report(type_: str = "f16", steps: Agreement = SOUND, general: Agreement = SOUND, **more: object) -> FileReport:
    near = {STEPS: Closeness(steps, ()), GENERAL: Closeness(general, ())}
    return replace(FileReport("model.gguf", type_, 1, (Check("loads", True),), near), **more)  # type: ignore[arg-type]


def found(one: FileReport, gate: Gate | None = None, tasks: int = 0) -> str:
    return "\n".join(failures(one, gate_of(one.type, {one.type: gate} if gate else {}, tasks)))


def test_a_file_is_held_to_the_default_of_its_precision() -> None:
    gates = [default_gate(type_) for type_ in ("f32", "f16", "bf16", "q8_0", "q6_k", "q4_k_m", "iq4_nl")]
    assert [gate.mean_kl for gate in gates] == [1e-5, 1e-5, 1.1e-3, 1e-2, 0.1, 0.1, 0.1]
    assert [gate.top1 for gate in gates] == [0.998, 0.998, 0.975, 0.95, 0.85, 0.85, 0.85]
    assert [gate.perplexity_ratio for gate in gates[3:5]] == [1.02, 1.1]
    graphs = [default_gate(variant).mean_kl for variant in onnx_files.FILES]
    assert graphs == [1e-8, 1e-4, 1e-2, 0.1, 1e-2, 0.1]
    assert not found(report())
    assert "mean_kl is 0.02 nats on the agent's steps" in found(report("q8_0", replace(SOUND, mean_kl=0.02)))
    assert not found(report("q4_k_m", replace(SOUND, mean_kl=0.02)))


def test_an_explicit_gate_stands_and_only_what_it_leaves_open_is_filled_in() -> None:
    gate = gate_of("q8_0", {"q8_0": Gate(mean_kl=0.5, top1=0.1)}, tasks=0)
    assert (gate.mean_kl, gate.top1, gate.perplexity_ratio, gate.success_drop) == (0.5, 0.1, 1.02, None)
    assert gate_of("q8_0", {"q8_0": Gate(mean_kl=1, top1=0, perplexity_ratio=3)}, 0).perplexity_ratio == 3


def test_general_text_is_held_to_the_gate_by_itself() -> None:
    assert "top1 is 0.9000 of 2000 positions on general text" in found(report(general=replace(SOUND, same_top=1800)))
    assert "perplexity_ratio is 1.0200 on general text" in found(report(general=replace(SOUND, perplexity_ratio=1.02)))


@pytest.mark.parametrize("measure", ["mean_kl", "perplexity_ratio"])
def test_what_is_no_number_is_no_pass(measure: str) -> None:
    assert f"{measure} is nan" in found(report(steps=replace(SOUND, **{measure: math.nan})))


def test_four_bits_may_cost_two_points_of_success_when_tasks_are_run() -> None:
    assert not found(report("q4_k_m", tasks=TASKS), tasks=50)
    worse = replace(TASKS, successes=38)
    assert "success_drop is 4.0 points (38 of 50 tasks, the checkpoint 40)" in found(
        report("q4_k_m", tasks=worse), None, 50
    )
    few = TaskAgreement(tasks=12, reference_successes=3, successes=2, same_outcome=11)
    assert "at most 2 is allowed; one task is 8.3 points, so run more" in found(report("q4_k_m", tasks=few), tasks=12)
    assert "one task is" not in found(report("q4_k_m", tasks=replace(worse, successes=30)), tasks=50)
    assert "not measured" in found(report("q4_k_m"), tasks=50)
    assert not found(report("q4_k_m"), tasks=0)
    assert not found(report("f16", tasks=worse), tasks=50)
    strict = Gate(mean_kl=1, top1=0, success_drop=0)
    assert "at most 0 is allowed" in found(report("f16", tasks=TASKS), strict, 50)


def test_the_same_action_is_asked_of_those_steps_on_which_the_checkpoint_acts() -> None:
    gate = Gate(mean_kl=1, top1=0, same_action=0.95)
    actions = ActionAgreement(steps=16, called=10, same=9, readable=12, same_text=3)
    assert "same_action is 0.900 of 10 steps" in found(report(actions=actions), gate)


@pytest.mark.parametrize(
    ("type_", "advice"),
    [
        ("f32", "another checkpoint"),
        ("f16", "try: f32"),
        ("q8_0", "larger type (f16)"),
        ("q4_k_m", "(q5_k_m), an imp"),
        ("fp32", "another checkpoint"),
        ("fp16", "try: fp32"),
        ("int8", "larger type (fp16)"),
        ("genai-int4", "(genai-int8), or `optional: [genai-int4]`"),
    ],
)
def test_a_file_that_falls_short_is_told_what_to_try(type_: str, advice: str) -> None:
    assert advice in found(report(type_, replace(SOUND, mean_kl=1.0)))


def test_a_broken_check_explains_the_numbers_after_it() -> None:
    broken = report(checks=(Check("weights", None, "not run"), Check("stop tokens", False, "goes on after 2")))
    assert "generation_config.json" in found(broken).splitlines()[-1]
    assert "weights" not in found(broken)


def test_a_loss_of_success_cannot_be_asked_for_without_tasks() -> None:
    spec = {"export": "./a", "against": "./b", "gates": {"q8_0": {"mean_kl": 1, "top1": 0, "success_drop": 1}}}
    with pytest.raises(ValueError, match=r"gates\.q8_0\.success_drop needs tasks"):
        VerifySpec(**spec)
    assert VerifySpec(**spec, tasks=5).gates["q8_0"].success_drop == 1


def test_default_is_a_word_for_no_gate_of_ones_own() -> None:
    assert VerifySpec(export="./a", against="./b", gates={"f16": "default"}) == VerifySpec(export="./a", against="./b")
    assert load(Path("recipes/pocket-135m.yaml")).recipe.stages["verify"].gates["f16"].same_action == 0.95  # type: ignore[attr-defined]
