"""A published model's page as files: what `spaces/agent` needs beside it, and what of this package it carries.

Pure: nothing is fetched, loaded or pushed here. The page itself is in `spaces/agent`.
"""

from zoo.space.files import RECIPE_NAME, read_records, space_files
from zoo.space.local import models_in, settings_of_records, settings_of_run
from zoo.space.recorded import Course, parse_courses, recorded
from zoo.space.settings import SETTINGS_NAME, SpaceModel, SpaceSettings, read_settings

__all__ = [
    "RECIPE_NAME",
    "SETTINGS_NAME",
    "Course",
    "SpaceModel",
    "SpaceSettings",
    "models_in",
    "parse_courses",
    "read_records",
    "read_settings",
    "recorded",
    "settings_of_records",
    "settings_of_run",
    "space_files",
]
