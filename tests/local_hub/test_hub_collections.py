"""Collections, through huggingface_hub's own methods."""

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from zoo.hub import Endpoint
from zoo.local_hub.tokens import Tokens


@pytest.fixture(autouse=True)
def _repositories(api: HfApi, root: object) -> None:
    api.create_repo("a/model")
    api.create_repo("a/rows", repo_type="dataset")
    api.create_repo("a/demo", repo_type="space", space_sdk="gradio")
    for found in list(api.list_collections()):
        api.delete_collection(found.slug)


def test_a_collection_lives_through_its_methods(api: HfApi) -> None:
    made = api.create_collection("Small Agents: 1", description="What a phone holds", private=False)
    assert made.slug.startswith("edgezoo/small-agents-1-")
    for item, kind in (("a/model", "model"), ("a/rows", "dataset"), ("a/demo", "space")):
        api.add_collection_item(made.slug, item, kind)
    found = api.get_collection(made.slug)
    assert [(item.item_id, item.item_type, item.position) for item in found.items] == [
        ("a/model", "model", 0),
        ("a/rows", "dataset", 1),
        ("a/demo", "space", 2),
    ]
    api.update_collection_item(made.slug, found.items[2].item_object_id, position=0, note="Try it")
    api.delete_collection_item(made.slug, found.items[1].item_object_id)
    found = api.get_collection(made.slug)
    assert [(item.item_id, item.note) for item in found.items] == [("a/demo", "Try it"), ("a/model", None)]
    changed = api.update_collection_metadata(made.slug, title="Agents", private=True)
    assert (changed.slug, changed.title, changed.private) == (made.slug, "Agents", True)
    assert [listed.slug for listed in api.list_collections(owner="edgezoo")] == [made.slug]
    assert [listed.slug for listed in api.list_collections(item="models/a/model")] == [made.slug]
    assert list(api.list_collections(item="models/a/other")) == []
    assert list(api.list_collections(owner="somebody")) == []
    api.delete_collection(made.slug)
    api.delete_collection(made.slug, missing_ok=True)
    with pytest.raises(HfHubHTTPError, match="no collection"):
        api.get_collection(made.slug)


def test_what_exists_is_said_or_taken(api: HfApi) -> None:
    made = api.create_collection("One")
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_collection("One")
    assert api.create_collection("One", exists_ok=True).slug == made.slug
    api.add_collection_item(made.slug, "a/model", "model")
    with pytest.raises(HfHubHTTPError, match="already"):
        api.add_collection_item(made.slug, "a/model", "model")
    assert len(api.add_collection_item(made.slug, "a/model", "model", exists_ok=True).items) == 1
    with pytest.raises(HfHubHTTPError, match="no model 'a/absent'"):
        api.add_collection_item(made.slug, "a/absent", "model")


def test_a_private_collection_and_every_change_need_a_token(api: HfApi, endpoint: Endpoint, root: object) -> None:
    made = api.create_collection("Secret", private=True)
    anonymous = HfApi(endpoint=endpoint.url, token=False)
    assert list(anonymous.list_collections()) == []
    with pytest.raises(HfHubHTTPError, match="no collection"):
        anonymous.get_collection(made.slug)
    with pytest.raises(HfHubHTTPError, match="401"):
        anonymous.delete_collection(made.slug)
    tokens = Tokens(root)  # type: ignore[arg-type]
    reader = HfApi(endpoint=endpoint.url, token=tokens.add("collector", "read"))
    tokens_made = [token.name for token in tokens.all()]
    assert reader.get_collection(made.slug).title == "Secret"
    with pytest.raises(HfHubHTTPError, match="may only read"):
        reader.add_collection_item(made.slug, "a/model", "model")
    tokens.revoke("collector")
    assert "collector" in tokens_made


@pytest.mark.parametrize("title", ["", "   ", "x" * 61])
def test_a_title_is_checked(api: HfApi, title: str) -> None:
    with pytest.raises(HfHubHTTPError, match="title"):
        api.create_collection(title)
