"""How the agent is asked, what it remembers, and when an episode ends."""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from zoo.schema.settings import Settings

__all__ = ["AgentSpec"]


class AgentSpec(Settings):
    """How the agent is asked, what it remembers, and when an episode ends."""

    world: Literal["phone", "phone-ten", "miniwob", "android", "desk", "arithmetic", "arithmetic-alone"] = "phone"
    """The environment that it acts in: the phone with four apps, the one with ten, which also disturbs, MiniWoB++ in a
    real browser, an Android device over adb, or a service desk whose clerk says which datum is missing. `arithmetic`:
    generated questions with a Python interpreter as tool, in ReTool's tags; `arithmetic-alone`: the same without it."""
    style: Literal["openphone", "terse"] = "openphone"
    """`openphone`: OpenPhone's system text and its three-tag answer. `terse`: the same three tags with a system text of
    one line and short contents, since a weak model is hurt by long reasoning."""
    observation: Literal["xml", "terse", "xml-bounds"] = "xml"
    """`xml`: AndroidLab's compressed XML. `terse`: a line an element, its number behind its label, where a weak model
    finds it: what follows a word is easier to copy than what stands before it. `xml-bounds`: the XML with every node's
    bounds in pixels, and with the actions check and focusable, as AndroidLab writes it."""
    memory_steps: int = Field(10, ge=0)
    """How many of its own past state assessments the agent is shown."""
    rounds: int = Field(25, ge=1)
    """Steps after which an episode ends (AndroidLab: 25)."""
    answer_tokens: int = Field(256, ge=8)
    """The longest answer of one step, in tokens."""
    memory: Literal["assessments", "folded", "actions", "none"] = "assessments"
    """What it is shown of its past. `assessments`: the last of its own state assessments. `folded`: the same, and the
    older ones folded into one line. `actions`: its last calls alone. `none`: nothing."""
    memory_tokens: int | None = Field(None, ge=0)
    """How many tokens its memory may have at most, besides `memory_steps`; the instruction and the screen are never
    cut. Without it, the steps alone bound it."""
    constrained: bool = False
    """Whether a grammar keeps answers to the three tags and a call that exists on the screen."""
    pictures: Literal["none", "plain", "marks"] = "none"
    """What it sees of the screen besides text, for a model with eyes. `marks`: the screenshot with the number of each
    element on it, in place of the text, as OpenPhone (Set-of-Marks). `plain`: the screenshot as it is, beside the text,
    which has the numbers."""
    episode_seconds: float | None = Field(None, gt=0)
    """Seconds after which an episode ends; with it, a slow machine changes results. Without it, only rounds count."""

    @model_serializer(mode="wrap")
    def _later_fields_when_set(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A field that came after the first keys is written only when it says something, so that keys stay."""
        return {name: value for name, value in write(self).items() if name not in _LATER or value != _LATER[name]}


_LATER: dict[str, Any] = {
    "memory": "assessments",
    "memory_tokens": None,
    "constrained": False,
    "pictures": "none",
    "episode_seconds": None,
}
