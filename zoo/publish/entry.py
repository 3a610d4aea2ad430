"""What the index of the zoo will say of a publication, written beside its records before anything is pushed."""

import json
from dataclasses import asdict

from zoo.cards import CardData
from zoo.index import Entry, FileEntry
from zoo.records import StageRecord

__all__ = ["NAME", "of", "text"]

# A dot, which no name of a stage may have, keeps it apart from their records.
NAME = "records/zoo.entry.json"


def of(data: CardData, weights_bytes: int) -> Entry:
    """The entry of a publication; its commit is known only when it is on a Hub."""
    score = next((record for record in data.scores.values() if record.inputs.get("model") == data.model), None)
    records = data.lineage.values()
    recommended = data.recommended
    return Entry(
        repository=data.repo,
        recipe=data.recipe.name,
        version=data.recipe.version,
        summary=data.recipe.summary,
        license=data.recipe.license,
        world=score.settings["agent"]["world"] if score else None,
        split=score.settings["split"] if score else None,
        success=score.metrics.get("success_rate") if score else None,
        files=tuple(
            FileEntry(file.name, exports.repo, file.bytes, file.type, file.passed, file.success)
            for exports in data.exports
            for file in exports.files
        ),
        recommended=recommended.name if recommended else None,
        machine="; ".join(dict.fromkeys(_machine(record) for record in records)),
        seconds=round(sum(record.seconds for record in records), 1),
        peak_memory_bytes=max((record.peak_memory_bytes for record in records), default=0),
        bytes=weights_bytes,
        tiny=any(record.tiny for record in records),
    )


def text(data: CardData, weights_bytes: int) -> str:
    """The entry as JSON."""
    return json.dumps(asdict(of(data, weights_bytes)), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _machine(record: StageRecord) -> str:
    hardware = record.hardware
    gpus = hardware.get("gpus") if str(hardware.get("device", "")).startswith("cuda") else None
    return str(gpus[0]) if gpus else f"{hardware.get('cpu', 'unknown')}, {hardware.get('cores', '?')} cores"
