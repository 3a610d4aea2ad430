"""A Hub and who we are on it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = ["Endpoint", "Kind", "api_of", "public_endpoint"]

Kind = Literal["model", "dataset", "space"]


@dataclass(frozen=True)
class Endpoint:
    """A Hub and who we are on it."""

    url: str
    token: str | None = field(default=None, repr=False)
    embedded: bool = False
    """Whether it is ours, on loopback: no Xet, and any owner's name may be written to."""

    def __str__(self) -> str:
        return self.url


def public_endpoint() -> Endpoint:
    """`HF_ENDPOINT`, else huggingface.co, with the token that `hf auth login` stored."""
    from huggingface_hub import constants, get_token

    return Endpoint(constants.ENDPOINT, get_token())


def api_of(endpoint: Endpoint) -> "HfApi":
    """huggingface_hub's client for an endpoint; without a token of ours it sends none, not the user's own."""
    from huggingface_hub import HfApi

    return HfApi(endpoint=endpoint.url, token=endpoint.token or False, library_name="edgezoo")
