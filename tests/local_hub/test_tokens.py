"""Several tokens, with the right to read or to write, and gates that need one."""

import json
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner
from hub_requests import ask
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

from zoo.cli.hubs import hub
from zoo.errors import HubError
from zoo.hub import Endpoint
from zoo.local_hub.tokens import Tokens


@pytest.fixture
def tokens(root: Path, endpoint: Endpoint) -> Tokens:
    found = Tokens(root)
    for token in found.all():
        found.revoke(token.name)
    return found


def test_a_reader_sees_private_repositories_and_changes_nothing(api: HfApi, endpoint: Endpoint, tokens: Tokens) -> None:
    api.create_repo("a/secret", private=True)
    reader = HfApi(endpoint=endpoint.url, token=tokens.add("reader", "read"))
    assert reader.whoami()["auth"]["accessToken"] == {"displayName": "reader", "role": "read"}
    assert reader.model_info("a/secret").private
    for change in (
        lambda: reader.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id="a/secret"),
        lambda: reader.create_repo("a/new"),
        lambda: reader.delete_repo("a/secret"),
        lambda: reader.create_branch("a/secret", branch="x"),
        lambda: reader.create_tag("a/secret", tag="x"),
        lambda: reader.update_repo_settings("a/secret", private=False),
        lambda: reader.move_repo("a/secret", "a/other"),
    ):
        with pytest.raises(HfHubHTTPError, match="403"):
            change()
    assert api.list_repo_files("a/secret") == [".gitattributes"]


def test_a_writer_changes_things_until_it_is_revoked(api: HfApi, endpoint: Endpoint, tokens: Tokens) -> None:
    secret = tokens.add("ci", "write")
    writer = HfApi(endpoint=endpoint.url, token=secret)
    writer.create_repo("a/b")
    writer.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id="a/b")
    tokens.revoke("ci")
    with pytest.raises(HfHubHTTPError, match="Invalid credentials"):
        writer.upload_file(path_or_fileobj=b"y", path_in_repo="x.txt", repo_id="a/b")


def test_a_token_is_shown_once_and_kept_as_a_digest(root: Path, tokens: Tokens) -> None:
    secret = tokens.add("once", "read")
    assert secret.startswith("hf_")
    assert len(secret) == 37
    assert not any(secret.encode() in file.read_bytes() for file in root.rglob("*") if file.is_file())
    assert secret not in repr(tokens.all())
    with pytest.raises(HubError, match="already"):
        tokens.add("once", "read")
    with pytest.raises(HubError, match="cannot name a token"):
        tokens.add("owner", "write")
    with pytest.raises(HubError, match="did you mean 'once'"):
        tokens.revoke("onse")


@pytest.mark.parametrize("sent", ["Bearer hf_wrong", "Bearer ", "Basic aGY6eA==", "hf_x", "Bearer é\udcff"])
def test_what_is_no_token_opens_nothing(endpoint: Endpoint, tokens: Tokens, sent: str) -> None:
    header = {"Authorization": sent.encode("utf-8", "surrogateescape").decode("latin-1")}
    assert ask(endpoint, "GET", "/api/whoami-v2", headers=header).status == 401


def test_no_token_is_ever_logged(
    endpoint: Endpoint, tokens: Tokens, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = tokens.add("quiet", "write")
    for token in (secret, endpoint.token or "", "hf_" + "0" * 34):
        for path in ("/api/whoami-v2", "/api/models/a/absent", "/a/b/resolve/main/x", "/nothing/is/here"):
            answer = ask(endpoint, "GET", path, token=token)
            assert token.encode() not in answer.body + repr(answer.headers).encode()
    said = capfd.readouterr()
    assert "hf_" not in caplog.text + said.out + said.err


def test_a_gated_repository_is_listed_but_its_files_need_a_token(
    api: HfApi, endpoint: Endpoint, tokens: Tokens, tmp_path: Path
) -> None:
    api.create_repo("a/gated")
    api.upload_file(path_or_fileobj=b"{}", path_in_repo="config.json", repo_id="a/gated")
    api.update_repo_settings("a/gated", gated="auto")
    anonymous = HfApi(endpoint=endpoint.url, token=False)
    assert anonymous.model_info("a/gated").gated == "auto"
    assert "config.json" in anonymous.list_repo_files("a/gated")
    assert [model.id for model in anonymous.list_models(gated=True)] == ["a/gated"]
    with pytest.raises(GatedRepoError, match="needs a token"):
        hf_hub_download("a/gated", "config.json", endpoint=endpoint.url, token=False, cache_dir=tmp_path / "none")
    with pytest.raises(GatedRepoError):
        anonymous.auth_check("a/gated")
    reader = tokens.add("reader", "read")
    found = hf_hub_download("a/gated", "config.json", endpoint=endpoint.url, token=reader, cache_dir=tmp_path / "one")
    assert Path(found).read_text() == "{}"
    api.update_repo_settings("a/gated", gated=False)
    assert hf_hub_download("a/gated", "config.json", endpoint=endpoint.url, token=False, cache_dir=tmp_path / "two")


def test_the_commands_make_list_and_revoke(tmp_path: Path) -> None:
    def run(*words: str) -> str:
        outcome = CliRunner().invoke(hub, [*words, "--root", str(tmp_path / "hub")])
        assert outcome.exit_code == 0, outcome.output
        return outcome.output

    made = json.loads(run("token", "add", "ci", "--role", "write", "--json"))
    assert made["role"] == "write"
    assert Tokens(tmp_path / "hub").find(made["token"])
    listed = run("token", "list", "--json")
    assert [token["name"] for token in json.loads(listed)["tokens"]] == ["ci"]
    assert made["token"] not in listed
    assert "revoked ci" in run("token", "revoke", "ci")
    assert Tokens(tmp_path / "hub").find(made["token"]) is None
    assert (tmp_path / "hub").stat().st_mode & 0o777 == 0o700
