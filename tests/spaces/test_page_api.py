"""The served page, asked by programs: everything through `gradio_client`, as anybody's script would."""

from collections.abc import Iterator

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError


@pytest.fixture(scope="module")
def client(page_url: str) -> Iterator[Client]:
    client = Client(page_url, verbose=False)
    yield client
    client.close()


def test_the_page_offers_four_endpoints_and_hides_its_own(client: Client) -> None:
    offered = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(offered) == {"/models", "/tasks", "/act", "/compare"}


def test_models_and_tasks_are_listed(client: Client) -> None:
    assert client.predict(api_name="/models")[:3] == ["Tiny F32", "Tiny Q8_0", "The scripted expert (no model)"]
    assert len(client.predict(api_name="/tasks")) >= 30


def test_the_expert_solves_a_task_step_by_step(client: Client) -> None:
    task = client.predict(api_name="/tasks")[0]
    job = client.submit(task, "The scripted expert (no model)", api_name="/act")
    last = job.result(timeout=120)
    assert last["success"] is True
    assert len(last["steps"]) == last["expert_steps"]
    assert not job.outputs()[0]["steps"]
    assert len(job.outputs()) > last["expert_steps"]


def test_a_model_acts(client: Client) -> None:
    task = client.predict(api_name="/tasks")[0]
    last = client.submit(task, "Tiny Q8_0", api_name="/act").result(timeout=240)
    assert last["ended"]
    assert all(step["tokens"] for step in last["steps"])


def test_two_files_are_compared(client: Client) -> None:
    found = client.submit(["Tiny F32", "Tiny Q8_0"], "", "Say hello.", 2, api_name="/compare").result(timeout=240)
    assert set(found) == {"Tiny F32", "Tiny Q8_0"}
    assert found["Tiny F32"]["agreement"] == 1.0
    assert found["Tiny Q8_0"]["step_seconds"]["n"] == 2


@pytest.mark.parametrize("model", ["../../etc/passwd", "nothing", ""])
def test_what_is_no_model_is_refused_in_words(client: Client, model: str) -> None:
    with pytest.raises(AppError, match="there is no model") as refused:
        client.predict("Open Clock.", model, api_name="/act")
    assert "Traceback" not in str(refused.value)


def test_a_huge_task_is_cut_and_acted_on(client: Client) -> None:
    last = client.submit("x" * 50_000, "Tiny Q8_0", api_name="/act").result(timeout=240)
    assert len(last["instruction"]) == 240
    assert last["success"] is None


def test_no_file_of_the_machine_is_handed_out(page_url: str) -> None:
    import httpx

    for path in ("/gradio_api/file=/etc/passwd", "/gradio_api/file=space.json", "/file=app.py"):
        answer = httpx.get(page_url + path)
        assert answer.status_code in (403, 404), path
