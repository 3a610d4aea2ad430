"""A policy that is kept to a grammar while it learns: every answer is a call, and both sides see the same masses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from toy_policy import context, policy_spec
from toy_world import ToyWorld

from zoo import registry
from zoo.action_grammar import answer_grammar
from zoo.actions import parse
from zoo.serving.token_bytes import token_bytes
from zoo.serving.token_grammar import TokenGrammar
from zoo.trainers import grpo, preflight
from zoo.trainers.episode_samples import Sample
from zoo.trainers.masked_chances import bits_of, masked_chances
from zoo.trainers.rollouts import Answered

AGENT = {"constrained": True, "answer_tokens": 160, "rounds": 2}
TRL = {"max_steps": 1, "per_device_train_batch_size": 4, "num_generations": 4, "learning_rate": 1e-2}


@pytest.fixture(autouse=True, scope="module")
def toy() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.ENVIRONMENTS, "phone", "toy_world:ToyWorld")
        yield


def spec(**changes: Any) -> Any:
    return policy_spec(agent=AGENT, trl=TRL, environment={"tasks": 2}, checkpoint_steps=1, **changes)


@pytest.fixture(scope="module")
def trainer(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory, toy: None) -> Any:
    tasks = ToyWorld.draw_tasks("train", 2, 7)
    rows, _ = grpo._rows_of(tasks)
    ctx = context(tmp_path_factory.mktemp("constrained") / "run", model=tiny_llama)
    made = grpo._trainer(spec(), ctx, rows, preflight.load_processor(tiny_llama), tasks)
    made.model.train()
    return made


@pytest.fixture(scope="module")
def answers(trainer: Any) -> list[Answered]:
    """What the policy said in four episodes."""
    trainer._acted([dict(trainer.train_dataset[0]) for _ in range(4)])
    return [answer for one in trainer._seen for answer in one.rollout.answers]


def test_every_call_that_is_sampled_is_one_of_the_screen(trainer: Any, answers: list[Answered]) -> None:
    ended = [answer for answer in answers if answer.completion_ids[-1] in trainer.eos_token_ids]
    assert len(ended) >= 3 and len({answer.text for answer in ended}) > 1
    for answer in ended:
        action = parse(answer.text)
        assert action is not None, answer.text
        assert action.name not in ("tap", "long_press", "swipe") or 1 <= int(action.arguments[0]) <= 4


def test_what_the_trainer_learns_from_is_the_distribution_that_was_sampled_from(
    trainer: Any, answers: list[Answered]
) -> None:
    """Against TokenGrammar, token by token, and a softmax in float64 over what it allows."""
    answer = next(one for one in answers if len(one.completion_ids) > 20)
    bytes_of = token_bytes(trainer._tokenizer.backend_tokenizer.to_str())
    grammar = TokenGrammar(answer_grammar([1, 2, 3, 4], 160), bytes_of, frozenset(trainer.eos_token_ids))
    ids = torch.tensor([[*answer.prompt_ids, *answer.completion_ids]])
    with torch.no_grad():
        logits = trainer.model(input_ids=ids).logits[0, len(answer.prompt_ids) - 1 : -1].double()
        bits = bits_of([answer], trainer._grammars.mask_bytes)
        found, entropies = masked_chances(trainer.model, ids, torch.ones_like(ids), bits, 1.0, 1)
    forced = 0
    for place, token in enumerate(answer.completion_ids):
        may = torch.tensor([grammar._allows(other) for other in range(logits.size(1))])
        chances = logits[place].masked_fill(~may, float("-inf")).log_softmax(-1)
        assert float(found[0, place]) == pytest.approx(float(chances[token]), abs=1e-4)
        entropy = -(chances.exp() * chances)[may].sum()
        assert float(entropies[0, place]) == pytest.approx(float(entropy), abs=1e-4)
        forced += int(may.sum() == 1)
        if token not in trainer.eos_token_ids:
            grammar.accept(token)
    assert forced, "some token was the only one, so that its probability is 1"


def test_a_token_that_was_the_only_one_teaches_nothing(trainer: Any) -> None:
    trainer.model.zero_grad()
    only = Answered((5, 6), (7,), "", None, (bytes([0, 0, 0, 0b1]) + bytes(trainer._grammars.mask_bytes - 4),))
    first = int("".join(f"{byte:08b}" for byte in only.allowed[0]).index("1"))  # type: ignore[index]
    ids = torch.tensor([[5, 6, first]])
    found, entropies = masked_chances(
        trainer.model, ids, torch.ones_like(ids), bits_of([only], trainer._grammars.mask_bytes), 1.0, 1
    )
    assert found.tolist() == entropies.tolist() == [[0.0]]
    (found.sum() + entropies.sum()).backward()
    assert all(p.grad is None or not p.grad.abs().sum() for p in trainer.model.parameters())


def test_a_step_is_on_policy_under_the_masks(trainer: Any, answers: list[Answered]) -> None:
    """Ratio 1: the loss of a first step is minus the mean advantage, whatever the masses are."""
    answers = answers[:4]
    trainer._handed = [Sample(answer, 1.0 + place) for place, answer in enumerate(answers)]
    trainer._allowed = bits_of(answers, trainer._grammars.mask_bytes)
    size, trainer.num_generations = trainer.num_generations, 1
    batch = super(type(trainer), trainer)._generate_and_score_completions(
        [{"prompt": [{"role": "user", "content": ""}]} for _ in answers]
    )
    trainer.num_generations = size
    batch["advantages"], batch["allowed"] = torch.tensor([1.0, 2.0, 3.0, 4.0]), trainer._allowed
    trainer.current_gradient_accumulation_steps = 1
    loss = trainer.compute_loss(trainer.model, batch)
    lengths = torch.tensor([float(len(answer.completion_ids)) for answer in answers])
    expected = -(lengths * batch["advantages"]).sum() / lengths.sum()
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-4)
    loss.backward()
    assert trainer.model.model.embed_tokens.weight.grad.abs().sum() > 0
    assert trainer._allowed is None


@pytest.mark.parametrize(
    "changes", [{}, {"beta": 0.05, "num_iterations": 2, "pad_to_multiple_of": 64}], ids=["plain", "used twice, padded"]
)
def test_a_constrained_policy_is_trained(tiny_llama: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    ctx = context(tmp_path / "run", model=tiny_llama)
    rewards = [{"name": "success"}, {"name": "overlong", "options": {"most_tokens": 160, "window_tokens": 159}}]
    trained = spec(rewards=rewards)
    trained = trained.model_copy(
        update={
            "trl": {**TRL, "max_steps": 2, **changes},
            "checkpoint_steps": 2,
            "agent": trained.agent.model_copy(update={"rounds": 1}),
        }
    )
    result = grpo.run(trained, ctx)
    assert result.metrics["steps"].value == 2
    assert all(0 < point["entropy"] < 6 for point in result.notes["history"])
    before, after = load_file(tiny_llama / "model.safetensors"), load_file(ctx.out / "model.safetensors")
    assert not all(torch.equal(before[name], after[name]) for name in before)
