"""huggingface_hub, unmodified, against the embedded Hub."""

import os
from pathlib import Path

import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    HfFileSystem,
    ModelCard,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from zoo.hub import Endpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "content"
    (made / "sub").mkdir(parents=True)
    (made / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Hällo\n", "utf-8")
    (made / "config.json").write_text('{"a": 1}')
    (made / "sub" / "ünicode name.txt").write_text("x")
    (made / "empty.txt").touch()
    (made / "model.safetensors").write_bytes(os.urandom(300_000))
    return made


@pytest.fixture
def repo(api: HfApi, folder: Path) -> str:
    api.create_repo("someone/thing")
    api.upload_folder(repo_id="someone/thing", folder_path=folder)
    return "someone/thing"


def test_the_token_tells_who_one_is(api: HfApi) -> None:
    me = api.whoami()
    assert me["name"] == "edgezoo"
    assert me["auth"]["accessToken"]["role"] == "write"


def test_a_repository_is_made_once(api: HfApi, endpoint: Endpoint) -> None:
    assert api.create_repo("someone/thing") == f"{endpoint.url}/someone/thing"
    assert api.create_repo("someone/thing", exist_ok=True).repo_id == "someone/thing"
    with pytest.raises(HfHubHTTPError, match="already created"):
        api.create_repo("someone/thing")
    assert api.create_repo("someone/thing", repo_type="dataset") == f"{endpoint.url}/datasets/someone/thing"


def test_an_uploaded_folder_comes_back_byte_for_byte(
    api: HfApi, endpoint: Endpoint, repo: str, folder: Path, tmp_path: Path
) -> None:
    there = snapshot_download(repo, endpoint=endpoint.url, token=False, cache_dir=tmp_path / "cache")
    sent = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert len(sent) == 5
    assert {path: (Path(there) / path).read_bytes() for path in sent} == sent


def test_the_same_upload_again_makes_no_commit(api: HfApi, repo: str, folder: Path) -> None:
    before = api.list_repo_commits(repo)
    api.upload_folder(repo_id=repo, folder_path=folder)
    assert api.list_repo_commits(repo) == before
    assert [commit.title for commit in before] == ["Upload folder using huggingface_hub", "initial commit"]


def test_information_carries_sizes_and_digests(api: HfApi, repo: str, folder: Path) -> None:
    info = api.model_info(repo, files_metadata=True)
    sizes = {file.rfilename: file.size for file in info.siblings or []}
    assert sizes["model.safetensors"] == 300_000
    assert sizes["empty.txt"] == 0
    weights = next(file for file in info.siblings or [] if file.rfilename == "model.safetensors")
    assert weights.lfs is not None
    assert weights.lfs.size == 300_000


def test_listings_are_flat_or_recursive(api: HfApi, repo: str) -> None:
    assert {item.path for item in api.list_repo_tree(repo)} == {
        ".gitattributes",
        "README.md",
        "config.json",
        "empty.txt",
        "model.safetensors",
        "sub",
    }
    assert [item.path for item in api.list_repo_tree(repo, "sub")] == ["sub/ünicode name.txt"]
    assert "sub/ünicode name.txt" in api.list_repo_files(repo)
    found = api.get_paths_info(repo, ["config.json", "sub", "absent"])
    assert [item.path for item in found] == ["config.json", "sub"]
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree(repo, "absent"))


def test_what_is_missing_has_its_own_exception(api: HfApi, endpoint: Endpoint, repo: str, tmp_path: Path) -> None:
    def download(name: str, path: str, revision: str = "main") -> None:
        hf_hub_download(name, path, revision=revision, endpoint=endpoint.url, cache_dir=tmp_path / "cache")

    with pytest.raises(RepositoryNotFoundError):
        download("someone/else", "config.json")
    with pytest.raises(RevisionNotFoundError):
        download(repo, "config.json", "absent")
    with pytest.raises(EntryNotFoundError):
        download(repo, "absent.json")
    with pytest.raises(RepositoryNotFoundError):
        download("gpt2", "config.json")
    assert api.file_exists(repo, "config.json")
    assert not api.file_exists(repo, "absent.json")
    assert not api.repo_exists("someone/else")


def test_branches_and_tags_are_revisions(api: HfApi, repo: str, endpoint: Endpoint, tmp_path: Path) -> None:
    first = api.model_info(repo).sha
    api.create_branch(repo, branch="exp/a")
    api.create_tag(repo, tag="v1.0", tag_message="one")
    with pytest.raises(HfHubHTTPError, match="already exists"):
        api.create_tag(repo, tag="v1.0")
    api.create_tag(repo, tag="v1.0", exist_ok=True)
    operations = [
        CommitOperationAdd("config.json", b'{"a": 2}'),
        CommitOperationDelete("sub/", is_folder=True),
        CommitOperationCopy("model.safetensors", "copy.safetensors"),
    ]
    on_branch = api.create_commit(repo, operations, commit_message="On the branch", revision="exp/a").oid
    assert api.model_info(repo).sha == first
    assert api.model_info(repo, revision="exp/a").sha == on_branch
    assert api.model_info(repo, revision=on_branch[:8]).sha == on_branch
    file = hf_hub_download(repo, "config.json", revision="exp/a", endpoint=endpoint.url, cache_dir=tmp_path / "c")
    assert Path(file).read_text() == '{"a": 2}'
    assert set(api.list_repo_files(repo, revision="exp/a")) == {
        ".gitattributes",
        "README.md",
        "config.json",
        "copy.safetensors",
        "empty.txt",
        "model.safetensors",
    }
    refs = api.list_repo_refs(repo)
    assert {branch.name: branch.target_commit for branch in refs.branches} == {"main": first, "exp/a": on_branch}
    assert [tag.ref for tag in refs.tags] == ["refs/tags/v1.0"]
    api.delete_branch(repo, branch="exp/a")
    api.delete_tag(repo, tag="v1.0")
    with pytest.raises(HfHubHTTPError, match="default branch"):
        api.delete_branch(repo, branch="main")


def test_a_commit_on_a_moved_branch_is_refused(api: HfApi, repo: str) -> None:
    stale = api.model_info(repo).sha
    api.upload_file(path_or_fileobj=b"1", path_in_repo="a.txt", repo_id=repo)
    with pytest.raises(HfHubHTTPError, match="A commit has happened since"):
        api.upload_file(path_or_fileobj=b"2", path_in_repo="a.txt", repo_id=repo, parent_commit=stale)


def test_a_pull_request_leaves_the_branch_alone(api: HfApi, repo: str) -> None:
    before = api.model_info(repo).sha
    made = api.create_commit(repo, [CommitOperationAdd("a.txt", b"1")], commit_message="Try", create_pr=True)
    assert made.pr_url is not None
    assert made.pr_url.endswith("/discussions/1")
    assert api.model_info(repo).sha == before
    assert "a.txt" in api.list_repo_files(repo, revision="refs/pr/1")
    pulls = api.list_repo_refs(repo, include_pull_requests=True).pull_requests or []
    assert [pull.ref for pull in pulls] == ["refs/pr/1"]


def test_files_and_repositories_can_be_deleted_and_moved(api: HfApi, repo: str) -> None:
    api.delete_file("config.json", repo)
    with pytest.raises(HfHubHTTPError, match="doesn't exist"):
        api.delete_file("config.json", repo)
    api.super_squash_history(repo)
    assert len(api.list_repo_commits(repo)) == 1
    api.move_repo(repo, "other/name")
    assert not api.repo_exists(repo)
    assert "model.safetensors" in api.list_repo_files("other/name")
    api.delete_repo("other/name")
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo("other/name")


def test_listing_repositories_by_owner(api: HfApi) -> None:
    for name in ("a/one", "a/two", "b/three"):
        api.create_repo(name)
    assert [model.id for model in api.list_models(author="a")] == ["a/two", "a/one"]
    assert [model.id for model in api.list_models(search="thr")] == ["b/three"]


def test_a_space_keeps_variables_but_no_secret(api: HfApi, root: Path) -> None:
    api.create_repo("someone/demo", repo_type="space", space_sdk="gradio", space_variables=[{"key": "A", "value": "1"}])
    api.add_space_variable("someone/demo", "B", "2")
    api.delete_space_variable("someone/demo", "A")
    assert {key: item.value for key, item in api.get_space_variables("someone/demo").items()} == {"B": "2"}
    api.add_space_secret("someone/demo", "KEY", "very-secret-value")
    assert api.get_space_runtime("someone/demo").stage == "STOPPED"
    assert api.request_space_hardware("someone/demo", "t4-small").requested_hardware == "t4-small"
    assert api.space_info("someone/demo").sdk == "gradio"
    assert b"very-secret-value" not in b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())


def test_file_systems_and_cards_work(endpoint: Endpoint, repo: str, api: HfApi) -> None:
    files = HfFileSystem(endpoint=endpoint.url, token=endpoint.token, skip_instance_cache=True)
    assert f"{repo}/config.json" in files.ls(repo, detail=False)
    with files.open(f"{repo}/config.json") as file:
        assert file.read() == b'{"a": 1}'
    card = ModelCard("---\nlicense: mit\n---\n# New\n")
    api.upload_file(path_or_fileobj=card.content.encode(), path_in_repo="README.md", repo_id=repo)
    with pytest.raises(ValueError, match="Invalid metadata"):
        api.upload_file(path_or_fileobj=b"---\na: [\n---\n", path_in_repo="README.md", repo_id=repo)


def test_gitignore_is_the_servers_to_apply(api: HfApi, tmp_path: Path) -> None:
    folder = tmp_path / "space"
    (folder / "runs").mkdir(parents=True)
    for path, text in ((".gitignore", "*.log\nruns/\n"), ("a.log", "x"), ("runs/b.txt", "x"), ("app.py", "x")):
        (folder / path).write_text(text)
    api.create_repo("someone/demo", repo_type="space", space_sdk="gradio")
    api.upload_folder(repo_id="someone/demo", repo_type="space", folder_path=folder)
    assert set(api.list_repo_files("someone/demo", repo_type="space")) == {".gitattributes", ".gitignore", "app.py"}
