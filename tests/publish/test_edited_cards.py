"""Cards that somebody edited on a Hub: what was added is taken into the next one, anything else stops the push."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from publications import push

from zoo import hub, publish
from zoo.errors import HubError
from zoo.hub import Endpoint
from zoo.local_hub import running
from zoo.refs import HubRef

EXPORTS = "zoo/pocket-135m-GGUF"


@pytest.fixture
def endpoint(publication: Path, tmp_path: Path) -> Iterator[Endpoint]:
    """A Hub that has the publication."""
    with running(tmp_path / "hub") as served:
        push(publication, served)
        yield served


def card(endpoint: Endpoint, repo: str = EXPORTS) -> str:
    return hub.fetch_file(hub.pin(HubRef(repo), "model", [endpoint]), "README.md").read_text()


def edit(endpoint: Endpoint, folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "README.md").write_text(text)
    hub.upload(endpoint, EXPORTS, "model", folder, "by hand", private=False)


def later(publication: Path) -> None:
    """Have the publication say something new, as another run would."""
    for name in ("README.md", "records/card.md"):
        file = publication / "GGUF" / name
        file.write_text(file.read_text().replace("97.1 %", "96.9 %"))
    assert "96.9 %" in (publication / "GGUF" / "README.md").read_text()


def test_what_was_added_by_hand_is_in_the_next_card_and_in_the_one_after(
    publication: Path, endpoint: Endpoint, tmp_path: Path
) -> None:
    edit(endpoint, tmp_path / "edit", card(endpoint).replace("## Use\n", "Mind the step, says Ada.\n\n## Use\n"))
    later(publication)
    for _ in range(2):
        push(publication, endpoint)
        assert "\n\nMind the step, says Ada.\n\n## Use\n" in card(endpoint)
        assert "96.9 %" in card(endpoint)
        assert "97.1 %" not in card(endpoint)
    assert "Mind the step" not in (publication / "GGUF" / "README.md").read_text()


def test_a_number_that_was_changed_by_hand_stops_the_push_before_anything_is_written(
    publication: Path, endpoint: Endpoint, tmp_path: Path
) -> None:
    edit(endpoint, tmp_path / "edit", re.sub(r"97\.1 %", "99.9 %", card(endpoint)))
    weights = publication / "model" / "model.safetensors"
    weights.rename(weights.with_name("model-00001-of-00001.safetensors"))
    with pytest.raises(HubError, match=r"pocket-135m-GGUF: its README\.md was edited since.*changed or removed"):
        push(publication, endpoint)
    assert "model.safetensors" in hub.files(hub.pin(HubRef("zoo/pocket-135m"), "model", [endpoint]))
    publish.push(publication, "zoo/pocket-135m", endpoint, private=False, message="again", overwrite=True)
    assert "97.1 %" in card(endpoint)


def test_a_later_card_of_ours_is_no_edit(publication: Path, endpoint: Endpoint) -> None:
    later(publication)
    push(publication, endpoint)
    assert "96.9 %" in card(endpoint)


def test_a_card_that_is_edited_while_a_push_is_under_way_is_not_lost(
    publication: Path, endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = hub.upload

    def edited_in_between(*arguments: object, **more: object) -> str:
        if arguments[1] == EXPORTS:
            monkeypatch.setattr(hub, "upload", upload)
            edit(endpoint, tmp_path / "edit", card(endpoint) + "\nLate.\n")
        return upload(*arguments, **more)  # type: ignore[arg-type]

    later(publication)
    monkeypatch.setattr(hub, "upload", edited_in_between)
    with pytest.raises(HubError, match="pocket-135m-GGUF"):
        push(publication, endpoint)
    assert card(endpoint).endswith("\nLate.\n")
    push(publication, endpoint)
    assert card(endpoint).endswith("\nLate.\n")
    assert "96.9 %" in card(endpoint)
