"""A card's metadata: the YAML block between the `---` lines at the top of a README."""

import json

import yaml

from zoo.local_hub.blobs import Blobs
from zoo.local_hub.state import Commit

__all__ = ["front_matter", "metadata"]

_MOST_BYTES = 1 << 20


def front_matter(text: str) -> tuple[dict[str, object], str]:
    """The metadata and the text below it; no metadata when there is no such block.

    Raises ValueError with what is wrong, as the end of a sentence about the metadata.

    >>> front_matter("---\\nlicense: mit\\n---\\n# Title\\n")
    ({'license': 'mit'}, '# Title\\n')
    """
    text = text.replace("\r\n", "\n")
    if not text.startswith("---\n"):
        return {}, text
    block, _, rest = text[4:].partition("\n---")
    try:
        found = yaml.safe_load(block) or {}
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"is no YAML: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("must be a mapping.")
    return found, rest.partition("\n")[2]


def metadata(blobs: Blobs, commit: Commit) -> dict[str, object]:
    """The metadata of a commit's README, as plain JSON; none when there is no README or its metadata is broken."""
    entry = commit.files.get("README.md")
    if entry is None or entry.size > _MOST_BYTES:
        return {}
    try:
        found, _ = front_matter(blobs.path(entry.sha256).read_text("utf-8", "replace"))
        text = json.dumps(found, default=str, ensure_ascii=False, allow_nan=False)
        plain: dict[str, object] = json.loads(text.encode("utf-8"))
    except (ValueError, TypeError, RecursionError, OSError):
        return {}
    return plain
