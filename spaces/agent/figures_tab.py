"""The third tab: success by stage, by app and by file, where everything is, and how to use it. From records alone."""

from collections import defaultdict
from collections.abc import Mapping
from html import escape

import gradio as gr
from stored_figures import NOT_RUN, metric_text, record_line, table_html

from zoo.records import Metric, StageRecord
from zoo.space import SpaceModel, SpaceSettings

__all__ = ["by_app", "by_file", "by_stage", "figures_tab", "uses"]

_FIDELITY = {
    "top1": "same most likely token",
    "mean_kl": "mean KL, nats",
    "same_action": "same call",
    "perplexity_ratio": "perplexity ratio",
}


def figures_tab(settings: SpaceSettings, records: Mapping[str, StageRecord], recipe: str | None) -> None:
    """Lay out the tab."""
    gr.HTML(by_stage(settings, records), elem_classes="figures")
    gr.HTML(by_app(settings, records), elem_classes="figures")
    gr.HTML(by_file(settings, records), elem_classes="figures")
    gr.HTML(uses(settings), elem_classes="figures")
    if recipe:
        with gr.Accordion("The recipe", open=False):
            gr.Code(recipe, language="yaml", label="recipe.yaml", interactive=False)


def by_stage(settings: SpaceSettings, records: Mapping[str, StageRecord]) -> str:
    """Success of each evaluated stage, as bars with their intervals."""
    found = {label: records[name] for label, name in settings.scores.items() if name in records}
    if not found:
        return f"<h2>Success by stage</h2><p>{NOT_RUN}: this model was not evaluated.</p>"
    lines = "".join(_bar(label, record.metrics.get("success_rate")) for label, record in found.items())
    last = list(found.values())[-1]
    split = escape(str(last.notes.get("split", "unknown tasks")))
    return (
        f"<h2>Success by stage</h2><p class='quiet'>Decided by the state of the world, never by the text, on {split}; "
        f"in brackets the 95 % interval.</p><div class='bars'><figure>{lines}</figure></div>{record_line(last)}"
    )


def by_app(settings: SpaceSettings, records: Mapping[str, StageRecord]) -> str:
    """Success of the last evaluated stage in each app."""
    names = [name for name in settings.scores.values() if name in records]
    if not names:
        return ""
    record = records[names[-1]]
    apps: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in record.notes.get("by_template", ()):
        app = row["template"].partition(".")[0]
        apps[app][0] += row["successes"]
        apps[app][1] += row["n"]
    if not apps:
        return ""
    lines = "".join(_bar(app, Metric(won / n, n=n), f"{won} of {n}") for app, (won, n) in sorted(apps.items()) if n)
    label = next(label for label, name in settings.scores.items() if name == names[-1])
    return f"<h2>By app, {escape(label)}</h2><div class='bars'><figure>{lines}</figure></div>"


def by_file(settings: SpaceSettings, records: Mapping[str, StageRecord]) -> str:
    """What each exported file kept of the checkpoint."""
    files = [model for model in settings.models if model.own and model.runtime != "torch"]
    if not files:
        return ""
    looked = {
        runtime: records[name]
        for runtime, name in (("gguf", settings.verify), ("onnx", settings.onnx_verify))
        if name in records
    }
    rows = [_file_row(model, looked.get(model.runtime), settings, records) for model in files]
    heads = ["file", "MB", *_FIDELITY.values(), "success"]
    lines = "".join(record_line(verify) for verify in looked.values())
    beneath = lines or "<p class='quiet'>No file was compared with the checkpoint.</p>"
    return f"<h2>By file, against the trained checkpoint</h2>{table_html(heads, rows)}{beneath}"


def _file_row(
    model: SpaceModel, verify: StageRecord | None, settings: SpaceSettings, records: Mapping[str, StageRecord]
) -> list[str]:
    metrics = verify.metrics if verify else {}
    score = records.get(settings.file_scores.get(model.type, ""))
    success = score.metrics.get("success_rate") if score else None
    return [
        f"{escape(model.name)}{' <small>recommended</small>' if model.recommended else ''}",
        f"{model.bytes / 1e6:,.0f}" if model.bytes else NOT_RUN,
        *(_kept(metrics.get(f"{model.type}.{figure}"), figure) for figure in _FIDELITY),
        metric_text(success),
    ]


def _kept(metric: Metric | None, figure: str) -> str:
    if metric is None:
        return NOT_RUN
    if figure in ("top1", "same_action"):
        return f"{100 * metric.value:.3g} %"
    return f"{metric.value:.2g}" if figure == "mean_kl" else f"{metric.value:.4g}"


def uses(settings: SpaceSettings) -> str:
    """Links to every repository, and one line for each way to use the model."""
    hub = escape(settings.hub.rstrip("/"), quote=True)
    names = dict.fromkeys(
        name
        for name in (settings.repository, *settings.repositories, *(one.repository for one in settings.models))
        if name
    )
    links = "".join(f'<li><a href="{hub}/{name}">{escape(name)}</a></li>' for name in names)
    if not names:
        return "<h2>Where it is</h2><p class='quiet'>This run was not published.</p>"
    files = [one for one in settings.models if one.own and one.repository and one.runtime == "gguf"]
    file = next((one for one in files if one.recommended), files[0] if files else None)
    lines = []
    if file is not None:
        lines = [
            _act_line(settings, file),
            f"llama-cli -hf {file.repository}:{(file.type or 'q8_0').upper()}",
            f"hf download {file.repository} {file.file}",
        ]
    if settings.repository:
        lines.append(f'transformers.pipeline("text-generation", "{settings.repository}")')
    code = "".join(f'<pre tabindex="0"><code>{escape(line)}</code></pre>' for line in lines)
    return f"<h2>Where it is</h2><ul class='links'>{links}</ul><h2>In one line</h2>{code}"


def _act_line(settings: SpaceSettings, file: SpaceModel) -> str:
    """The command that lets it act; a task in words is of the phone."""
    task = '"turn on Bluetooth" ' if settings.agent.world.startswith("phone") else ""
    return f"recipes act {task}--model {file.repository}:{file.type or file.file}"


def _bar(label: str, metric: Metric | None, said: str = "") -> str:
    if metric is None:
        return f'<div class="bar"><span class="name">{escape(label)}</span><span>{NOT_RUN}</span></div>'
    text = said or f"{100 * metric.value:.0f} %"
    reach = ""
    if metric.low is not None and metric.high is not None:
        text = f"{100 * metric.value:.0f} % ({100 * metric.low:.0f} to {100 * metric.high:.0f}), n {metric.n}"
        width = max(0.3, 100 * (metric.high - metric.low))
        reach = f'<span class="range" style="left:{100 * metric.low:.1f}%;width:{width:.1f}%"></span>'
    return (
        f'<div class="bar"><span class="name">{escape(label)}</span><span class="track">'
        f'<span class="fill" style="width:{100 * metric.value:.1f}%"></span>{reach}</span>'
        f'<span class="value">{escape(text)}</span></div>'
    )
