"""Whether the Hub would take a card: huggingface_hub's own reading of its head, and the names and licence in it.

The Hub itself checks a card's YAML when it is pushed (`/api/validate-yaml`); this finds the same beforehand, offline.
"""

from typing import Any, Literal

from zoo.cards.metadata import NAMED_RELATIONS
from zoo.licences import known

__all__ = ["problems"]


def problems(card: str, kind: Literal["model", "dataset", "space"]) -> list[str]:
    """Everything that is wrong with a README.md; empty when a Hub would take it as it is.

    >>> problems("# No head", "model")
    ['it has no metadata: a card begins with a line of dashes, YAML, and another line of dashes']
    """
    from huggingface_hub import DatasetCard, ModelCard, SpaceCard

    card_class = {"model": ModelCard, "dataset": DatasetCard, "space": SpaceCard}[kind]
    if not card.startswith("---\n"):
        return ["it has no metadata: a card begins with a line of dashes, YAML, and another line of dashes"]
    try:
        read: Any = card_class(card, ignore_metadata_errors=False)
        head = dict(read.data.to_dict())
    except Exception as error:  # it raises whatever its YAML or model-index raises
        return [f"huggingface_hub cannot read its metadata: {error}"]
    return [*_licence(head), *_names(head), *([] if read.text.strip() else ["it has no text"])]


def _licence(head: dict[str, Any]) -> list[str]:
    licence = head.get("license")
    if not licence:
        return ["it names no licence"]
    if licence == "other":
        return [] if head.get("license_name") else ["license is `other`, and license_name does not say which"]
    terms = known(str(licence))
    return [] if terms and terms.listed and terms.hub == licence else [f"the Hub has no licence called {licence!r}"]


def _names(head: dict[str, Any]) -> list[str]:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    found = []
    for field in ("base_model", "datasets", "models"):
        named = head.get(field) or []
        for name in [named] if isinstance(named, str) else named:
            try:
                validate_repo_id(str(name))
            except HFValidationError as error:
                found.append(f"{field}: {error}")
    relation = head.get("base_model_relation")
    if relation is not None and relation not in NAMED_RELATIONS:
        found.append(f"base_model_relation is {relation!r}; the Hub knows {', '.join(NAMED_RELATIONS)}")
    if relation is not None and not head.get("base_model"):
        found.append("base_model_relation stands without a base_model")
    return found
