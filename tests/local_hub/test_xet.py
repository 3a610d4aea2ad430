"""Clients that insist on Xet: nothing is set for them, and what they send arrives whole."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_requests import ask

from zoo.hub import Endpoint
from zoo.local_hub.blobs import Blobs
from zoo.local_hub.refusal import Refused
from zoo.local_hub.xet import Xet

hf_xet = pytest.importorskip("hf_xet", reason="without hf_xet no client uploads over Xet")

_CLIENT = """
import os, sys
from huggingface_hub import HfApi, constants, hf_hub_download
assert not constants.HF_HUB_DISABLE_XET
api = HfApi()
api.create_repo("a/b", exist_ok=True)
api.upload_folder(repo_id="a/b", folder_path=sys.argv[1])
first = open(os.path.join(sys.argv[1], "w.safetensors"), "rb").read()
api.upload_file(repo_id="a/b", path_in_repo="more.safetensors", path_or_fileobj=first[:200_000] + os.urandom(100_000))
back = hf_hub_download("a/b", "w.safetensors", cache_dir=sys.argv[2])
assert open(back, "rb").read() == first
print(sorted(api.list_repo_files("a/b")))
"""


def environment(endpoint: Endpoint, home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "HF_HUB_DISABLE_XET"}
    return {**kept, "HF_ENDPOINT": endpoint.url, "HF_TOKEN": endpoint.token or "", "HF_HOME": str(home)}


def test_a_client_with_xet_uploads_without_any_setting(endpoint: Endpoint, root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "content"
    folder.mkdir()
    (folder / "w.safetensors").write_bytes(os.urandom(300_000))
    (folder / "same.safetensors").write_bytes((folder / "w.safetensors").read_bytes())
    (folder / "config.json").write_text("{}")
    outcome = subprocess.run(
        [sys.executable, "-c", _CLIENT, str(folder), str(tmp_path / "cache")],
        env=environment(endpoint, tmp_path / "home"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert outcome.returncode == 0, outcome.stderr
    expected = [".gitattributes", "config.json", "more.safetensors", "same.safetensors", "w.safetensors"]
    assert outcome.stdout.strip().splitlines()[-1] == str(expected)
    answer = ask(endpoint, "GET", "/a/b/resolve/main/w.safetensors")
    assert answer.body == (folder / "w.safetensors").read_bytes()
    assert not list((root / "incoming").iterdir())


def stored(root: Path, content: bytes) -> tuple[Xet, str]:
    """A content as a client of Xet leaves it, and its SHA-256."""
    xet = Xet(root)
    with hf_xet.XetSession().new_upload_commit(endpoint=xet.open()) as commit:
        commit.start_upload_bytes(content, sha256=hf_xet.COMPUTE_SHA256)
    return xet, hashlib.sha256(content).hexdigest()


def test_what_was_stored_becomes_a_plain_content(tmp_path: Path) -> None:
    blobs, content = Blobs(tmp_path), os.urandom(2_000_000)
    xet, digest = stored(tmp_path, content)
    assert not xet.give("0" * 64, blobs)
    assert xet.give(digest, blobs)
    assert blobs.path(digest).read_bytes() == content


def test_what_is_damaged_is_refused(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    xet, digest = stored(tmp_path, os.urandom(100_000))
    stores = [file for file in tmp_path.glob("incoming/xet-*/xet/xorbs/xorbs/*") if file.suffix != ".tagset"]
    assert len(stores) == 1
    stores[0].chmod(0o600)
    stores[0].write_bytes(b"\0" * stores[0].stat().st_size)
    with pytest.raises(Refused, match="HF_HUB_DISABLE_XET=1"):
        xet.give(digest, blobs)
    assert blobs.size(digest) is None
    assert not list(tmp_path.glob("incoming/view-*"))


def test_without_the_library_on_this_side_the_client_is_told_what_to_set(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(endpoint, "POST", "/api/repos/create", b'{"organization": "a", "name": "c"}', token=endpoint.token)
    monkeypatch.setattr(Xet, "usable", staticmethod(lambda: False))
    answer = ask(endpoint, "GET", "/api/models/a/c/xet-write-token/main", token=endpoint.token)
    assert answer.status == 307
    assert "set-HF_HUB_DISABLE_XET=1-and-run-again" in answer.headers["location"]
    assert ask(endpoint, "GET", "/api/models/a/c/xet-write-token/main").status == 401
