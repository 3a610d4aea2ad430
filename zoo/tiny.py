"""Tiny models with a real tokenizer, made on the spot: what `--tiny` and the tests put in a base model's place.

They load, train, merge and export like the models they stand in for, and know nothing. They have two layers, or as many
as it takes to have one of each kind. The tokenizer is a byte-level BPE trained on the few words below (for Gemma, one
over pieces), so that every text encodes and a phone's screen stays short.
"""

import json
from pathlib import Path
from typing import Any

from zoo.records import Metric, StageContext, StageResult
from zoo.schema import TinySpec

__all__ = ["ARCHITECTURES", "make", "run"]

ARCHITECTURES = ("llama", "llama-wide", "qwen2_5_vl", "qwen3", "smollm3", "gemma3")

POSITIONS = 4096
_MERGES = 448
_SPECIAL = (_NOTHING, _START, _STOP) = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_VISION = ("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")

_WORDS = """
You are an agent that operates a phone. Answer with one call. Instruction: History Information: Current Information:
<REASONING> The screen shows the button that the task asks for. </REASONING>
<STATE_ASSESSMENT> Current State: the home screen. Required Change: open the settings. Action Need: tap it.
</STATE_ASSESSMENT> <CALLED_FUNCTION> tap(3) text("milk") long_press(2) swipe(4, "up", "medium") back() home()
wait(5) finish("The task has been finished.") </CALLED_FUNCTION>
system user assistant functions index input_str direction dist interval message up down left right short medium long
Settings Wi-Fi Bluetooth Display Clock Alarm Timer Calendar Event Contacts Name Phone Notes Messages Search Save Cancel
Delete Add New Edit Done Open Close On Off button label switch field list item selected checked enabled disabled
Set an alarm for 7:30. Turn on Bluetooth. Add the contact Ada with the number 555 0142. Delete the note called milk.
Monday Tuesday Wednesday Thursday Friday Saturday Sunday January March April June July August October December
"""

_CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_CHATML_WITH_IMAGES = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for block in message['content'] %}"
    "{% if block['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ block['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_PIECES = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>")
_PAD, _EOS, _BOS, _UNKNOWN, _TURN, _TURN_END = _PIECES
_GEMMA = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message['role'] }}\n"
    "{{ message['content'] }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>assistant\n{% endif %}"
)


def run(spec: TinySpec, ctx: StageContext) -> StageResult:
    """Write the checkpoint into `ctx.out`."""
    make(spec.architecture, ctx.out, ctx.seed)
    weights = sum(file.stat().st_size for file in ctx.out.glob("*.safetensors"))
    return StageResult({"weights": Metric(weights, "bytes")}, {"architecture": spec.architecture})


def make(architecture: str, folder: Path, seed: int) -> None:
    """Write a checkpoint of a few layers in float32 into a folder; the same seed gives the same bytes.

    Raises ValueError for an architecture that is not one of `ARCHITECTURES`.
    """
    makers = {
        "llama": _llama, "llama-wide": _llama_wide, "qwen2_5_vl": _qwen2_5_vl, "qwen3": _qwen3, "smollm3": _smollm3,
        "gemma3": _gemma3,
    }  # fmt: skip
    if architecture not in makers:
        raise ValueError(f"no tiny model of architecture {architecture!r}; there is {', '.join(makers)}")
    import torch

    from zoo.checkpoint import save

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, processor = makers[architecture]()
    save(model, processor, folder, "float32")


def _llama_wide() -> tuple[Any, Any]:
    """A teacher's stand-in: the tokens of `llama`, and twice its width."""
    return _llama(width=2)


def _llama(width: int = 1) -> tuple[Any, Any]:
    """Like SmolLM2: tied embeddings, grouped queries, digits split one by one."""
    from tokenizers import pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM

    splits = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer = _tokenizer(splits, _SPECIAL, _CHATML, bos=_START, pad=_STOP)
    config = LlamaConfig(
        **_language_sizes(tokenizer, width), tie_word_embeddings=True, bos_token_id=tokenizer.bos_token_id,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
    )  # fmt: skip
    return LlamaForCausalLM(config), tokenizer


def _qwen3() -> tuple[Any, Any]:
    """Like Qwen3: norms on queries and keys, heads wider than their share of the hidden size."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = _tokenizer(_splits(), _SPECIAL, _CHATML, bos=None, pad=_NOTHING)
    config = Qwen3Config(
        **_language_sizes(tokenizer), head_dim=32, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
    )  # fmt: skip
    return Qwen3ForCausalLM(config), tokenizer


def _smollm3() -> tuple[Any, Any]:
    """Like SmolLM3: the fourth layer without positions, digits split in threes, words that are tokens never merged."""
    from transformers import SmolLM3Config, SmolLM3ForCausalLM

    tokenizer = _tokenizer(_splits(most_digits=3), _SPECIAL, _CHATML, bos=None, pad=_STOP, whole_words=True)
    config = SmolLM3Config(
        **_language_sizes(tokenizer, layers=4), tie_word_embeddings=True, bos_token_id=None,
        rope_parameters={"rope_type": "default", "rope_theta": 5_000_000.0},
    )  # fmt: skip
    return SmolLM3ForCausalLM(config), tokenizer


def _gemma3() -> tuple[Any, Any]:
    """Like Gemma 3's text models: five layers that look through a window and one that does not, each kind with a rotary
    base of its own; norms on queries and keys, and around each part of a layer; pieces instead of bytes."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    tokenizer = _pieces_tokenizer()
    config = Gemma3TextConfig(
        **_language_sizes(tokenizer, layers=6), bos_token_id=tokenizer.bos_token_id, head_dim=32,
        query_pre_attn_scalar=32, sliding_window=64, tie_word_embeddings=True,
        rope_parameters={
            "full_attention": {"rope_type": "default", "rope_theta": 1_000_000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
        },
    )  # fmt: skip
    return Gemma3ForCausalLM(config), tokenizer


def _splits(most_digits: int = 1) -> list[Any]:
    """Qwen's rule; Llama 3's with three digits."""
    from tokenizers import Regex, pre_tokenizers
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    digits = r"|\p{N}|" if most_digits == 1 else f"|\\p{{N}}{{1,{most_digits}}}|"
    return [
        pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX.replace(r"|\p{N}|", digits)), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]


def _qwen2_5_vl() -> tuple[Any, Any]:
    """Like Qwen2.5-VL: windowed vision attention, three-dimensional rotary positions, at most 64 tokens an image."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2VLImageProcessorPil

    from zoo.image_processor import ImageProcessor

    tokenizer = _tokenizer(_splits(), _SPECIAL + _VISION, _CHATML_WITH_IMAGES, bos=None, pad=_NOTHING)
    token = tokenizer.convert_tokens_to_ids
    # A head has 16 dimensions; its 8 rotary frequencies are shared out to time, height and width.
    rotary = {"rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": [2, 3, 3]}
    config = Qwen2_5_VLConfig(
        text_config={**_language_sizes(tokenizer), "rope_parameters": rotary, "bos_token_id": None},
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 64,
            "fullatt_block_indexes": [1], "patch_size": 14, "window_size": 112,
        },
        image_token_id=token("<|image_pad|>"), video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"), vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )  # fmt: skip
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    images = Qwen2VLImageProcessorPil(min_pixels=28 * 28 * 4, max_pixels=28 * 28 * 64)
    return model, ImageProcessor(images, tokenizer, chat_template=tokenizer.chat_template)


def _language_sizes(tokenizer: Any, width: int = 1, layers: int = 2) -> dict[str, Any]:
    """Sizes of the language model; widths are multiples of 32, which q8_0 asks for."""
    return {
        "vocab_size": len(tokenizer), "hidden_size": 64 * width, "intermediate_size": 128 * width,
        "num_hidden_layers": layers, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": POSITIONS,
        "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip


def _tokenizer(
    splits: list[Any],
    special: tuple[str, ...],
    template: str,
    bos: str | None,
    pad: str,
    *,
    whole_words: bool = False,
) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=len(special) + len(alphabet) + _MERGES, special_tokens=list(special),
        initial_alphabet=alphabet, show_progress=False,
    )  # fmt: skip
    tokenizer = Tokenizer(models.BPE(ignore_merges=True) if whole_words else models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(_WORDS.splitlines(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=bos, eos_token=_STOP, pad_token=pad, unk_token=_NOTHING,
        extra_special_tokens=list(special[1:]), chat_template=template, model_max_length=POSITIONS,
        clean_up_tokenization_spaces=False,
    )  # fmt: skip


def _pieces_tokenizer() -> Any:
    """Like Gemma's: pieces that cross the borders of words, a token for every byte, spaces written as `\u2581`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    learned = Tokenizer(models.BPE())
    learned.normalizer = normalizers.Replace(" ", "\u2581")
    learned.train_from_iterator(_WORDS.split("\n"), trainers.BpeTrainer(vocab_size=_MERGES, show_progress=False))
    model = json.loads(learned.to_str())["model"]
    names = [*_PIECES, *(f"<0x{value:02X}>" for value in range(256)), *model["vocab"]]
    tokenizer = Tokenizer(
        models.BPE(
            {name: index for index, name in enumerate(names)},
            [tuple(pair) for pair in model["merges"]],
            unk_token=_UNKNOWN, byte_fallback=True, fuse_unk=True,
        )
    )  # fmt: skip
    tokenizer.normalizer = learned.normalizer
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()],
    )
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in _PIECES])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{_BOS} $A", special_tokens=[(_BOS, _PIECES.index(_BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=_BOS, eos_token=_TURN_END, pad_token=_PAD, unk_token=_UNKNOWN,
        extra_special_tokens=[_EOS, _TURN], chat_template=_GEMMA, model_max_length=POSITIONS,
        clean_up_tokenization_spaces=False,
    )  # fmt: skip
