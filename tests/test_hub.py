"""The client against a real Hub on loopback, also one that fails now and then."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import HfApi, constants

from zoo import hub
from zoo.errors import HubError
from zoo.hub import Endpoint, Pinned
from zoo.local_hub import running
from zoo.refs import HubRef


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def endpoint(root: Path) -> Iterator[Endpoint]:
    with running(root) as found:
        yield found


@pytest.fixture
def repo(request: pytest.FixtureRequest) -> str:
    """A name of its own for each test: they share the Hub."""
    return f"someone/{abs(hash(request.node.name)):x}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "content"
    (made / "sub").mkdir(parents=True)
    (made / "README.md").write_text("---\nlicense: mit\n---\n")
    (made / "config.json").write_text("{}")
    (made / "sub" / "notes.txt").write_text("x")
    (made / "model.safetensors").write_bytes(os.urandom(100_000))
    return made


def push(endpoint: Endpoint, repo: str, folder: Path) -> Pinned:
    commit = hub.upload(endpoint, repo, "model", folder, "content", private=False)
    return Pinned(repo, "model", commit, endpoint)


@pytest.fixture
def down() -> Endpoint:
    """An endpoint where nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return Endpoint(f"http://127.0.0.1:{closed.getsockname()[1]}", "hf_x", embedded=True)


def test_a_reference_is_pinned_to_the_commit_of_its_branch(endpoint: Endpoint, repo: str, folder: Path) -> None:
    pushed = push(endpoint, repo, folder)
    pinned = hub.pin(HubRef(repo), "model", [endpoint])
    assert pinned == pushed
    assert str(pinned) == f"{repo}@{pushed.commit}"
    HfApi(endpoint=endpoint.url, token=endpoint.token).create_branch(repo, branch="exp/a")
    assert hub.pin(HubRef(repo, "exp/a"), "model", [endpoint]).commit == pushed.commit
    assert hub.pin(HubRef(repo, pushed.commit), "model", [endpoint]).commit == pushed.commit


def test_the_first_hub_that_has_it_wins(endpoint: Endpoint, down: Endpoint, repo: str, folder: Path) -> None:
    push(endpoint, repo, folder)
    assert hub.pin(HubRef(repo), "model", [down, endpoint]).endpoint == endpoint


def test_what_no_hub_has_is_an_error_that_tells_what_each_said(endpoint: Endpoint, down: Endpoint, repo: str) -> None:
    with pytest.raises(HubError) as caught:
        hub.pin(HubRef(repo), "dataset", [down, endpoint])
    lines = str(caught.value).splitlines()
    assert lines[0] == f"dataset {repo}@main: not found."
    assert lines[1].strip().startswith(f"{down.url}: does not answer")
    assert lines[2].strip() == f"{endpoint.url}: has no such repository"


def test_a_mistyped_revision_gets_a_hint(endpoint: Endpoint, repo: str, folder: Path) -> None:
    push(endpoint, repo, folder)
    HfApi(endpoint=endpoint.url, token=endpoint.token).create_tag(repo, tag="v1.0-final")
    with pytest.raises(HubError, match=r"not this revision; did you mean 'v1.0-final'\?"):
        hub.pin(HubRef(repo, "v1.0-finale"), "model", [endpoint])


def test_offline_mode_is_named_as_the_reason(endpoint: Endpoint, repo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        hub.pin(HubRef(repo), "model", [endpoint])


def test_files_are_listed_with_their_sizes(endpoint: Endpoint, repo: str, folder: Path) -> None:
    there = hub.files(push(endpoint, repo, folder))
    there.pop(".gitattributes")
    assert there == {"README.md": 21, "config.json": 2, "model.safetensors": 100_000, "sub/notes.txt": 1}


def test_a_snapshot_is_the_commit_whatever_the_branch_is_now(
    endpoint: Endpoint, repo: str, folder: Path, tmp_path: Path
) -> None:
    first = push(endpoint, repo, folder)
    (folder / "config.json").write_text('{"later": true}')
    second = push(endpoint, repo, folder)
    folders = [hub.fetch(pinned, cache=tmp_path / "cache") for pinned in (first, second)]
    assert [(found / "config.json").read_text() for found in folders] == ["{}", '{"later": true}']
    assert folders[0].name == first.commit


def test_the_same_name_on_two_hubs_is_two_snapshots(
    endpoint: Endpoint, repo: str, folder: Path, tmp_path: Path
) -> None:
    with running(tmp_path / "other-hub") as other:
        here, there = push(endpoint, repo, folder), push(other, repo, folder)
        (folder / "config.json").write_text('{"other": true}')
        there = push(other, repo, folder)
        folders = [hub.fetch(pinned, cache=tmp_path / "cache") for pinned in (here, there)]
    assert [(found / "config.json").read_text() for found in folders] == ["{}", '{"other": true}']


def test_a_destination_holds_the_files_and_nothing_else(
    endpoint: Endpoint, repo: str, folder: Path, tmp_path: Path
) -> None:
    pinned = push(endpoint, repo, folder)
    target = tmp_path / "target"
    assert hub.fetch(pinned, target, only=["*.json", "sub/*"]) == target
    assert {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()} == {
        "config.json",
        "sub/notes.txt",
    }
    hub.fetch(pinned, target)
    assert (target / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert len([path for path in target.rglob("*") if path.is_file()]) == 5


def test_what_matches_nothing_is_an_error(endpoint: Endpoint, repo: str, folder: Path, tmp_path: Path) -> None:
    pinned = push(endpoint, repo, folder)
    with pytest.raises(HubError, match=r"has no file like \*.gguf. It has .gitattributes, README.md"):
        hub.fetch(pinned, tmp_path / "target", only=["*.gguf"])


def test_names_that_look_like_globs_are_fetched_as_they_are(
    endpoint: Endpoint, repo: str, folder: Path, tmp_path: Path
) -> None:
    (folder / "a[1].txt").write_text("one")
    pinned = push(endpoint, repo, folder)
    assert (hub.fetch(pinned, tmp_path / "target") / "a[1].txt").read_text() == "one"


def test_pickled_weights_stay_on_the_hub(endpoint: Endpoint, repo: str, folder: Path, tmp_path: Path) -> None:
    for name in ("pytorch_model.bin", "training_args.bin", "old.ckpt", "sub/state.pt"):
        (folder / name).write_bytes(b"pickle")
    pinned = push(endpoint, repo, folder)
    found = hub.fetch(pinned, tmp_path / "target")
    assert not list(found.rglob("*.bin")) + list(found.rglob("*.ckpt")) + list(found.rglob("*.pt"))
    with pytest.raises(HubError, match="is a pickle"):
        hub.fetch_file(pinned, "pytorch_model.bin", cache=tmp_path / "cache")
    (folder / "model.safetensors").unlink()
    alone = push(endpoint, f"{repo}x", folder)
    with pytest.raises(HubError, match="weights only as pickles"):
        hub.fetch(alone, tmp_path / "alone")


def test_one_file_is_fetched_or_named_as_missing(endpoint: Endpoint, repo: str, folder: Path, tmp_path: Path) -> None:
    pinned = push(endpoint, repo, folder)
    assert hub.fetch_file(pinned, "config.json", cache=tmp_path / "cache").read_text() == "{}"
    with pytest.raises(HubError, match=f"{pinned}: absent.json"):
        hub.fetch_file(pinned, "absent.json", cache=tmp_path / "cache")


def test_an_upload_is_one_commit_and_the_same_again_is_none(endpoint: Endpoint, repo: str, folder: Path) -> None:
    first = push(endpoint, repo, folder)
    assert push(endpoint, repo, folder) == first
    (folder / "config.json").write_text('{"a": 1}')
    (folder / "new.safetensors").write_bytes(os.urandom(1000))
    push(endpoint, repo, folder)
    api = HfApi(endpoint=endpoint.url, token=endpoint.token)
    assert [commit.title for commit in api.list_repo_commits(repo)] == ["content", "content", "initial commit"]


def test_others_are_deleted_only_when_asked(endpoint: Endpoint, repo: str, folder: Path) -> None:
    push(endpoint, repo, folder)
    (folder / "sub" / "notes.txt").unlink()
    assert "sub/notes.txt" in hub.files(push(endpoint, repo, folder))
    commit = hub.upload(endpoint, repo, "model", folder, "less", private=False, delete_others=True)
    there = hub.files(Pinned(repo, "model", commit, endpoint))
    assert set(there) == {".gitattributes", "README.md", "config.json", "model.safetensors"}
    assert hub.upload(endpoint, repo, "model", folder, "less", private=False, delete_others=True) == commit


@pytest.mark.parametrize("kind", ["dataset", "space"])
def test_datasets_and_spaces_are_uploaded_too(endpoint: Endpoint, repo: str, tmp_path: Path, kind: hub.Kind) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "app.py").write_text("print(1)")
    hub.upload(endpoint, repo, kind, tmp_path / "app", "content", private=True)
    assert "app.py" in hub.files(hub.pin(HubRef(repo), kind, [endpoint]))


def test_a_new_repository_is_private_when_asked(endpoint: Endpoint, repo: str, folder: Path) -> None:
    hub.upload(endpoint, repo, "model", folder, "content", private=True)
    with pytest.raises(HubError, match="or it is private and there is no token"):
        hub.pin(HubRef(repo), "model", [Endpoint(endpoint.url)])


def test_a_folder_with_a_symbolic_link_is_not_uploaded(endpoint: Endpoint, repo: str, folder: Path) -> None:
    (folder / "link.txt").symlink_to(__file__)
    with pytest.raises(HubError, match=r"link.txt: is a symbolic link"):
        push(endpoint, repo, folder)


def test_an_empty_folder_is_not_uploaded(endpoint: Endpoint, repo: str, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="holds no file"):
        push(endpoint, repo, tmp_path)


def test_a_broken_card_is_the_users_error(endpoint: Endpoint, repo: str, folder: Path) -> None:
    (folder / "README.md").write_text("---\na: [\n---\n")
    with pytest.raises(HubError, match=r"Invalid metadata in README\.md. - The card's metadata is no YAML"):
        push(endpoint, repo, folder)


def test_rights_are_known_before_anything_runs(endpoint: Endpoint, down: Endpoint, repo: str) -> None:
    hub.check_rights(endpoint, repo)
    with pytest.raises(HubError, match="needs a token"):
        hub.check_rights(Endpoint(endpoint.url, embedded=True), repo)
    with pytest.raises(HubError, match="answered 401: Invalid"):
        hub.check_rights(Endpoint(endpoint.url, "hf_wrong", embedded=True), repo)
    with pytest.raises(HubError, match="edgezoo cannot write to 'someone'"):
        hub.check_rights(Endpoint(endpoint.url, endpoint.token, embedded=False), repo)
    with pytest.raises(HubError, match="does not answer"):
        hub.check_rights(down, repo)


def test_a_wrong_token_stops_an_upload_with_one_line(endpoint: Endpoint, repo: str, folder: Path) -> None:
    with pytest.raises(HubError) as caught:
        push(Endpoint(endpoint.url, "hf_wrong", embedded=True), repo, folder)
    assert "\n" not in str(caught.value)
    assert "401" in str(caught.value)
    assert "hf_wrong" not in str(caught.value)


def test_uploads_need_no_setting_even_where_xet_is_installed(endpoint: Endpoint, repo: str, folder: Path) -> None:
    before = constants.HF_HUB_DISABLE_XET
    push(endpoint, repo, folder)
    assert before == constants.HF_HUB_DISABLE_XET
    assert HfApi(endpoint=endpoint.url).model_info(repo, files_metadata=True).siblings


def test_a_token_is_not_shown() -> None:
    assert "hf_secret" not in repr(Endpoint("http://x", "hf_secret"))
    assert "hf_secret" not in repr(Pinned("a/b", "model", "0" * 40, Endpoint("http://x", "hf_secret")))


def test_the_public_hub_is_where_the_environment_says() -> None:
    code = "from zoo.hub import public_endpoint as p; e = p(); print(e.url, e.token, e.embedded)"
    environment = {**os.environ, "HF_ENDPOINT": "https://hub.example/", "HF_TOKEN": "hf_abc"}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["https://hub.example", "hf_abc", "False"]


def test_importing_the_client_imports_no_hub_library() -> None:
    code = (
        "import sys, zoo.hub; print([name for name in ('huggingface_hub', 'httpx2', 'torch') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@dataclass
class Failures:
    """What a proxy does wrong: for the first requests whose path holds `part`, one item each."""

    part: str
    do: list[int | str]
    """A status to answer with, `reset` before or `lose` after the Hub has seen the request."""
    retry_after: str = ""
    seen: list[str] = field(default_factory=list)


@contextmanager
def failing(endpoint: Endpoint, failures: Failures) -> Iterator[Endpoint]:
    """The endpoint behind a proxy that fails now and then."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Quiet."""

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            failure = failures.do.pop(0) if failures.part in self.path and failures.do else None
            failures.seen.append(f"{self.command} {self.path}")
            if isinstance(failure, int):
                self.send_response(failure)
                if failures.retry_after:
                    self.send_header("Retry-After", failures.retry_after)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if failure != "reset":
                self.forward(body, answer=failure is None)
            if failure:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True

        def forward(self, body: bytes, answer: bool) -> None:
            connection = HTTPConnection(endpoint.url.removeprefix("http://"))
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            content = response.read()
            connection.close()
            if not answer:
                return
            self.send_response(response.status)
            for name, value in response.getheaders():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_HEAD = handle_any

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Endpoint(f"http://127.0.0.1:{server.server_address[1]}", endpoint.token, embedded=True)
    server.shutdown()
    server.server_close()


def upload_through(failures: Failures, endpoint: Endpoint, repo: str, folder: Path) -> tuple[str, list[float]]:
    waits: list[float] = []
    sleep: Callable[[float], None] = waits.append
    with failing(endpoint, failures) as proxy:
        return hub.upload(proxy, repo, "model", folder, "content", private=False, sleep=sleep), waits


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_failure_that_passes_is_tried_again(endpoint: Endpoint, repo: str, folder: Path, status: int) -> None:
    commit, waits = upload_through(Failures("/commit/", [status, status]), endpoint, repo, folder)
    assert waits == [2.0, 4.0]
    assert hub.pin(HubRef(repo), "model", [endpoint]).commit == commit


def test_the_hubs_own_waiting_time_is_kept(endpoint: Endpoint, repo: str, folder: Path) -> None:
    _, waits = upload_through(Failures("/commit/", [429], retry_after="7"), endpoint, repo, folder)
    assert waits == [7.0]


def test_a_commit_whose_answer_was_lost_is_not_made_twice(endpoint: Endpoint, repo: str, folder: Path) -> None:
    commit, waits = upload_through(Failures("/commit/", ["reset", "lose"]), endpoint, repo, folder)
    assert waits == [2.0, 4.0]
    history = HfApi(endpoint=endpoint.url).list_repo_commits(repo)
    assert [entry.title for entry in history] == ["content", "initial commit"]
    assert history[0].commit_id == commit


def test_a_failure_that_stays_ends_with_its_status(endpoint: Endpoint, repo: str, folder: Path) -> None:
    failures = Failures("/commit/", [503] * 5)
    with pytest.raises(HubError, match=f"{repo}: answered 503"):
        upload_through(failures, endpoint, repo, folder)
    assert sum("/commit/" in line for line in failures.seen) == 5


def test_a_refusal_is_not_tried_again(endpoint: Endpoint, repo: str, folder: Path) -> None:
    failures = Failures("/commit/", [403])
    with pytest.raises(HubError, match="answered 403"):
        upload_through(failures, endpoint, repo, folder)
    assert sum("/commit/" in line for line in failures.seen) == 1


def test_a_download_that_was_cut_short_goes_on(endpoint: Endpoint, repo: str, folder: Path, tmp_path: Path) -> None:
    pinned = push(endpoint, repo, folder)
    failures = Failures("/resolve/", ["reset"] * 100)
    with failing(endpoint, failures) as proxy, pytest.raises(HubError, match=str(pinned)):
        hub.fetch(Pinned(repo, "model", pinned.commit, proxy), tmp_path / "target")
    assert not list((tmp_path / "target").glob("*.safetensors"))
    found = hub.fetch(pinned, tmp_path / "target")
    assert (found / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
