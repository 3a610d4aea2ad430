"""Whether the settings of a data stage fit together: what its source needs is there, what no source reads is not."""

from collections.abc import Iterator, Mapping

from zoo.schema import DataSpec

__all__ = ["data_problems", "key_variables"]

_EPISODES = frozenset({"split", "tasks"})
_NO_WAY_BACK = frozenset({"miniwob", "android"})
_NO_SCREEN = frozenset({"arithmetic", "arithmetic-alone"})
_OF_SOURCE: Mapping[str, frozenset[str]] = {
    "expert": _EPISODES | {"detours", "predict", "alternatives"},
    "agent": _EPISODES | {"model", "export", "file", "endpoint", "tries", "temperature", "keep", "batch"},
    "dataset": frozenset({"dataset", "format", "turns", "column", "package", "files", "text_characters"}),
    "mix": frozenset({"mix", "turns", "column", "files", "text_characters"}),
}
_OF_FORMAT: Mapping[str, frozenset[str]] = {
    "chat": frozenset({"turns"}),
    "text": frozenset({"column", "package", "files", "text_characters"}),
}


def data_problems(spec: DataSpec) -> Iterator[tuple[str, str, str]]:
    """Key, what is wrong with it, what to write instead; for everything that is wrong."""
    yield from _misplaced(spec)
    if spec.source == "agent":
        yield from _agent(spec)
    if spec.source == "dataset":
        yield from _dataset(spec)
    if spec.source == "mix":
        yield from _mix(spec)
    if spec.detours and spec.agent.world in _NO_WAY_BACK:
        what = f"detours: {spec.detours:g}, and {spec.agent.world} cannot be copied to try out wrong steps"
        yield "detours", what, "write detours: 0"
    if spec.detours and spec.agent.world in _NO_SCREEN:
        what = f"detours: {spec.detours:g}, and {spec.agent.world} has no screen to stray to"
        yield "detours", what, "write detours: 0"
    if spec.filters.strict_answers and spec.agent.world in _NO_SCREEN:
        what = f"strict_answers asks for three tags, and the agent of {spec.agent.world} has others"
        yield "filters", what, "leave strict_answers out"
    if spec.predict == "observation" and spec.agent.world in _NO_WAY_BACK:
        yield "predict", f"{spec.agent.world} cannot be copied to try out calls", "name another world"
    if spec.predict == "observation" and spec.reason:
        yield "reason", "rows that tell an observation have no call to explain", "leave reason out"
    if spec.reason and (spec.source == "dataset" and spec.format == "text"):
        yield "reason", "plain text has no call that a teacher could explain", "leave reason out"


def _misplaced(spec: DataSpec) -> Iterator[tuple[str, str, str]]:
    """What is written for another source would be ignored in silence."""
    own = _OF_SOURCE[spec.source]
    for key in sorted(spec.model_fields_set - own):
        sources = [source for source, keys in _OF_SOURCE.items() if key in keys]
        if sources and getattr(spec, key) != type(spec).model_fields[key].default:
            what = f"{key} is read with source: {' or '.join(sources)}, and the source is {spec.source}"
            yield key, what, f"write source: {sources[0]}, or leave {key} out"


def _agent(spec: DataSpec) -> Iterator[tuple[str, str, str]]:
    named = [key for key in ("model", "export", "endpoint") if getattr(spec, key)]
    if not named:
        yield "source", "source: agent names nobody who acts", "write model: stage:NAME, export: or endpoint:"
    if len(named) > 1:
        yield named[1], f"both {' and '.join(named)} are named, and one acts", f"leave {named[1]} out"
    if spec.tries > 1 and not spec.temperature:
        yield "tries", f"{spec.tries} tries at temperature 0 are the same try", "write temperature: 0.7, or tries: 1"
    if spec.export and spec.agent.pictures != "none":
        what = f"the agent sees pictures ({spec.agent.pictures}), and exported files answer about words only here"
        yield "export", what, "write model: or endpoint: instead, or agent: {pictures: none}"


def _dataset(spec: DataSpec) -> Iterator[tuple[str, str, str]]:
    if spec.format == "text" and spec.package:
        if spec.dataset:
            yield "package", "both dataset and package are named, and one is read", "leave one of them out"
    elif spec.package:
        yield "package", f"format {spec.format} reads no package", "write format: text"
    elif not spec.dataset:
        yield "source", "source: dataset names no dataset", "write dataset: owner/name@revision, or a path"
    for format_, keys in _OF_FORMAT.items():
        for key in sorted(keys & spec.model_fields_set - {"package"}):
            if format_ != spec.format:
                yield key, f"{key} is read with format: {format_}", f"write format: {format_}, or leave {key} out"


def _mix(spec: DataSpec) -> Iterator[tuple[str, str, str]]:
    if not spec.mix:
        yield "source", "source: mix names nothing to mix", "write mix: {stage:demos: 0.7, owner/dataset@main: 0.3}"
    elif not sum(share.weight for share in spec.mix):
        yield "mix", "the weights of mix add up to 0, so that nothing is taken", "write a weight above 0"
    if len({str(share.rows) for share in spec.mix}) < len(spec.mix):
        yield "mix", "one source is mixed twice, so that its rows could be taken twice", "name it once"


def key_variables(spec: DataSpec) -> list[str]:
    """The variables that must hold a key before the stage runs."""
    asked = [spec.endpoint, spec.reason and spec.reason.teacher, spec.reason and spec.reason.writer]
    return [one.key_variable for one in asked if one and one.key_variable]
