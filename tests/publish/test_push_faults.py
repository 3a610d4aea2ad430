"""A publication and a Hub that fails, dies or is written by another run: whole or resumable, nothing lost."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from huggingface_hub.utils import _http
from publications import names, push

from zoo import hub
from zoo.errors import HubError, RecipeError
from zoo.hub import Endpoint
from zoo.local_hub import running
from zoo.local_hub.faults import Fault, Faults
from zoo.local_hub.tokens import Tokens
from zoo.local_hub.upkeep import inspect
from zoo.recipe import load
from zoo.refs import HubRef

MODEL, EXPORTS = "zoo/pocket-135m", "zoo/pocket-135m-GGUF"
Failing = Callable[..., AbstractContextManager[tuple[Endpoint, Faults]]]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub's own pauses between tries, without waiting."""
    monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "hub"


@pytest.fixture
def failing(root: Path) -> Failing:
    @contextmanager
    def start(*faults: Fault) -> Iterator[tuple[Endpoint, Faults]]:
        wrapper = Faults(faults)
        with running(root, wrap=wrapper) as found:
            yield found, wrapper

    return start


def there(endpoint: Endpoint, repo: str) -> set[str]:
    return set(hub.files(hub.pin(HubRef(repo), "model", [endpoint])))


def is_published(endpoint: Endpoint, publication: Path) -> bool:
    return all(
        names(publication / folder) <= there(endpoint, repo) for folder, repo in (("model", MODEL), ("GGUF", EXPORTS))
    )


PASSING = {
    "busy": Fault("answer", status=429, retry_after="0", times=3),
    "broken at the commit": Fault("answer", "/commit/", status=500, times=2),
    "weights cut off": Fault("reset-request", "/_lfs/", "PUT", after_bytes=1000),
    "answer of a commit lost": Fault("reset-response", "/commit/"),
    "answer of a commit truncated": Fault("truncate", "/commit/", after_bytes=20),
    "slow": Fault("delay", seconds=0.2, times=4),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_publication_outlives_what_passes(failing: Failing, publication: Path, root: Path, name: str) -> None:
    with failing(PASSING[name]) as (endpoint, faults):
        push(publication, endpoint)
        assert any(seen.fault for seen in faults.seen), "the fault was never met"
        assert is_published(endpoint, publication)
    assert inspect(root).damages == ()


def test_a_hub_that_fails_between_the_weights_and_the_exports_is_gone_on_with(
    failing: Failing, publication: Path, root: Path
) -> None:
    with (
        failing(Fault("answer", "pocket-135m-GGUF/commit/", status=403)) as (endpoint, _),
        pytest.raises(HubError, match="pocket-135m-GGUF"),
    ):
        push(publication, endpoint)
    with failing() as (endpoint, faults):
        assert names(publication / "model") <= there(endpoint, MODEL)
        assert there(endpoint, EXPORTS) <= {".gitattributes"}
        first = hub.pin(HubRef(MODEL), "model", [endpoint]).commit
        done = push(publication, endpoint)
        assert faults.sent_up("/_lfs/", "PUT") == 0, "what had arrived was sent again"
        assert done[0].commit == first
        assert is_published(endpoint, publication)
    assert inspect(root).damages == ()


def test_a_card_never_stands_without_its_weights(failing: Failing, publication: Path) -> None:
    """The commit is one: a Hub that dies before it shows neither."""
    with (
        failing(Fault("answer", "pocket-135m/commit/", status=403)) as (endpoint, faults),
        pytest.raises(HubError),
    ):
        push(publication, endpoint)
    assert faults.sent_up("/_lfs/", "PUT") > 0
    with failing() as (endpoint, _):
        assert there(endpoint, MODEL) <= {".gitattributes"}


def test_a_token_that_may_only_read_publishes_nothing(failing: Failing, publication: Path, root: Path) -> None:
    with failing() as (endpoint, _):
        reader = Endpoint(endpoint.url, Tokens(root).add("reader", "read"), embedded=True)
        with pytest.raises(HubError, match="403"):
            push(publication, reader)
        with pytest.raises(HubError, match="not found"):
            there(endpoint, MODEL)


def test_two_runs_that_publish_at_once_leave_one_of_them_whole(
    failing: Failing, publication: Path, root: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(publication, other)
    for place in ("model", "GGUF"):
        for name in ("README.md", "records/card.md"):
            file = other / place / name
            file.write_text(file.read_text() + "\nThe other run.\n")
    (other / "model" / "model.safetensors").unlink()
    (other / "model" / "model-00001-of-00001.safetensors").write_bytes(b"other weights" * 1000)
    said: list[str] = []

    def publish(folder: Path) -> None:
        try:
            push(folder, endpoint)
        except HubError as error:
            said.append(str(error))

    with failing() as (endpoint, _):
        push(publication, endpoint)
        threads = [threading.Thread(target=publish, args=(folder,)) for folder in (publication, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all("zoo/pocket-135m" in line and "\n" not in line for line in said)
        pinned = hub.pin(HubRef(MODEL), "model", [endpoint])
        card = hub.fetch_file(pinned, "README.md").read_text()
        weights = {name for name in there(endpoint, MODEL) if name.endswith(".safetensors")}
        mine = "The other run." in card
        assert weights == ({"model-00001-of-00001.safetensors"} if mine else {"model.safetensors"})
        push(other, endpoint)
        assert is_published(endpoint, other)
    assert inspect(root).damages == ()


def test_names_beyond_ascii_are_published_as_they_are(failing: Failing, publication: Path) -> None:
    (publication / "model" / "records" / "prüfung 日本.json").write_text("{}")
    with failing() as (endpoint, _):
        push(publication, endpoint)
        assert "records/prüfung 日本.json" in there(endpoint, MODEL)


@pytest.mark.parametrize(
    ("repo", "said"),
    [("me/" + "x" * 300, "at most 88"), ("me/a--b", "'--'"), ("me/-a", "begins or ends"), ("me/a.git", "'.git'")],
)
def test_a_name_that_no_hub_takes_is_refused_at_its_line_before_anything_runs(
    tmp_path: Path, repo: str, said: str
) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(
        "name: small\nsummary: A recipe for tests.\nlicense: apache-2.0\nstages:\n"
        "  base: {kind: tiny, architecture: llama}\n"
        f'  publish: {{kind: publish, repo: {repo}, model: "stage:base"}}\n'
    )
    with pytest.raises(RecipeError, match=r"small\.yaml:6: publish\.repo: ") as refused:
        load(file)
    assert said in str(refused.value)
