"""Cards speak of the world that a model was made for: a phone, a desk, questions, or none that a record names."""

from dataclasses import replace
from typing import get_args

import example_records as example
import pytest
from huggingface_hub import DatasetCard, ModelCard, SpaceCard

from zoo.cards import CardData, PublishedRows, dataset_card, gguf_card, model_card, space_card
from zoo.cards.worlds import WORLDS, world_of_rows
from zoo.registry import ENVIRONMENTS
from zoo.schema import AgentSpec

APP = "---\ntitle: Agent\nsdk: gradio\nsdk_version: 6.31.0\napp_file: app.py\n---\n"


def in_world(world: str) -> CardData:
    """The example's publication, had it been made in another world."""
    agent = {**example.AGENT, "world": world}
    records = {
        name: replace(record, settings={**record.settings, "agent": agent}) if "agent" in record.settings else record
        for name, record in example.run().items()
    }
    data = example.data(records)
    return replace(data, rows=(PublishedRows(records["demos"], {"prompt": "list"}),), space=True)


def cards(data: CardData) -> dict[str, str]:
    return {
        "model": model_card(data),
        "GGUF": gguf_card(data),
        "dataset": dataset_card(data, "mit"),
        "space": space_card(data, "pocket-135m", APP),
    }


def test_every_world_has_its_words() -> None:
    assert set(WORLDS) == set(ENVIRONMENTS) == set(get_args(AgentSpec.model_fields["world"].annotation))
    assert len(WORLDS) == 7


@pytest.mark.parametrize(
    ("world", "place", "tag"),
    [
        ("phone-ten", "a simulated phone with ten apps", "phone"),
        ("desk", "a simulated service desk", "dialogue"),
        ("arithmetic", "generated arithmetic questions", "arithmetic"),
        ("miniwob", "the small web pages of MiniWoB++", "web"),
    ],
)
def test_each_card_names_its_world_and_no_other(world: str, place: str, tag: str) -> None:
    written = cards(in_world(world))
    assert all(place in card for name, card in written.items() if name != "dataset")
    assert WORLDS[world].rows in written["dataset"]
    for name, card in written.items():
        head = {"dataset": DatasetCard, "space": SpaceCard}.get(name, ModelCard)(card).data
        assert {"edgezoo", tag} <= set(head.tags), name
    if "phone" not in world:
        words = " ".join(card for name, card in written.items() if name != "space").lower()
        words = words.replace("a phone agent", "")  # the recipe's own summary
        assert "phone" not in words.replace("zoo/pocket-135m", "")


def test_what_to_beware_of_is_that_of_the_world() -> None:
    assert "signs in" in model_card(in_world("phone"))
    assert "give it no fact that it must not pass on" in model_card(in_world("desk"))
    assert "run them in a sandbox" in model_card(in_world("arithmetic"))


def test_a_split_is_told_as_its_world_has_it() -> None:
    assert "topics that were demonstrated, with combinations of facts" in model_card(in_world("desk"))
    assert "`held-out-app`" in model_card(in_world("phone-ten"))
    assert "`held-out-app`" not in model_card(in_world("phone"))


def test_an_agent_without_a_memory_is_not_said_to_have_one() -> None:
    assert "own last 4 assessments" in model_card(in_world("desk"))
    assert "assessments" not in model_card(in_world("arithmetic"))


def test_a_space_whose_page_cannot_hold_the_world_says_so() -> None:
    assert "which a page cannot hold" in cards(in_world("desk"))["space"]
    assert "which a page cannot hold" not in cards(in_world("phone-ten"))["space"]


def test_a_model_of_which_no_record_names_a_world_is_not_said_to_act() -> None:
    records = {
        name: replace(record, settings={key: value for key, value in record.settings.items() if key != "agent"})
        for name, record in example.run().items()
        if record.kind != "evaluate"
    }
    card = model_card(example.data(records))
    assert "Acting as an agent: *not run*." in card
    assert "recipes act" not in card
    assert "phone" not in ModelCard(card).data.tags


def test_rows_that_were_read_are_of_no_world() -> None:
    demos = in_world("desk").rows[0].record
    assert world_of_rows(demos) is WORLDS["desk"]
    assert world_of_rows(replace(demos, settings={**demos.settings, "source": "dataset"})) is None


def test_a_recipe_that_extends_another_is_fetched_with_it() -> None:
    data = in_world("desk")
    card = model_card(replace(data, recipe=replace(data.recipe, files=("recipe.yaml", "base.yaml"))))
    assert card.count("hf download zoo/pocket-135m recipe.yaml base.yaml --local-dir .") == 2
