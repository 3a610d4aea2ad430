"""A real Android device or emulator over adb: the same observation and actions as on the embedded phone.

`device` speaks to adb (package `adbutils`), `hierarchy` turns a dump of its screen into numbered lines, `tasks` are
things to do in the Settings app that a shell command can check, `environment` puts them together. Nothing is installed
on the device. Tested against a stand-in that speaks adb's protocol and replays screens written by hand in the form of
Android's own dumps (Settings, Contacts, right to left, a web view, tabs). Eight real dumps of six phones and emulators,
found in public repositories, were read too and looked through (lock screens, chats, forms, tabs); what they brought up
is in the handwritten screens, they themselves are not kept. Never run on a device.
"""

from zoo.environments.android.environment import AndroidEnvironment
from zoo.environments.android.hierarchy import Node, read_hierarchy
from zoo.environments.android.tasks import TEMPLATES, draw_tasks

__all__ = ["TEMPLATES", "AndroidEnvironment", "Node", "draw_tasks", "read_hierarchy"]
