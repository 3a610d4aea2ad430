"""Cards that somebody edited on a Hub."""

import hashlib
from pathlib import Path

import pytest
from publications import push

from zoo import hub, publish
from zoo.errors import HubError
from zoo.local_hub import running
from zoo.refs import HubRef


def test_a_card_that_somebody_edited_on_the_hub_is_not_written_over(publication: Path, tmp_path: Path) -> None:
    with running(tmp_path / "hub") as endpoint:
        push(publication, endpoint)
        edit = tmp_path / "edit"
        edit.mkdir()
        (edit / "README.md").write_text(
            (publication / "GGUF" / "README.md").read_text() + "\nBy hand: mind the step.\n"
        )
        hub.upload(endpoint, "zoo/pocket-135m-GGUF", "model", edit, "by hand", private=False)
        weights = publication / "model" / "model.safetensors"
        weights.rename(weights.with_name("model-00001-of-00001.safetensors"))
        with pytest.raises(HubError, match=r"pocket-135m-GGUF: its README\.md was edited since the last push"):
            push(publication, endpoint)
        untouched = hub.files(hub.pin(HubRef("zoo/pocket-135m"), "model", [endpoint]))
        assert "model.safetensors" in untouched
        publish.push(publication, "zoo/pocket-135m", endpoint, private=False, message="again", overwrite=True)
        pinned = hub.pin(HubRef("zoo/pocket-135m-GGUF"), "model", [endpoint])
        assert "By hand" not in hub.fetch_file(pinned, "README.md").read_text()


def test_a_later_card_of_ours_is_no_edit(publication: Path, tmp_path: Path) -> None:
    with running(tmp_path / "hub") as endpoint:
        push(publication, endpoint)
        card = publication / "model" / "README.md"
        card.write_text(card.read_text() + "\nA later version says more.\n")
        digest = hashlib.sha256(card.read_bytes()).hexdigest()
        (publication / "model" / "records" / "card.sha256").write_text(f"{digest}  README.md\n")
        push(publication, endpoint)
        pinned = hub.pin(HubRef("zoo/pocket-135m"), "model", [endpoint])
        assert "A later version says more." in hub.fetch_file(pinned, "README.md").read_text()
