"""Uploads over Xet, for clients that know no other way: taken in through a folder on this machine.

With hf_xet installed huggingface_hub sends every large file over Xet, whatever the server would rather have. hf_xet can
store into a folder (`local:///folder` in place of a server's address), so each upload is given a fresh one under
`incoming/`; at the commit the files asked for are put together again from there, checked against their SHA-256 and kept
as plain contents like all others. Downloads never use Xet.

Not covered: a client on another machine, or of a user that may not write into the Hub's folder; they need
HF_HUB_DISABLE_XET=1. Source of the shard's layout: xet-core's `mdb_shard`, version 2, a header and records of 48 bytes;
what is read is only which file has which SHA-256, and the content is checked against that.
"""

import secrets
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from zoo.local_hub.blobs import Blobs
from zoo.local_hub.refusal import Refused

__all__ = ["Xet"]

_RECORD = 48
_MOST_SHARD_BYTES = 1 << 30
_HAS_VERIFICATION, _HAS_METADATA = 1 << 31, 1 << 30
_END = b"\xff" * 32
_STORE = Path("xet/xorbs")
_SHARDS = "xet/xorbs/shards/*.mdb"


@dataclass(frozen=True)
class _Stored:
    """A file that lies in a folder of hf_xet."""

    hash: str
    size: int


class Xet:
    """The folders that clients store into, under a Hub's root."""

    def __init__(self, root: Path) -> None:
        self._incoming = root.resolve() / "incoming"

    @staticmethod
    def usable() -> bool:
        """Whether this side can read what such a client stores."""
        return find_spec("hf_xet") is not None

    def open(self) -> str:
        """A fresh folder for one upload, as the address that hf_xet takes."""
        folder = self._incoming / f"xet-{secrets.token_hex(8)}"
        folder.mkdir(mode=0o700)
        return f"local://{folder}"

    def give(self, sha256: str, blobs: Blobs) -> bool:
        """Make a plain content of a file that some client stored; False when none did.

        Raises Refused (422) when what it stored is something else, or cannot be read.
        """
        for folder in self._incoming.glob("xet-*"):
            stored = {name: found for shard in folder.glob(_SHARDS) for name, found in _files(shard)}
            if sha256 in stored:
                self._take(folder, stored[sha256], sha256, blobs)
                if all(blobs.size(name) is not None for name in stored):
                    shutil.rmtree(folder, ignore_errors=True)
                return True
        return False

    def _take(self, folder: Path, found: _Stored, sha256: str, blobs: Blobs) -> None:
        """Put a file together. hf_xet locks the index of a folder, which the client may still hold: it is given the
        same stores under another name, with a copy of the index."""
        import hf_xet  # type: ignore[import-untyped]

        view = self._incoming / f"view-{secrets.token_hex(8)}"
        theirs, ours = folder / _STORE, view / _STORE
        try:
            ours.mkdir(parents=True)
            for part in theirs.iterdir():
                if part.is_dir():
                    (ours / part.name).symlink_to(part)
                else:
                    shutil.copyfile(part, ours / part.name)
            joined = view / "joined"
            with hf_xet.XetSession().new_file_download_group(endpoint=f"local://{view}") as group:
                group.start_download_file(hf_xet.XetFileInfo(found.hash, found.size), str(joined))
            blobs.take(joined, sha256, found.size)
        except (RuntimeError, OSError) as error:
            message = f"What arrived over Xet cannot be read ({error}): set HF_HUB_DISABLE_XET=1 and run again."
            raise Refused(422, message) from error
        finally:
            shutil.rmtree(view, ignore_errors=True)


def _files(shard: Path) -> Iterator[tuple[str, _Stored]]:
    """Every file that a shard describes, by its SHA-256; nothing of a shard that is too long to be one."""
    if shard.stat().st_size > _MOST_SHARD_BYTES:
        return
    raw, at = shard.read_bytes(), _RECORD
    while at + _RECORD <= len(raw) and raw[at : at + 32] != _END:
        name = raw[at : at + 32]
        flags, segments = struct.unpack_from("<II", raw, at + 32)
        body = raw[at + _RECORD : at + _RECORD * (1 + segments)]
        # In each record of a segment: the store's hash (32 bytes), flags, then its bytes when unpacked.
        size = sum(struct.unpack_from("<I", body, 36 + _RECORD * i)[0] for i in range(len(body) // _RECORD))
        at += _RECORD * (1 + segments * (2 if flags & _HAS_VERIFICATION else 1))
        if flags & _HAS_METADATA:
            yield _hexadecimal(raw[at : at + 32]), _Stored(_hexadecimal(name), size)
            at += _RECORD


def _hexadecimal(hash: bytes) -> str:
    """Xet writes a hash as four little-endian numbers."""
    return b"".join(hash[start : start + 8][::-1] for start in range(0, 32, 8)).hex()
