"""The files of one page's repository, as they are pushed to a Hub: the app, its settings, its records and episodes."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from zoo import shipped
from zoo.errors import DataError
from zoo.records import Metric, StageRecord
from zoo.space.package import package_files
from zoo.space.settings import SETTINGS_NAME, SpaceSettings

__all__ = ["EPISODES_FOLDER", "RECIPE_NAME", "RECORDS_FOLDER", "read_records", "space_files"]

RECORDS_FOLDER = "records"
EPISODES_FOLDER = "episodes"
RECIPE_NAME = "recipe.yaml"
_CARRIED = (".py", ".css", ".js", ".json", ".txt", ".md")


def space_files(
    settings: SpaceSettings,
    records: Mapping[str, StageRecord],
    episodes: Mapping[str, str],
    card: str | None = None,
    recipe: str | None = None,
    source: Path | None = None,
) -> dict[str, bytes]:
    """Path -> content of everything that a Space holds.

    `records`: name of a stage -> its record, shown on the page. `episodes`: name -> lines of `zoo.space.recorded`;
    an empty text is left out. `card`: the README.md; it must begin with the Space's metadata. Without it, the README
    of `spaces/agent` with this page's title and repositories. `recipe`: the YAML text, shown on the page. `source`:
    the folder of the app, by default the one that comes with edgezoo.

    >>> sorted(space_files(settings, {}, {}))[:3]  # doctest: +SKIP
    ['README.md', 'agent_tab.py', 'app.py']
    """
    folder = source or shipped.folder("spaces") / "agent"
    app = {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.suffix in _CARRIED}
    python = [content.decode("utf-8") for name, content in app.items() if name.endswith(".py")]
    told = {
        SETTINGS_NAME: settings.model_dump_json(indent=1, exclude_defaults=True) + "\n",
        "README.md": card if card is not None else _titled(app["README.md"].decode("utf-8"), settings),
        **{f"{RECORDS_FOLDER}/{name}.json": _json(record) for name, record in sorted(records.items())},
        **{f"{EPISODES_FOLDER}/{name}.jsonl": lines for name, lines in sorted(episodes.items()) if lines},
        **({RECIPE_NAME: recipe} if recipe else {}),
    }
    return {**app, **package_files(python), **{path: text.encode("utf-8") for path, text in told.items()}}


def read_records(folder: Path) -> dict[str, StageRecord]:
    """Name of a stage -> its record, of every record that `space_files` put into a page's folder.

    Raises DataError for a file that holds none.
    """
    found = {}
    # A dot, which no stage's name has, marks what else a publication keeps there.
    for file in (file for file in sorted((folder / RECORDS_FOLDER).glob("*.json")) if "." not in file.stem):
        try:
            data = json.loads(file.read_text("utf-8"))
            metrics = {name: Metric(**metric) for name, metric in data["metrics"].items()}
            found[file.stem] = StageRecord(**{**data, "metrics": metrics})
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{RECORDS_FOLDER}/{file.name}: no stage record: {error}") from error
    return found


def _json(record: StageRecord) -> str:
    return json.dumps(asdict(record), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _titled(readme: str, settings: SpaceSettings) -> str:
    """The shipped README with this page's title and the repositories of its models, which the Hub then links."""
    import yaml

    _, head, body = readme.split("---\n", 2)
    data = yaml.safe_load(head)
    models = dict.fromkeys(name for name in (settings.repository, *_repositories(settings)) if name)
    data["title"] = settings.title
    data["models"] = list(models)
    if settings.license:
        data["license"] = settings.license
    return f"---\n{yaml.safe_dump(data, sort_keys=False, allow_unicode=True)}---\n{body}"


def _repositories(settings: SpaceSettings) -> list[str]:
    return [*settings.repositories, *(model.repository for model in settings.models)]
