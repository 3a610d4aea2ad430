"""What it costs to know every token that an agent's grammar allows, as constrained rollouts do, by one tokenizer.

    python benchmarks/token_masks.py CHECKPOINT

Two answers in three tags, one after the other; the second finds some of the places where it stands known
already: those that the first came by.
"""

import sys
import time
from pathlib import Path
from statistics import median

from transformers import AutoTokenizer

from zoo.action_grammar import answer_grammar
from zoo.actions import Action, write_answer
from zoo.serving.token_bytes import token_bytes
from zoo.serving.token_masks import Spelling, TokenMasks

ANSWERS = (
    write_answer("The settings are on the home screen.", "Home, open settings, tap", Action("tap", (3,))),
    write_answer("Bluetooth is off, its switch is the fifth element.", "Settings, on, tap", Action("tap", (5,))),
)


def main() -> None:
    tokenizer = AutoTokenizer.from_pretrained(Path(sys.argv[1]))
    started = time.perf_counter()
    spelling = Spelling(token_bytes(tokenizer.backend_tokenizer.to_str()), [tokenizer.eos_token_id], len(tokenizer))
    letters = spelling.columns.shape[0]
    seconds = time.perf_counter() - started
    print(f"{len(tokenizer)} tokens of at most {letters} letters, read in {seconds:.2f} s once a stage")
    masks = TokenMasks(answer_grammar(range(1, 13), 96), spelling)
    for number, answer in enumerate(ANSWERS, 1):
        place, spent = masks.start(), []
        for token in tokenizer(answer, add_special_tokens=False)["input_ids"]:
            started = time.perf_counter()
            masks.allowed(place)
            spent.append(time.perf_counter() - started)
            place = masks.after(place, token)
        shown = f"median {median(spent) * 1e3:.1f} ms, most {max(spent) * 1e3:.1f} ms, sum {sum(spent):.2f} s"
        print(f"answer {number}: {len(spent)} tokens, {shown}")


if __name__ == "__main__":
    main()
