"""Who may see and change what."""

import json
import stat
from pathlib import Path

import pytest
from hub_requests import ask
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from zoo.hub import Endpoint
from zoo.local_hub import token_of


@pytest.fixture
def private(api: HfApi) -> str:
    api.create_repo("a/secret", private=True)
    api.upload_file(path_or_fileobj=b"{}", path_in_repo="config.json", repo_id="a/secret")
    return "a/secret"


def test_a_private_repository_does_not_exist_for_others(endpoint: Endpoint, private: str, api: HfApi) -> None:
    anonymous = HfApi(endpoint=endpoint.url, token=False)
    with pytest.raises(RepositoryNotFoundError):
        anonymous.model_info(private)
    assert ask(endpoint, "GET", f"/{private}/resolve/main/config.json").status == 404
    assert list(anonymous.list_models()) == []
    assert [model.id for model in api.list_models()] == [private]
    assert api.model_info(private).private


def test_a_repository_can_be_opened_to_all(endpoint: Endpoint, private: str, api: HfApi) -> None:
    api.update_repo_settings(private, private=False)
    assert not HfApi(endpoint=endpoint.url, token=False).model_info(private).private


def test_a_wrong_token_is_refused_even_where_none_is_needed(endpoint: Endpoint, api: HfApi) -> None:
    api.create_repo("a/open")
    assert HfApi(endpoint=endpoint.url, token=False).model_info("a/open").id == "a/open"
    with pytest.raises(HfHubHTTPError, match="Invalid credentials"):
        HfApi(endpoint=endpoint.url, token="hf_wrong").model_info("a/open")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/whoami-v2"),
        ("POST", "/api/repos/create"),
        ("DELETE", "/api/repos/delete"),
        ("POST", "/api/repos/move"),
        ("PUT", "/api/models/a/open/settings"),
        ("POST", "/api/models/a/open/preupload/main"),
        ("POST", "/api/models/a/open/commit/main"),
        ("POST", "/api/models/a/open/branch/x"),
        ("DELETE", "/api/models/a/open/branch/x"),
        ("POST", "/api/models/a/open/tag/main"),
        ("DELETE", "/api/models/a/open/tag/x"),
        ("POST", "/api/models/a/open/super-squash/main"),
        ("POST", "/a/open.git/info/lfs/objects/batch"),
    ],
)
def test_changing_anything_needs_the_token(endpoint: Endpoint, api: HfApi, method: str, path: str) -> None:
    api.create_repo("a/open")
    body = json.dumps({"name": "open", "organization": "a", "fromRepo": "a/open", "toRepo": "a/x", "tag": "x"}).encode()
    for token in (None, "hf_wrong"):
        assert ask(endpoint, method, path, body, token=token).status == 401
    assert api.list_repo_commits("a/open")[0].title == "initial commit"


def test_only_the_owner_may_read_the_token_file(endpoint: Endpoint, root: Path) -> None:
    assert stat.S_IMODE((root / "token").stat().st_mode) == 0o600
    assert token_of(root) == endpoint.token
    assert (endpoint.token or "").startswith("hf_")
    assert endpoint.token not in repr(endpoint)


def test_another_host_name_gets_nothing(endpoint: Endpoint) -> None:
    assert ask(endpoint, "GET", "/api/models", headers={"Host": "attacker.example"}).status == 400
    assert ask(endpoint, "GET", "/api/models", headers={"Host": "localhost"}).status == 200
