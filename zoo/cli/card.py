"""The command that shows a run's cards before anybody else sees them: card."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.markdown import Markdown

from zoo.cache import Finished, default_root
from zoo.cards import checking
from zoo.cards.page import page
from zoo.cli.library import find, overrides, tiny
from zoo.cli.outside import Outside, published_texts
from zoo.errors import ZooError, did_you_mean
from zoo.plan import plan
from zoo.publish import FOLDERS
from zoo.recipe import load
from zoo.schema import PublishSpec

__all__ = ["card", "finished_publication"]


@click.command()
@click.argument("source", metavar="RECIPE|FOLDER")
@click.option(
    "--part", help="Which repository of a publication: model, GGUF, ONNX, adapter, data, space. Default: all."
)
@click.option("--open", "as_page", is_flag=True, help="Open it as a page, as the Hub would show it.")
@click.option("--offline", is_flag=True, help="Ask the embedded Hub only.")
@overrides
@tiny
@click.option("--json", "as_json", is_flag=True, help="One JSON line: each card's file, page and problems.")
def card(
    source: str, part: str | None, as_page: bool, offline: bool, overrides: tuple[str, ...], tiny: bool, as_json: bool
) -> None:
    """Show and check the cards of a finished run, or the card of a folder.

    RECIPE|FOLDER: a recipe whose publication is finished, a publication's folder, or a folder with a README.md.
    """  # fmt: skip
    cards = _cards(source, part, overrides, tiny, offline)
    rows = []
    wrong = []
    for name, file in cards.items():
        text = file.read_text("utf-8")
        found = checking.problems(text, FOLDERS[name][1] if name in FOLDERS else "model")
        html = _page(name, file) if as_page or as_json else None
        wrong += [f"{file}: {problem}" for problem in found]
        rows.append({"part": name, "file": str(file), "page": str(html) if html else None, "problems": found})
        if not (as_page or as_json):
            Console().print(Markdown(text.partition("\n---\n")[2]))
        if as_page and html:
            click.echo(str(html))
            click.launch(html.as_uri())
    if as_json:
        click.echo(json.dumps(rows))
    if wrong:
        raise ZooError("a Hub would not take this card as it is:\n  " + "\n  ".join(wrong))


def _cards(source: str, part: str | None, overrides: tuple[str, ...], tiny: bool, offline: bool) -> dict[str, Path]:
    """Part -> its README.md."""
    folder = Path(source)
    if folder.is_dir():
        own = folder / "README.md"
        return {"model": own} if own.is_file() else _parts(folder, part)
    return _parts(finished_publication(source, overrides, tiny, offline).folder, part)


def _parts(folder: Path, part: str | None) -> dict[str, Path]:
    found = {name: folder / name / "README.md" for name in FOLDERS if (folder / name / "README.md").is_file()}
    if not found:
        raise ZooError(f"{folder}: holds no README.md, and no publication: name a folder that does, or a recipe")
    if part is not None and part not in found:
        raise ZooError(f"--part {part}: this publication has none; {did_you_mean(part, list(found))}")
    return {name: file for name, file in found.items() if part in (None, name)}


def finished_publication(recipe: str, overrides: tuple[str, ...], tiny: bool, offline: bool) -> Finished:
    """The publication of a recipe that was run as it is now. Raises ZooError, with what to run, where it was not."""
    loaded = load(find(recipe), overrides, tiny=tiny)
    outside = Outside(default_root(), offline or tiny)
    stages = plan(loaded.recipe, outside.identify, published_texts(loaded))
    publications = [stage for stage in stages if isinstance(stage.spec, PublishSpec)]
    if not publications:
        raise ZooError(f"{loaded.name} has no stage that publishes, and so no card; add one of kind: publish")
    found = [outside.cache.find(stage.key) for stage in publications if stage.key]
    done = next((finished for finished in found if finished), None)
    if done is None:
        raise ZooError(
            f"{loaded.name}: stage {publications[0].name} is not finished, and a card is made from its records; "
            f"run it first: recipes run {recipe}{' --tiny' if tiny else ''} --no-push"
        )
    return done


def _page(name: str, file: Path) -> Path:
    # Beside the cache and not in it: a finished stage is not written to.
    target = default_root() / "pages" / file.parent.parent.name / f"{name}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(file.read_text("utf-8"), file.parent, name), "utf-8")
    return target
