"""The page: three tabs under one heading, its looks, and how it is served."""

import logging
import os
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from agent_tab import AgentTab
from answerers import Answerers
from api import offer
from compare_tab import CompareTab
from figures_tab import figures_tab
from shelf import Shelf
from tasks import Tasks, playable
from turns import Turns

from zoo.records import StageRecord
from zoo.schema import AgentSpec
from zoo.space import RECIPE_NAME, SpaceSettings, read_records, read_settings

__all__ = ["build", "serve"]

_LONGEST_QUEUE = 64
_THREADS = 80
"""Of the server: a visitor who waits for a turn holds one."""
_SESSIONS = 200
_UPLOAD_BYTES = "64kb"
_HOUR = 3600
_LOOPBACK = "127.0.0.1"


def serve(folder: Path) -> None:
    """Serve the page of a folder until the process ends. Address and port are Gradio's own environment variables."""
    logging.basicConfig(format="%(name)s: %(message)s")
    settings = read_settings(folder)
    shelf = Shelf(settings)
    blocks = build(settings, folder, shelf)
    try:
        blocks.launch(**looks(folder), server_name=_host(), inbrowser=bool(os.environ.get("EDGEZOO_BROWSER")))
    finally:
        shelf.close()


def build(settings: SpaceSettings, folder: Path, shelf: Shelf) -> gr.Blocks:
    """The page, ready to be launched with `looks`."""
    answerers = Answerers(settings, playable(settings.agent), shelf, Turns())
    tasks = Tasks(settings, folder)
    records = read_records(folder)
    with gr.Blocks(
        title=settings.title, analytics_enabled=False, fill_width=False, delete_cache=(_HOUR, _HOUR)
    ) as page:
        gr.HTML(_head(settings), elem_id="head")
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Watch it act", id="agent"):
                agent = AgentTab(answerers, tasks, folder)
            with gr.Tab("Side by side", id="compare"):
                CompareTab(answerers, tasks, folder, settings.title, _latencies(settings, records))
            with gr.Tab("Its numbers", id="figures"):
                figures_tab(settings, records, _recipe(folder))
        gr.HTML(_foot(settings), elem_id="foot")
        agent.open(page)
        offer(answerers, tasks)
    return page.queue(max_size=_LONGEST_QUEUE, default_concurrency_limit=24)


def looks(folder: Path) -> dict[str, Any]:
    """What `launch` is told about how the page looks and what it lets in."""
    return {
        "theme": _theme(),
        "css": (folder / "style.css").read_text("utf-8"),
        "footer_links": [],
        "run_history": False,
        "show_error": False,
        "ssr_mode": False,
        "max_threads": _THREADS,
        "max_file_size": _UPLOAD_BYTES,
        "state_session_capacity": _SESSIONS,
        "enable_monitoring": False,
        "quiet": True,
        # Gradio ends a page that does not hear itself within three seconds, which a busy machine cannot promise.
        "_frontend": False,
    }


def _theme() -> Any:
    """Gradio's parts in the colours of `style.css`, light and dark; the system's own fonts, so that none is fetched."""
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
    )
    surfaces = ("block_background_fill", "background_fill_primary", "panel_background_fill")
    quiet = ("input_background_fill", "button_secondary_background_fill", "background_fill_secondary")
    lines = ("border_color_primary", "block_border_color", "input_border_color")
    ink = ("body_text_color", "button_secondary_text_color", "input_placeholder_color")
    soft = ("block_label_text_color", "block_title_text_color", "block_info_text_color", "body_text_color_subdued")
    chosen = {
        **dict.fromkeys(surfaces, "var(--paper)"),
        **dict.fromkeys(quiet, "var(--field)"),
        **dict.fromkeys(lines, "var(--line)"),
        **dict.fromkeys(ink, "var(--ink)"),
        **dict.fromkeys(soft, "var(--soft)"),
        "body_background_fill": "var(--ground)",
        "slider_color": "var(--accent)",
    }
    dark = {f"{name}_dark": value for name, value in chosen.items()}
    return theme.set(
        **chosen, **dark, block_radius="12px", container_radius="12px", input_radius="9px", button_large_radius="11px",
        button_small_radius="9px", block_shadow="none",
    )  # fmt: skip


def _host() -> str:
    """Loopback, unless the Hub runs it: there a Space listens to the outside, as its environment says."""
    everywhere = "0.0.0.0"  # noqa: S104 - in a Space's container, which only the Hub's own proxy reaches
    return os.environ.get("GRADIO_SERVER_NAME") or (everywhere if os.environ.get("SPACE_ID") else _LOOPBACK)


def _latencies(settings: SpaceSettings, records: Mapping[str, StageRecord]) -> list[StageRecord]:
    return [records[name] for name in (settings.latency, settings.onnx_latency) if name in records]


def _recipe(folder: Path) -> str | None:
    file = folder / RECIPE_NAME
    return file.read_text("utf-8") if file.is_file() else None


def _head(settings: SpaceSettings) -> str:
    tiny = '<p class="tiny">A tiny twin: its models have two layers and know nothing.</p>' if settings.tiny else ""
    return f"<h1>{escape(settings.title)}</h1><p>{escape(settings.summary)}</p>{tiny}{_otherwise(settings.agent)}"


def _otherwise(agent: AgentSpec) -> str:
    """What is otherwise on this page than where the agent was made."""
    told = []
    if playable(agent).world != agent.world:
        told.append(
            f"This agent was made for the world “{escape(agent.world)}”, which a page cannot hold; here it acts on the "
            "embedded phone, and how it does there is no measure of it."
        )
    if agent.pictures != "none":
        told.append("This agent looks at screenshots; here it reads the words of the screen.")
    return "".join(f'<p class="tiny">{sentence}</p>' for sentence in told)


def _foot(settings: SpaceSettings) -> str:
    names = dict.fromkeys(name for name in (settings.repository, *settings.repositories) if name)
    hub = escape(settings.hub.rstrip("/"), quote=True)
    links = [f'<a href="{hub}/{name}">{escape(name)}</a>' for name in names]
    return " · ".join([*links, "made with edgezoo"])
