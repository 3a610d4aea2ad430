"""All allowed tokens at once are those that are allowed one by one; what is sampled from them keeps to the grammar."""

from random import Random

import numpy as np
import pytest
import torch
from test_token_grammar import GRAMMARS

from zoo.actions import parse
from zoo.errors import DataError
from zoo.serving import TorchRuntime
from zoo.serving.token_grammar import TokenGrammar
from zoo.serving.token_masks import Constrained, Spelling, TokenMasks


@pytest.mark.parametrize("name", GRAMMARS)
def test_a_mask_holds_what_is_allowed_one_by_one(name: str, torch_runtime: TorchRuntime) -> None:
    bytes_of, stops = torch_runtime.token_bytes, torch_runtime.stop_ids
    size = torch_runtime.vocabulary_size
    masks = TokenMasks(GRAMMARS[name], Spelling(bytes_of, sorted(stops), size))
    rng, seen = Random(0), 0
    for _ in range(3):
        one, place = TokenGrammar(GRAMMARS[name], bytes_of, stops), masks.start()
        for _ in range(12):
            allowed = np.unpackbits(masks.allowed(place), count=size).astype(bool)
            assert allowed.tolist() == [one._allows(token) for token in range(size)]
            token = rng.choice(np.flatnonzero(allowed).tolist())
            seen += 1
            if token in stops:
                break
            one.accept(token)
            place = masks.after(place, token)
    assert seen > 10


def test_what_is_sampled_under_masks_keeps_to_each_rows_grammar(torch_runtime: TorchRuntime) -> None:
    stops, size = sorted(torch_runtime.stop_ids), torch_runtime.vocabulary_size
    spelling = Spelling(torch_runtime.token_bytes, stops, size)
    grammars = ['root ::= "tap(" [1-3] ")"', 'root ::= "back()" | "home()"']
    prompt = torch.tensor([torch_runtime.encode("a phone")] * 2)
    kept = Constrained([TokenMasks(text, spelling) for text in grammars], prompt.shape[1])
    torch.manual_seed(0)
    output = torch_runtime.model.generate(
        input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=24, do_sample=True,
        logits_processor=[kept],
    )  # fmt: skip
    for row, name in zip(output[:, prompt.shape[1] :].tolist(), ("tap", "backhome"), strict=True):
        end = next(place for place, token in enumerate(row) if token in stops)
        action = parse(torch_runtime.decode(row[:end]))
        assert action is not None and action.name in name
        assert len(kept.allowed[0 if name == "tap" else 1]) == end + 1


def test_a_grammar_that_the_vocabulary_cannot_write_is_told() -> None:
    masks = TokenMasks('root ::= "q"', Spelling([None, b"a", b"b"], [0], 3))
    with pytest.raises(DataError, match="what the vocabulary cannot write"):
        masks.allowed(masks.start())


def test_a_letter_that_is_begun_is_finished() -> None:
    letter = "é".encode()
    spelling = Spelling([None, letter[:1], letter[1:], b"a", letter], [0], 5)
    masks = TokenMasks('root ::= "é"', spelling)
    first = np.unpackbits(masks.allowed(masks.start()), count=5).tolist()
    assert first == [0, 1, 0, 0, 1]
    amid = masks.after(masks.start(), 1)
    assert np.unpackbits(masks.allowed(amid), count=5).tolist() == [0, 0, 1, 0, 0]
    assert np.unpackbits(masks.allowed(masks.after(amid, 2)), count=5).tolist() == [1, 0, 0, 0, 0]
