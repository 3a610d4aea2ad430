"""Two-layer models with a real tokenizer, made on the spot: what `--tiny` and the tests put in a base model's place.

They load, train, merge and export like the models they stand in for, and know nothing. The tokenizer is a byte-level
BPE trained on the few words below, so that every text encodes and a phone's screen stays short.
"""

from pathlib import Path
from typing import Any

from zoo.records import Metric, StageContext, StageResult
from zoo.schema import TinySpec

__all__ = ["ARCHITECTURES", "make", "run"]

ARCHITECTURES = ("llama", "llama-wide", "qwen2_5_vl")

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


def run(spec: TinySpec, ctx: StageContext) -> StageResult:
    """Write the checkpoint into `ctx.out`."""
    make(spec.architecture, ctx.out, ctx.seed)
    weights = sum(file.stat().st_size for file in ctx.out.glob("*.safetensors"))
    return StageResult({"weights": Metric(weights, "bytes")}, {"architecture": spec.architecture})


def make(architecture: str, folder: Path, seed: int) -> None:
    """Write a checkpoint of two layers in float32 into a folder; the same seed gives the same bytes.

    Raises ValueError for an architecture that is not one of `ARCHITECTURES`.
    """
    makers = {"llama": _llama, "llama-wide": _llama_wide, "qwen2_5_vl": _qwen2_5_vl}
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


def _qwen2_5_vl() -> tuple[Any, Any]:
    """Like Qwen2.5-VL: windowed vision attention, three-dimensional rotary positions, at most 64 tokens an image."""
    from tokenizers import Regex, pre_tokenizers
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2VLImageProcessorPil
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    from zoo.image_processor import ImageProcessor

    splits = [
        pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
    tokenizer = _tokenizer(splits, _SPECIAL + _VISION, _CHATML_WITH_IMAGES, bos=None, pad=_NOTHING)
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


def _language_sizes(tokenizer: Any, width: int = 1) -> dict[str, Any]:
    """Sizes of the language model; widths are multiples of 32, which q8_0 asks for."""
    return {
        "vocab_size": len(tokenizer), "hidden_size": 64 * width, "intermediate_size": 128 * width,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": POSITIONS,
        "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip


def _tokenizer(splits: list[Any], special: tuple[str, ...], template: str, bos: str | None, pad: str) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=len(special) + len(alphabet) + _MERGES, special_tokens=list(special),
        initial_alphabet=alphabet, show_progress=False,
    )  # fmt: skip
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(_WORDS.splitlines(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=bos, eos_token=_STOP, pad_token=pad, unk_token=_NOTHING,
        extra_special_tokens=list(special[1:]), chat_template=template, model_max_length=POSITIONS,
        clean_up_tokenization_spaces=False,
    )  # fmt: skip
