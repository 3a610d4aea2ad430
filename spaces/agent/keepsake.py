"""An episode to take away: as JSON with every step, and as an animated GIF. Both stay in memory."""

import base64
import json
from dataclasses import asdict
from html import escape
from io import BytesIO
from itertools import count
from typing import Any

from course import Over
from visit import Visit

from zoo.actions import Action, write
from zoo.environments.phone.layout import HEIGHT, WIDTH

__all__ = ["as_data", "as_gif", "gif_link", "json_link", "link"]

_FRAME_MILLISECONDS, _LAST_MILLISECONDS = 1100, 2600
_CAPTION = 96
_RED = (226, 28, 68)
_LINE_CHARACTERS = 40
_NUMBERS = count(1)


def as_data(visit: Visit) -> dict[str, Any]:
    """Everything of an episode as plain JSON data; the screens as the agent read them."""
    now = visit.now
    over = now if isinstance(now, Over) else None
    return {
        "task": visit.task.id,
        "instruction": visit.task.instruction,
        "by": visit.name,
        "agent": visit.spec.model_dump(mode="json"),
        "success": over.success if over and visit.checked else None,
        "ended": over.ended if over else visit.ended or None,
        "expert_steps": visit.expert_steps,
        "steps": [
            {
                "observation": step.observation,
                "answer": step.answer,
                "action": write(step.action) if step.action else None,
                **asdict(cost),
            }
            for step, cost in zip(now.steps, visit.costs, strict=False)
        ],
    }


def as_gif(visit: Visit) -> bytes:
    """The episode as a picture that moves: a frame a step with what it does, and the last screen."""
    from PIL import Image

    steps = len(visit.answers)
    frames = [_frame(visit, step) for step in range(steps + 1)]
    palette = [frame.convert("P", palette=Image.Palette.ADAPTIVE, colors=96) for frame in frames]
    out = BytesIO()
    durations = [*[_FRAME_MILLISECONDS] * steps, _LAST_MILLISECONDS]
    palette[0].save(out, "GIF", save_all=True, append_images=palette[1:], duration=durations, loop=0)
    return out.getvalue()


def link(name: str, kind: str, content: bytes) -> str:
    """An address that holds the file itself; the page's script saves it as a download.

    No two are alike: the browser is told of what changed, and who saves the same episode twice wants two files.
    """
    data = base64.b64encode(content).decode("ascii")
    said = escape(name, quote=True)
    return f'<a data-number="{next(_NUMBERS)}" download="{said}" href="data:{kind};base64,{data}">{said}</a>'


def json_link(visit: Visit) -> str:
    """The link to an episode's JSON."""
    text = json.dumps(as_data(visit), indent=1, ensure_ascii=False) + "\n"
    return link("episode.json", "application/json", text.encode("utf-8"))


def gif_link(visit: Visit) -> str:
    """The link to an episode's GIF."""
    return link("episode.gif", "image/gif", as_gif(visit))


def _frame(visit: Visit, step: int) -> Any:
    from PIL import Image, ImageDraw

    environment: Any = visit.screen(step)
    frame = Image.new("RGB", (WIDTH, HEIGHT + _CAPTION), (24, 26, 32))
    frame.paste(environment.screenshot(), (0, _CAPTION))
    draw = ImageDraw.Draw(frame)
    action = visit.action(step)
    _caption(draw, visit, step, action)
    if action:
        _mark(draw, environment, action)
    return frame.resize((WIDTH // 2, (HEIGHT + _CAPTION) // 2), Image.Resampling.LANCZOS)


def _caption(draw: Any, visit: Visit, step: int, action: Action | None) -> None:
    from PIL import ImageFont

    if step == len(visit.answers):
        now = visit.now
        solved = isinstance(now, Over) and now.success and visit.checked
        said = "solved" if solved else "the end"
    else:
        said = write(action) if action else "no readable call"
        said = f"{step + 1}. {said}"
    font = ImageFont.load_default(24)
    draw.text((20, 14), _cut(visit.task.instruction), (226, 230, 238), font)
    draw.text((20, 52), _cut(said), (120, 190, 255), font)


def _cut(text: str) -> str:
    return text if len(text) <= _LINE_CHARACTERS else f"{text[: _LINE_CHARACTERS - 1]}…"


def _mark(draw: Any, environment: Any, action: Action) -> None:
    boxes = environment.layout().touchable
    if action.name in ("tap", "long_press", "swipe") and int(action.arguments[0]) <= len(boxes):
        x, y = boxes[int(action.arguments[0]) - 1].centre
        y += _CAPTION
        draw.ellipse((x - 34, y - 34, x + 34, y + 34), outline=_RED, width=7)
        draw.ellipse((x - 9, y - 9, x + 9, y + 9), fill=_RED)
