"""A stand-in that speaks adb's server protocol over loopback, with a small phone behind it; for tests.

Requests are four hexadecimal digits of length and a text, answers `OKAY` or `FAIL`; `shell:` streams and closes,
`sync:` sends a file in chunks. The screens have the form of uiautomator's dumps of Android 13's Settings.
"""

import io
import re
import shlex
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

from PIL import Image

__all__ = ["Phone", "Recorded", "serving"]

SERIAL = "emulator-5554"
WIDTH, HEIGHT = 1440, 3120
_SERVER_VERSION = 41


def _node(cls: str, bounds: str, inside: str = "", **attributes: str) -> str:
    known = {
        "text": "", "content-desc": "", "checkable": "false", "checked": "false", "clickable": "false",
        "enabled": "true", "focusable": "false", "focused": "false", "scrollable": "false", "long-clickable": "false",
        "selected": "false", "visible-to-user": "true",
    }  # fmt: skip
    known |= {name.replace("_", "-"): value for name, value in attributes.items()}
    said = " ".join(f'{name}="{value}"' for name, value in known.items())
    return f'<node index="0" class="{cls}" {said} bounds="{bounds}">{inside}</node>'


def _row(top: int, title: str, switch: str | None = None) -> str:
    label = _node("android.widget.TextView", f"[200,{top + 40}][800,{top + 120}]", text=title)
    inside = _node("android.widget.RelativeLayout", f"[160,{top}][1000,{top + 200}]", label)
    if switch is not None:
        place = f"[1200,{top + 50}][1400,{top + 150}]"
        inside += _node("android.widget.Switch", place, checkable="true", checked=switch)
    return _node("android.widget.LinearLayout", f"[0,{top}][1440,{top + 200}]", inside, clickable="true")


def _screen(*inside: str) -> str:
    frame = _node("android.widget.FrameLayout", f"[0,0][{WIDTH},{HEIGHT}]", "".join(inside))
    return f"<?xml version='1.0' encoding='UTF-8' standalone='yes' ?><hierarchy rotation=\"0\">{frame}</hierarchy>"


@dataclass
class Phone:
    """Three screens, two settings, one field."""

    screen: str = "home"
    settings: dict[str, str] = field(default_factory=lambda: {"accelerometer_rotation": "1", "wifi_on": "1"})
    search: str = ""
    asked: list[str] = field(default_factory=list)
    """Every shell command."""
    dead: bool = False

    def dump(self) -> str:
        """The screen as uiautomator writes it."""
        title = _node("android.widget.TextView", "[80,200][900,320]", text=self.screen.title())
        hidden = _node("android.widget.Button", "[0,0][0,0]", text="No area", clickable="true")
        unseen = _node(
            "android.widget.Button", "[0,0][90,90]", text="Unseen", clickable="true", visible_to_user="false"
        )
        if self.screen == "home":
            icon = {"content_desc": "Settings", "clickable": "true", "long_clickable": "true"}
            return _screen(hidden, unseen, _node("android.widget.TextView", "[100,1000][400,1400]", **icon))
        if self.screen == "settings":
            field_ = _node(
                "android.widget.EditText", "[80,400][1360,520]", text=self.search, clickable="true", focused="true"
            )
            rows = _node("androidx.recyclerview.widget.RecyclerView", "[0,600][1440,3000]", _row(600, "Display"),
                         scrollable="true")  # fmt: skip
            return _screen(title, field_, rows)
        rotation = "true" if self.settings["accelerometer_rotation"] == "1" else "false"
        return _screen(title, _row(600, "Auto-rotate screen", rotation))

    def shell(self, command: str) -> bytes:
        """What a command prints, and what it does."""
        self.asked.append(command)
        words = shlex.split(command) if "|" not in command else command.split()
        match words:
            case ["rm", "-f", _, *_]:
                return b"UI hierchary dumped to: /data/local/tmp/uidump.xml\nsuccess\n"
            case ["input", "tap", left, top]:
                self._touch(int(left), int(top))
            case ["input", "text", text]:
                self.search += text.replace("%s", " ")
            case ["input", "keyevent", *keys]:
                self._keys(keys)
            case ["settings", "get", _, name]:
                return f"{self.settings.get(name, 'null')}\n".encode()
            case ["settings", "put", _, name, value]:
                self.settings[name] = value
            case ["am", "force-stop", "com.android.settings"]:
                self.screen = "home"
            case ["getprop", "ro.build.version.release"]:
                return b"13\n"
            case ["dumpsys", "activity", *_]:
                app = "com.google.launcher/.Launcher" if self.screen == "home" else "com.android.settings/.Settings"
                return f"  topResumedActivity=ActivityRecord{{1 u0 {app} t7}}\n".encode()
            case ["screencap", "-p"]:
                data = io.BytesIO()
                Image.new("RGB", (WIDTH, HEIGHT), "white").save(data, "PNG")
                return data.getvalue()
        return b""

    def _touch(self, left: int, top: int) -> None:
        if self.screen == "home" and 100 <= left < 400 and 1000 <= top < 1400:
            self.screen = "settings"
        elif self.screen == "settings" and 600 <= top < 800:
            self.screen = "display"
        elif self.screen == "display" and 600 <= top < 800:
            flipped = "0" if self.settings["accelerometer_rotation"] == "1" else "1"
            self.settings["accelerometer_rotation"] = flipped

    def _keys(self, keys: list[str]) -> None:
        if keys == ["3"]:
            self.screen = "home"
        elif keys == ["4"]:
            self.screen = {"display": "settings"}.get(self.screen, "home")
        elif keys[0] == "123":
            self.search = self.search[: max(0, len(self.search) - keys.count("67"))]


_HITS = re.compile(r'<node[^>]*?text="([^"]*)"[^>]*?content-desc="([^"]*)"[^>]*?clickable="true"[^>]*?'
                   r'bounds="\[(\d+),(\d+)\]\[(\d+),(\d+)\]"')  # fmt: skip


@dataclass
class Recorded(Phone):
    """A phone that replays dumps: a touch follows the link of what it hit, back returns."""

    dumps: dict[str, str] = field(default_factory=dict)
    """Name of a screen -> its dump, whole, as Android writes it."""
    links: dict[tuple[str, int, int], str] = field(default_factory=dict)
    """(screen, left, top) of an element -> the screen that it opens."""
    past: list[str] = field(default_factory=list)

    def dump(self) -> str:
        return self.dumps[self.screen]

    def _touch(self, left: int, top: int) -> None:
        boxes = [tuple(map(int, match.groups()[2:])) for match in _HITS.finditer(self.dump())]
        hit = [box for box in boxes if box[0] <= left < box[2] and box[1] <= top < box[3]]
        inner = min(hit, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]), default=None)
        if inner and (opened := self.links.get((self.screen, inner[0], inner[1]))):
            self.past.append(self.screen)
            self.screen = opened

    def _keys(self, keys: list[str]) -> None:
        if keys == ["4"] and self.past:
            self.screen = self.past.pop()
        elif keys == ["3"]:
            self.screen, self.past = "home", []


class _Handler(StreamRequestHandler):
    def handle(self) -> None:
        phone: Phone = self.server.phone  # type: ignore[attr-defined]
        while (head := self.rfile.read(4)) and not phone.dead:
            request = self.rfile.read(int(head, 16)).decode()
            if not self._answer(phone, request):
                return

    def _answer(self, phone: Phone, request: str) -> bool:
        """Whether the connection stays open for another request."""
        if request == "host:version":
            self._block(f"{_SERVER_VERSION:04x}")
        elif request == "host:devices":
            self._block(f"{SERIAL}\tdevice\n")
        elif request == f"host:tport:serial:{SERIAL}":
            self.wfile.write(b"OKAY" + struct.pack("<Q", 1))
            return True
        elif request.startswith("shell:"):
            self.wfile.write(b"OKAY" + phone.shell(request.removeprefix("shell:")))
        elif request == "sync:":
            self.wfile.write(b"OKAY")
            self._send_file(phone)
        else:
            reason = f"unknown request {request}".encode()
            self.wfile.write(b"FAIL" + f"{len(reason):04x}".encode() + reason)
        return False

    def _block(self, text: str) -> None:
        self.wfile.write(b"OKAY" + f"{len(text):04x}{text}".encode())

    def _send_file(self, phone: Phone) -> None:
        assert self.rfile.read(4) == b"RECV"
        name = self.rfile.read(struct.unpack("<I", self.rfile.read(4))[0]).decode()
        assert re.fullmatch(r"/data/local/tmp/[\w.]+", name)
        data = phone.dump().encode()
        for at in range(0, len(data), 500):
            chunk = data[at : at + 500]
            self.wfile.write(b"DATA" + struct.pack("<I", len(chunk)) + chunk)
        self.wfile.write(b"DONE" + struct.pack("<I", 0))


class _Server(ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def serving(phone: Phone) -> Iterator[int]:
    """The port of an adb server that knows one phone."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.phone = phone  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
