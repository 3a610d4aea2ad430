"""The verdict on a file: what is wrong with it, by how much, and what to try."""

from collections.abc import Iterator, Sequence

from zoo.metrics import Agreement
from zoo.schema import Gate
from zoo.verify.comparison import ActionAgreement
from zoo.verify.report import GENERAL, STEPS, FileReport
from zoo.verify.tasks import TaskAgreement

__all__ = ["failures"]

_LARGER = ("q4_0", "q4_k_m", "q5_k_m", "q6_k", "q8_0", "f16", "f32")
_SIXTEEN_BITS = {"f16": "f32", "bf16": "f32", "fp16": "fp32"}
_EIGHT_BITS = {"q8_0": "f16", "int8": "fp16", "genai-int8": "fp16"}
_FOUR_BITS_OF_GRAPHS = {"int4": "int8", "genai-int4": "genai-int8"}
_NAMES = {STEPS: "the agent's steps", GENERAL: "general text"}
_REMEDIES = {
    "loads": "download or export the file again; if it is whole, the tested runtime does not know what it holds",
    "vocabulary": "export again from the folder that holds this checkpoint's own tokenizer; another one was used",
    "special token ids": "export again with the checkpoint's tokenizer_config.json beside its weights",
    "token ids": "export again: the pre-tokenizer, merges, a special token or the BOS setting is not the tokenizer's",
    "chat template": "export again; until then, run it with the checkpoint's own (llama.cpp: --chat-template-file)",
    "rendered prompts": "simplify the template: llama.cpp's Jinja reads it otherwise than transformers does",
    "stop tokens": "export again with the checkpoint's generation_config.json: its eos_token_id names every stop token",
    "answers end": "train with the stop token in the labels, or export again: the file does not come to an end",
    "network settings": "export again from this checkpoint's config.json; a setting was lost or misread",
    "rotary base": "export again from this checkpoint's config.json; transformers 4 takes another base in silence",
    "tensor types": "export again, with every tensor at least as fine as the type in the file's name",
    "action grammar": "export again with the recipe's agent, so that the file and the grammar beside it are one",
    "weights": "export again; the file holds weights of another checkpoint, or they were written in the wrong order",
    "external data": "copy or export the graph and its data file again, both, into one folder",
    "interface": "export again with the other `exporter`, or another variant: a name or a size was traced wrongly",
    "cache": "export again with the other `exporter`, or another variant: the cache was traced wrongly",
    "left padding": "export again with the other `exporter`, or another variant: the attention mask was lost",
    "projector": "export the mmproj again, from the trained checkpoint and not from its base model",
}


def failures(report: FileReport, gate: Gate) -> list[str]:
    """One line for each check that failed and each measure beyond its gate, then what to try."""
    found = [f"{check.name}: {check.detail}" for check in report.checks if check.passed is False]
    if report.closeness:
        for kind, near in report.closeness.items():
            found += _agreement_failures(near.agreement, gate, _NAMES[kind])
        found += _action_failures(report.actions, gate.same_action) if gate.same_action else []
        found += _task_failures(report.tasks, gate.success_drop) if gate.success_drop is not None else []
    else:
        found.append("agreement: not measured, so the gate is not kept")
    return [*found, *_advice(report)] if found else []


def _agreement_failures(measured: Agreement, gate: Gate, where: str) -> Iterator[str]:
    # Written as `not <=`, since of a NaN every comparison is false and a broken file would pass
    if not measured.mean_kl <= gate.mean_kl:
        yield f"mean_kl is {measured.mean_kl:.3g} nats on {where}, at most {gate.mean_kl:g} is allowed"
    if not measured.top1.value >= gate.top1:
        share = f"{measured.top1.value:.4f} of {measured.positions} positions"
        yield f"top1 is {share} on {where}, at least {gate.top1:g} is asked for"
    if gate.perplexity_ratio is not None and not measured.perplexity_ratio <= gate.perplexity_ratio:
        ratio = f"{measured.perplexity_ratio:.4f} on {where}"
        yield f"perplexity_ratio is {ratio}, at most {gate.perplexity_ratio:g} is allowed"


def _action_failures(actions: ActionAgreement | None, least: float) -> list[str]:
    rate = actions.same_action if actions else None
    if rate is None:
        return ["same_action: not measured, since no step was answered or the checkpoint itself called nothing"]
    if rate.value < least:
        return [f"same_action is {rate.value:.3f} of {rate.n} steps, at least {least:g} is asked for"]
    return []


def _task_failures(tasks: TaskAgreement | None, most: float) -> list[str]:
    if tasks is None:
        return ["success_drop: not measured, since no task was run"]
    if tasks.drop > most:
        both = f"{tasks.successes} of {tasks.tasks} tasks, the checkpoint {tasks.reference_successes}"
        # Of a dozen tasks one is eight points: such a sample refuses a file for a single unlucky episode
        coarse = (
            f"; one task is {100 / tasks.tasks:.1f} points, so run more of them" if 100 / tasks.tasks > most else ""
        )
        return [f"success_drop is {tasks.drop:.1f} points ({both}), at most {most:g} is allowed{coarse}"]
    return []


def _advice(report: FileReport) -> Sequence[str]:
    """The first broken check explains the numbers after it; without one, the type is too small or the export wrong."""
    broken = [check.name for check in report.checks if check.passed is False]
    if broken:
        again = "the file does not say what the checkpoint says, so no gate can be fair to it"
        return [f"try: {_REMEDIES.get(broken[0], 'export again')} ({again})"]
    if larger := _SIXTEEN_BITS.get(report.type):
        return [
            f"try: {larger}; if that passes, the weights need more than the range or precision of this type, and if it "
            "does not, the export is wrong in a way that no structural check names"
        ]
    if report.type in ("f32", "fp32"):
        return ["try: export again; nothing was rounded, so another checkpoint or another computation is in the file"]
    if larger := _EIGHT_BITS.get(report.type):
        return [f"try: a larger type ({larger}), or train longer: an undecided model flips with the smallest rounding"]
    if larger := _FOUR_BITS_OF_GRAPHS.get(report.type):
        return [f"try: a larger type ({larger}), or {_left_out(report.type)}"]
    larger = _LARGER[_LARGER.index(report.type) + 1] if report.type in _LARGER else "q8_0"
    more = "an importance matrix from the agent's own prompts"
    return [f"try: a larger type ({larger}), {more}, or {_left_out(report.type)}"]


def _left_out(type_: str) -> str:
    return f"`optional: [{type_}]` in the recipe: the file is then left out and the card says so"
