"""Long lists come in pages; listings, cards and pull requests say what the clients ask for."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_requests import ask
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.hf_api import RepoFile, RepoFolder

from zoo.hub import Endpoint
from zoo.local_hub import running

CARD = """---
license: apache-2.0
pipeline_tag: text-generation
library_name: transformers
tags: [agent, phone]
base_model: org/base
base_model_relation: finetune
datasets: [org/rows]
---
# Card
"""


@pytest.fixture(scope="module")
def paged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A Hub whose pages hold seven entries."""
    with running(tmp_path_factory.mktemp("paged"), page_items=7) as found:
        yield found


@pytest.fixture(scope="module")
def client(paged: Endpoint) -> HfApi:
    """Twenty files in folders, ten more commits, nine branches."""
    api = HfApi(endpoint=paged.url, token=paged.token)
    api.create_repo("a/b")
    files = [CommitOperationAdd(f"folder {n % 3}/datei-{n:02}-ü.txt", str(n).encode()) for n in range(20)]
    api.create_commit("a/b", files, commit_message="files")
    for number in range(10):
        api.create_commit("a/b", [CommitOperationAdd("a.txt", str(number).encode())], commit_message=f"c{number}")
    return api


def test_a_listing_is_followed_over_all_its_pages(client: HfApi, paged: Endpoint, tmp_path: Path) -> None:
    assert len(client.list_repo_files("a/b")) == 22
    below = list(client.list_repo_tree("a/b", "folder 1", recursive=True))
    assert len(below) == 7
    found = client.snapshot_download("a/b", cache_dir=tmp_path)
    assert len([path for path in Path(found).rglob("*") if path.is_file()]) == 22


def test_a_page_names_the_next_one_at_the_same_commit(client: HfApi, paged: Endpoint) -> None:
    first = ask(paged, "GET", "/api/models/a/b/tree/main?recursive=true")
    address, _, relation = first.headers["link"].partition(">; ")
    assert relation == 'rel="next"'
    assert f"/tree/{client.model_info('a/b').sha}?" in address
    assert "recursive=true" in address
    assert "link" not in ask(paged, "GET", "/api/models/a/b/tree/main?recursive=true&cursor=20").headers
    assert ask(paged, "GET", "/api/models/a/b/tree/main?cursor=-1").status == 400
    assert ask(paged, "GET", "/api/models/a/b/tree/main?cursor=x").status == 400


def test_a_history_is_followed_over_all_its_pages(client: HfApi) -> None:
    titles = [commit.title for commit in client.list_repo_commits("a/b")]
    assert titles == [*(f"c{number}" for number in reversed(range(10))), "files", "initial commit"]


def test_repositories_are_followed_over_all_their_pages(client: HfApi) -> None:
    for number in range(15):
        client.create_repo(f"many/n{number:02}", repo_type="dataset")
    assert len(list(client.list_datasets(author="many"))) == 15
    assert len(list(client.list_datasets(author="many", limit=3))) == 3
    assert len(list(client.list_datasets(author="many", limit=12))) == 12


def test_an_expanded_listing_tells_who_changed_what_last(client: HfApi) -> None:
    found = {item.path: item for item in client.list_repo_tree("a/b", recursive=True, expand=True)}
    titles = {path: item.last_commit.title for path, item in found.items() if item.last_commit}
    assert len(titles) == len(found) == 25
    assert titles["a.txt"] == "c9"
    assert titles["folder 0"] == titles["folder 0/datei-00-ü.txt"] == "files"
    assert titles[".gitattributes"] == "initial commit"
    assert isinstance(found["folder 0"], RepoFolder)
    paths = client.get_paths_info("a/b", ["a.txt", "folder 1"], expand=True)
    assert [item.last_commit.title for item in paths if item.last_commit] == ["c9", "files"]
    plain = client.get_paths_info("a/b", ["a.txt"])[0]
    assert isinstance(plain, RepoFile)
    assert plain.last_commit is None


def test_information_carries_the_cards_metadata(api: HfApi) -> None:
    api.create_repo("a/b")
    api.upload_file(path_or_fileobj=CARD.encode(), path_in_repo="README.md", repo_id="a/b")
    info = api.model_info("a/b")
    assert info.card_data is not None
    assert info.card_data.license == "apache-2.0"
    assert (info.pipeline_tag, info.library_name) == ("text-generation", "transformers")
    assert {"agent", "license:apache-2.0", "dataset:org/rows", "base_model:finetune:org/base"} <= set(info.tags or [])
    assert [model.id for model in api.list_models(filter="agent")] == ["a/b"]
    assert [model.id for model in api.list_models(filter="base_model:org/base")] == ["a/b"]
    assert list(api.list_models(filter="absent")) == []


@pytest.mark.parametrize("block", ["a: .nan", "a: 2026-01-01", "- a", "a: [", 'a: "\\ud800"'])
def test_odd_metadata_breaks_no_listing(api: HfApi, endpoint: Endpoint, block: str) -> None:
    """The client checks a card before it sends it; another client may not."""
    api.create_repo("a/b")
    content = base64.b64encode(f"---\n{block}\n---\n".encode()).decode()
    text = (
        '{"key": "header", "value": {"summary": "x"}}\n{"key": "file", "value": {"path": "README.md", "content": "%s"}}'
    )
    made = ask(endpoint, "POST", "/api/models/a/b/commit/main", (text % content).encode(), token=endpoint.token)
    assert made.status == 200
    assert api.model_info("a/b").id == "a/b"
    assert ask(endpoint, "GET", "/a/b").status == 200


def test_pull_requests_are_listed(api: HfApi) -> None:
    api.create_repo("a/b")
    for number in range(3):
        files = [CommitOperationAdd("a.txt", str(number).encode())]
        api.create_commit("a/b", files, commit_message=f"Try {number}", create_pr=True)
    found = list(api.get_repo_discussions("a/b"))
    assert [(pull.num, pull.title, pull.status, pull.is_pull_request) for pull in found] == [
        (3, "Try 2", "open", True),
        (2, "Try 1", "open", True),
        (1, "Try 0", "open", True),
    ]
    details = api.get_discussion_details("a/b", 2)
    assert (details.title, details.target_branch) == ("Try 1", "refs/heads/main")
    assert list(api.get_repo_discussions("a/b", discussion_type="discussion")) == []
