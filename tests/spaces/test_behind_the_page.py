"""Who may answer behind the page: every kind of file, a checkpoint, an endpoint; here, or fetched from a Hub first."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import exported_onnx
import openai_server
import places
import pytest
from answerers import ENDPOINT, Answerers, EndpointChoice
from course import Over
from episode import act
from neighbours import others
from shelf import Shelf
from tasks import Tasks
from turns import Turns
from visit import Visit

from zoo import hub, index
from zoo.errors import ModelError
from zoo.local_hub import running
from zoo.serving.llama_server import llama_server
from zoo.space import SpaceModel, SpaceSettings

KINDS = {"torch": "checkpoint", "onnx": "fp16", "genai": "genai-int8"}


@pytest.fixture(scope="module")
def page(settings: SpaceSettings, onnx_export: exported_onnx.OnnxExport) -> SpaceSettings:
    """A page whose models are a checkpoint, a portable graph and a folder of GenAI."""
    export = onnx_export.folder
    models = (
        SpaceModel(name="torch", runtime="torch", path=str(onnx_export.checkpoint), type="checkpoint"),
        SpaceModel(name="onnx", runtime="onnx", path=str(export / "onnx" / "model_fp16.onnx"), type="fp16"),
        SpaceModel(name="genai", runtime="onnx", path=str(export / "genai/cpu-int8/model.onnx"), type="genai-int8"),
    )
    agent = settings.agent.model_copy(update={"rounds": 2, "answer_tokens": 60})
    return settings.model_copy(update={"models": models, "agent": agent})


@pytest.fixture
def answerers(page: SpaceSettings) -> Iterator[Answerers]:
    shelf = Shelf(page)
    yield Answerers(page, page.agent, shelf, Turns())
    shelf.close()


@pytest.fixture
def visit(page: SpaceSettings, page_folder: Path) -> Visit:
    return Visit(page.agent, Tasks(page, page_folder).first)


def acted(visit: Visit, answerers: Answerers, name: str, choice: EndpointChoice | None = None) -> list[str]:
    """Everything that went wrong while somebody acted."""
    moments = act(visit, answerers, name, choice or EndpointChoice(), pause_seconds=0)
    return [moment.problem for moment in moments if moment.problem]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_acts_in_the_grammar_of_its_agent(kind: str, visit: Visit, answerers: Answerers) -> None:
    assert acted(visit, answerers, kind) == []
    assert isinstance(visit.now, Over)
    assert all(cost.tokens > 0 and cost.by == "agent" for cost in visit.costs)
    assert all(answer.startswith("<REASONING>") for answer in visit.answers)
    opened = answerers.shelf.process(kind)
    assert opened is not None
    assert opened.ready.threads is not None


def test_an_endpoint_of_ours_acts_as_anybodys_would(visit: Visit, answerers: Answerers, tiny_files: Path) -> None:
    with llama_server(tiny_files / "model-Q8_0.gguf", name="tiny") as address:
        assert acted(visit, answerers, ENDPOINT, EndpointChoice(f"{address}/v1", "tiny")) == []
    assert isinstance(visit.now, Over)
    assert all(cost.tokens for cost in visit.costs)


@pytest.mark.parametrize(
    "reply", [400, openai_server.Reply(raw=b"<html>not here</html>"), openai_server.Reply(raw=b"{}")]
)
def test_an_endpoint_that_speaks_something_else_ends_the_episode_in_words(
    reply: int | openai_server.Reply, visit: Visit, answerers: Answerers
) -> None:
    with openai_server.serving(lambda body: reply) as (url, _):
        (problem,) = acted(visit, answerers, ENDPOINT, EndpointChoice(url, "x"))
    assert "Traceback" not in problem
    assert len(problem) < 400
    assert not visit.running


def test_a_stop_does_not_wait_for_an_endpoint_that_does_not_answer(visit: Visit, answerers: Answerers) -> None:
    with openai_server.serving(lambda body: openai_server.Reply("late", seconds=5.0)) as (url, asked):
        going = act(visit, answerers, ENDPOINT, EndpointChoice(url, "x"), pause_seconds=0)
        while not asked:
            next(going)
        visit.stop.set()
        last = list(going)[-1]
    assert visit.ended == "stopped"
    assert not visit.answers
    assert not last.doing


@pytest.fixture
def published(onnx_export: exported_onnx.OnnxExport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The graphs on a Hub that this process takes for the public one; gives where its downloads go."""
    place = tmp_path / "repository"
    shutil.copytree(onnx_export.folder, place)
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    with running(tmp_path / "hub") as endpoint:
        hub.upload(endpoint, "me/small-ONNX", "model", place, "first", private=False)
        monkeypatch.setattr(hub, "public_endpoint", lambda: endpoint)
        yield tmp_path / "home"


def test_of_a_repository_of_graphs_only_the_chosen_one_is_fetched_as_real_files(published: Path) -> None:
    model = SpaceModel(name="int8", runtime="onnx", repository="me/small-ONNX", file="onnx/model_quantized.onnx")
    graph = places.bring(model)
    assert graph.is_file()
    assert not graph.is_symlink()
    fetched = {file.name for file in published.rglob("*.onnx")}
    assert fetched == {"model_quantized.onnx"}
    assert (graph.parent.parent / "tokenizer.json").is_file()
    assert places.bring(model) == graph


def test_a_graph_that_was_fetched_acts(published: Path, page: SpaceSettings, visit: Visit) -> None:
    model = SpaceModel(name="int8", runtime="onnx", repository="me/small-ONNX", file="onnx/model_quantized.onnx")
    public = page.model_copy(update={"models": (model,), "local": False})
    shelf = Shelf(public)
    try:
        assert acted(visit, Answerers(public, public.agent, shelf, Turns()), "int8") == []
    finally:
        shelf.close()
    assert visit.answers


def test_a_file_that_its_repository_does_not_have_is_said_without_the_machine(
    published: Path, page: SpaceSettings, visit: Visit
) -> None:
    model = SpaceModel(name="gone", runtime="onnx", repository="me/small-ONNX", file="onnx/other.onnx")
    public = page.model_copy(update={"models": (model,), "local": False})
    (problem,) = acted(visit, Answerers(public, public.agent, Shelf(public), Turns()), "gone")
    assert "gone cannot be fetched" in problem
    assert str(published) not in problem


def test_what_is_not_installed_here_is_not_offered(page: SpaceSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {"torch", "onnxruntime_genai"}
    monkeypatch.setattr("shelf.find_spec", lambda name: None if name in missing else object())
    assert list(Shelf(page).models) == ["onnx"]


def entry(name: str, **more: object) -> index.Entry:
    """What the index of a Hub has of one model."""
    file = index.FileEntry(f"{name}-Q8_0.gguf", f"me/{name}-GGUF", 5, "Q8_0", True)
    told = {
        "recipe": name, "version": 1, "summary": "", "license": "mit", "world": None, "split": None, "success": None,
        "files": (file,), "recommended": file.name, "machine": "", "seconds": 1.0, "peak_memory_bytes": 1, "bytes": 1,
    }  # fmt: skip
    return index.Entry(f"me/{name}", **{**told, **more})


def test_others_of_the_zoo_are_those_that_the_hub_lists_and_can_be_opened_here(
    tmp_path: Path, tiny_files: Path, settings: SpaceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    listed, files = tmp_path / "index", tmp_path / "files"
    listed.mkdir()
    files.mkdir()
    shutil.copyfile(tiny_files / "model-Q8_0.gguf", files / "other-Q8_0.gguf")
    bad = (index.FileEntry("../../x.gguf", "me/bad-GGUF", 1, "Q8_0", True),)
    entries = [entry("other"), entry("twin", tiny=True), entry("none", recommended=None)]
    entries.append(entry("bad", files=bad, recommended="../../x.gguf"))
    (listed / index.FILE_NAME).write_text(index.text(entries))
    public = settings.model_copy(update={"models": (), "local": False})
    with running(tmp_path / "hub") as endpoint:
        monkeypatch.setattr(hub, "public_endpoint", lambda: endpoint)
        with pytest.raises(ModelError, match="index of the zoo"):
            others(public)
        hub.upload(endpoint, index.REPOSITORY, "dataset", listed, "first", private=False)
        hub.upload(endpoint, "me/other-GGUF", "model", files, "first", private=False)
        shelf = Shelf(public)
        assert shelf.add(others(public)) == ["other Q8_0"]
        assert shelf.add(others(public)) == []
        list(shelf.fetch("other Q8_0"))
        try:
            assert shelf.opened("other Q8_0").answer([{"role": "user", "content": "hi"}], 3).tokens
        finally:
            shelf.close()
