import re
from dataclasses import replace
from itertools import pairwise

import example_records as example
import pytest
from huggingface_hub import ModelCard
from jinja2 import UndefinedError

from zoo.cards import CardData, gguf_card, model_card, tables
from zoo.cards.metadata import license_fields
from zoo.cards.results import comparisons
from zoo.metrics import rate
from zoo.records import Metric

HEADINGS = ["What it does", "Use", "Results", "Files", "How it was made", "Limits and safety", "Licence", "Citation"]


def row(card: str, first_cell: str) -> list[str]:
    """The cells of the table row that begins so."""
    [line] = [line for line in card.splitlines() if line.startswith(f"| {first_cell}")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_the_sections_stand_in_their_order() -> None:
    card = model_card(example.data())
    assert re.findall(r"^## (.+)$", card, re.MULTILINE) == HEADINGS


def test_the_hub_reads_the_head_of_the_models_card() -> None:
    head = ModelCard(model_card(example.data())).data
    assert head.license == "apache-2.0"
    assert head.library_name == "transformers"
    assert head.pipeline_tag == "text-generation"
    assert head.base_model == ["HuggingFaceTB/SmolLM2-135M-Instruct"]
    assert head.base_model_relation == "merge"
    assert head.datasets is None


def test_the_leaderboard_entry_is_of_the_published_model_alone() -> None:
    head = ModelCard(model_card(example.data())).data
    [result] = head.eval_results
    assert (result.metric_type, result.metric_value) == ("success_rate", 0.34)
    assert result.dataset_split == "held-out-parameters"
    assert result.metric_args["n"] == 100
    assert result.metric_args["low_95"] < 0.34 < result.metric_args["high_95"]


def test_without_an_evaluation_of_the_published_model_there_is_no_leaderboard_entry() -> None:
    records = example.run()
    del records["grpo-score"]
    card = model_card(example.data(records))
    assert ModelCard(card).data.eval_results is None
    assert "(this model)" not in card
    assert "How often it fails: *not run*." in card


def test_a_model_without_a_merge_behind_it_is_a_finetune() -> None:
    data = replace(example.data(), model="stage:key-of-sft")
    assert ModelCard(model_card(data)).data.base_model_relation == "finetune"


def test_a_model_that_began_from_nothing_on_a_hub_names_no_base() -> None:
    records = {
        name: replace(
            record,
            inputs={place: value.replace(example.BASE, "stage:tiny") for place, value in record.inputs.items()},
        )
        for name, record in example.run().items()
    }
    head = ModelCard(model_card(example.data(records))).data
    assert head.base_model is None
    assert not hasattr(head, "base_model_relation")


def test_a_dataset_of_a_hub_is_named_with_its_revision() -> None:
    records = example.run()
    inputs = {**records["sft"].inputs, "data": "hkuds/OpenPhone_dataset@0123abc"}
    records["sft"] = replace(records["sft"], inputs=inputs, notes={"rows": 5550})
    card = model_card(example.data(records))
    assert ModelCard(card).data.datasets == ["hkuds/OpenPhone_dataset"]
    assert row(card, "`hkuds/OpenPhone_dataset`")[1:] == ["`0123abc`", "sft", "5,550 rows"]


def test_the_exports_are_quantised_from_the_published_model() -> None:
    head = ModelCard(gguf_card(example.data())).data
    assert (head.base_model, head.base_model_relation) == ("zoo/pocket-135m", "quantized")


def test_a_licence_that_spdx_does_not_list_keeps_its_name() -> None:
    assert license_fields("LicenseRef-Qwen-Research") == {"license": "other", "license_name": "qwen-research"}


def test_each_label_has_its_row_with_n_and_interval() -> None:
    card = model_card(example.data())
    assert row(card, "base ")[1:4] == ["0.0 %", "100", "0.0 to 3.7 %"]
    assert row(card, "after SFT ")[1:4] == ["61.0 %", "100", "51.2 to 70.0 %"]
    assert row(card, "**after GRPO** (this model)")[4:] == ["44.0 %", "97.0 %", "4.31", "0.482"]


def test_a_stage_that_lowered_success_is_said_plainly() -> None:
    card = model_card(example.data())
    assert "- merged → after GRPO: 58.0 % → 34.0 %, **lower**, beyond the 95 % intervals." in card


def test_a_difference_inside_the_intervals_is_called_that() -> None:
    card = model_card(example.data())
    assert "61.0 % → 58.0 %, **lower**, but within the interval" in card


def test_evaluations_on_different_tasks_are_not_compared() -> None:
    before, after = example.evaluation("a", "x", 10), example.evaluation("b", "y", 20)
    after = replace(after, settings={**after.settings, "split": "train"})
    [sentence] = comparisons({"first": before, "second": after})
    assert sentence == (
        "first → second: not compared, since they were measured on different tasks or with other settings."
    )


def test_equal_rates_are_called_the_same() -> None:
    [sentence] = comparisons({"a": example.evaluation("a", "x", 10), "b": example.evaluation("b", "y", 10)})
    assert sentence.endswith("the same.")


def test_a_missing_metric_says_not_run_and_leaves_no_number() -> None:
    card = model_card(example.data(example.without_metric(example.run(), "verify", "q8_0.same_action")))
    cells = row(card, "**`Pocket-135M-Q8_0.gguf`**")
    assert cells[-2] == tables.NOT_RUN
    assert "93.8" not in card


def test_a_missing_success_rate_says_not_run_everywhere() -> None:
    card = model_card(example.data(example.without_metric(example.run(), "grpo-score", "success_rate")))
    assert row(card, "**after GRPO** (this model)")[1:4] == [tables.NOT_RUN] * 3
    assert "merged → after GRPO: *not run*" in card
    assert "34.0" not in card
    assert ModelCard(card).data.eval_results is None


def test_a_column_that_nobody_measured_is_left_out() -> None:
    records = example.run()
    for name in ("base-score", "sft-score", "merged-score", "grpo-score"):
        records = example.without_metric(records, name, "sub_goal_rate")
    assert "sub-goals" not in model_card(example.data(records))


def test_what_was_not_run_says_so_instead_of_vanishing() -> None:
    records = {name: record for name, record in example.run().items() if record.kind in ("data", "sft")}
    data = replace(example.data(records), model="stage:key-of-sft")
    card = model_card(data)
    assert "Evaluation: *not run*." in card
    assert "Exports: *not run*." in card
    assert "llama-server" not in card
    assert re.findall(r"^## (.+)$", card, re.MULTILINE) == HEADINGS


def test_splits_that_were_not_measured_are_listed_as_not_run() -> None:
    card = model_card(example.data())
    assert "- Measured on `held-out-parameters`" in card
    assert re.search(r"`held-out-templates` \(.+\): \*not run\*", card)
    assert "On a real phone, in other languages or in general conversation: *not run*." in card


def test_the_smallest_file_that_passed_its_gate_is_recommended() -> None:
    for card in (model_card(example.data()), gguf_card(example.data())):
        assert "Recommended: `Pocket-135M-Q8_0.gguf`" in card
        assert row(card, "**`Pocket-135M-Q8_0.gguf`**")[2] == "144,811,072"


def test_a_file_beyond_its_gate_is_not_recommended() -> None:
    records = example.run()
    notes = {"files": [example.verified("f16"), example.verified("q8_0", passed=False)]}
    records["verify"] = replace(records["verify"], notes=notes)
    card = gguf_card(example.data(records))
    assert "Recommended: `Pocket-135M-F16.gguf`" in card
    assert row(card, "`Pocket-135M-Q8_0.gguf`")[-1] == "**failed**"


def test_an_optional_file_that_fell_short_is_named_with_its_reason() -> None:
    records = example.run()
    notes = {"files": [example.verified("f16")], "withheld": {"model-Q4_K_M.gguf": ["top1 is 0.81, below 0.85"]}}
    records["verify"] = replace(records["verify"], notes=notes)
    card = gguf_card(example.data(records))
    assert "`model-Q4_K_M.gguf` fell short of its gate and is not published: top1 is 0.81, below 0.85." in card


def test_nothing_is_recommended_when_nothing_was_verified() -> None:
    data = example.data()
    assert data.gguf is not None
    card = gguf_card(replace(data, gguf=replace(data.gguf, verify=None)))
    assert "Recommended: none" in card
    assert "Comparison with the checkpoint: *not run*." in card


def test_no_card_of_exports_is_written_without_an_export() -> None:
    with pytest.raises(ValueError, match="needs the record of an export"):
        gguf_card(replace(example.data(), gguf=None))


def test_stages_show_the_figures_that_a_reader_looks_for_first() -> None:
    card = model_card(example.data())
    assert row(card, "sft ")[-1] == "train loss 0.213 nats, 812,345 tokens"
    assert row(card, "grpo ")[-1] == "reward 1.41 → 1.62, reward format 0.88 → 0.97"
    assert row(card, "merged       | merge")[-1] == "distance from base 0.9 of the way"


def test_every_stage_and_both_repositories_are_in_the_drawing() -> None:
    card = model_card(example.data())
    [drawing] = re.findall(r"```mermaid\n(.+?)```", card, re.DOTALL)
    for name, record in example.run().items():
        assert f'["{name}<br/>({record.kind})"]' in drawing
    assert '(["HuggingFaceTB/SmolLM2-135M-Instruct<br/>@12fd25f"])' in drawing
    assert '[["zoo/pocket-135m"]]' in drawing
    assert '[["zoo/pocket-135m-GGUF"]]' in drawing
    nodes = set(re.findall(r"^  (n\d+)[\[(]", drawing, re.MULTILINE))
    edges = re.findall(r"^  (n\d+) --> (n\d+)$", drawing, re.MULTILINE)
    assert len(nodes) == len(example.run()) + 3
    assert {node for edge in edges for node in edge} == nodes


def test_an_input_from_a_folder_is_drawn_without_its_path() -> None:
    records = example.run()
    records["demos"] = replace(records["demos"], inputs={"dataset": "sha256:0a1b2c"})
    card = model_card(example.data(records))
    assert '(["sha256 input"])' in card


def test_the_tiny_twin_warns_above_everything_else() -> None:
    records = example.run()
    records["sft"] = replace(records["sft"], tiny=True)
    for card in (model_card(example.data(records)), gguf_card(example.data(records))):
        title, warning = card.index("\n# "), card.index("no evidence of quality")
        assert title < warning < card.index("A phone agent for two CPU cores.")
    assert "no evidence of quality" not in model_card(example.data())


def test_the_command_that_reproduces_a_run_repeats_its_overrides() -> None:
    recipe = replace(example.data().recipe, overrides=("sft.trl.learning_rate=1e-4", "name=a b"), tiny=True)
    card = model_card(replace(example.data(), recipe=recipe))
    assert "recipes run recipe.yaml --set sft.trl.learning_rate=1e-4 --set 'name=a b' --tiny" in card


def test_a_recipe_with_backticks_cannot_leave_its_block() -> None:
    recipe = replace(example.data().recipe, text="# ```\n# </details>\nname: x\n")
    card = model_card(replace(example.data(), recipe=recipe))
    assert "````yaml\n# ```\n" in card


def test_a_label_with_a_bar_stays_one_cell() -> None:
    data = example.data()
    card = model_card(replace(data, scores={"a|b": data.scores["base"]}))
    assert row(card, "a\\|b")[1] == "0.0 %"


def test_a_template_cannot_write_what_no_record_says() -> None:
    records = example.run()
    broken = {name: value for name, value in records["grpo-score"].settings.items() if name != "agent"}
    agent = {name: value for name, value in example.AGENT.items() if name != "rounds"}
    records["grpo-score"] = replace(records["grpo-score"], settings={**broken, "agent": agent})
    with pytest.raises(UndefinedError, match="rounds"):
        model_card(example.data(records))


def test_tables_are_aligned_in_their_source() -> None:
    card = model_card(example.data())
    lines = card.splitlines()
    tables_found = [
        [line for line in lines[start:] if line.startswith("|")][:4]
        for start, line in enumerate(lines)
        if line.startswith("| :")
    ]
    assert len(tables_found) == 7
    for line, after in pairwise(lines):
        if line.startswith("|") and after.startswith("|"):
            assert len(line) == len(after)


def test_no_line_of_a_card_ends_in_a_placeholder() -> None:
    for card in (model_card(example.data()), gguf_card(example.data())):
        assert not re.search(r"\{\{|\{%|None|nan|Undefined", card)
        assert "\n\n\n" not in card


def test_a_vision_model_is_used_through_its_processor() -> None:
    data: CardData = replace(example.data(), pipeline_tag="image-text-to-text")
    card = model_card(data)
    assert "AutoProcessor.from_pretrained" in card
    assert ModelCard(card).data.pipeline_tag == "image-text-to-text"


def test_exports_that_lack_the_vision_tower_say_so_and_promise_text_only() -> None:
    records = example.run()
    records["gguf"] = replace(records["gguf"], notes={"images": "The vision tower is not part of these files."})
    card = gguf_card(replace(example.data(records), pipeline_tag="image-text-to-text"))
    assert "The vision tower is not part of these files." in card
    assert ModelCard(card).data.pipeline_tag == "text-generation"


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        (Metric(0.00429), "0.00429"),
        (Metric(2.4e-6, "nats"), "2.4e-06 nats"),
        (Metric(12_345.6, "tokens"), "12,346 tokens"),
        (Metric(0.0), "0"),
        (None, "*not run*"),
    ],
)
def test_numbers_are_written_with_three_digits_and_their_unit(metric: Metric | None, text: str) -> None:
    assert tables.figure(metric) == text


def test_a_rate_without_an_interval_shows_none() -> None:
    assert tables.interval(Metric(0.5)) == tables.NOT_RUN
    assert tables.interval(rate(5, 10)) == "23.7 to 76.3 %"
