"""The only module that talks to a Hub as a client: pin, list, fetch, upload, collect.

Every failure of the network or the Hub is a HubError that says which endpoint, repository and revision, what happened,
and what to do instead. Pickled weights (`*.bin`, `*.pt`, `*.pkl`, `*.pth`, `*.ckpt`) are never fetched from a model
repository, since loading one runs whatever code it holds; a run's own checkpoints (`fetch_checkpoint`) are the one
exception.
"""

from zoo.hub.checkpoints import fetch_checkpoint, upload_checkpoint
from zoo.hub.collection import create_collection
from zoo.hub.download import PICKLED, Pinned, fetch, fetch_file, files, pin
from zoo.hub.endpoint import Endpoint, Kind, public_endpoint
from zoo.hub.upload import check_rights, upload

__all__ = [
    "PICKLED",
    "Endpoint",
    "Kind",
    "Pinned",
    "check_rights",
    "create_collection",
    "fetch",
    "fetch_checkpoint",
    "fetch_file",
    "files",
    "pin",
    "public_endpoint",
    "upload",
    "upload_checkpoint",
]
