"""The agreements that makers of models wrote for their own: what each asks for, and the address of its text.

Not covered: what an acceptable use policy forbids, which is for its reader.
"""

from zoo.licences.entry import NOT_SOLD, NOTICE, Terms

__all__ = ["AGREEMENTS"]

_META = "https://www.llama.com"
_MARKED = "mark the files that were changed"
_OPENRAIL = (
    "pass the licence's restrictions of use on to every user, as a condition that binds them",
    "pass on the licence's text",
    _MARKED,
)
_EUROPE = (
    "of its models that see images nothing is licensed to people and companies of the European Union, except to use a "
    "product that contains one"
)
_NO_OTHER_MODEL = "use neither it nor its answers to improve another large language model than a {name} one"


def _llama(version: str, hub: str, *more: str, listed: bool = True) -> Terms:
    """Sections 1.b (redistribution), 2 (scale) of each version; what differs is `more`."""
    return Terms(
        hub=hub,
        spdx=f"LicenseRef-{hub}",
        rank=3,
        source=f"{_META}/llama{version.replace('.', '_')}/license/",
        obligations=(
            f"pass on the Llama {version} Community License with what is distributed, and keep to its acceptable use "
            "policy",
            f'add a NOTICE file: "Llama {version} is licensed under the Llama {version} Community License, Copyright © '
            'Meta Platforms, Inc. All Rights Reserved."',
            *more,
            "ask Meta for a licence above 700 million monthly users",
        ),
        binds=True,
        listed=listed,
    )


def _built(product: str, name: str) -> str:
    return (
        f'show "Built with {product}", and let the model\'s name begin with "{name}", also when only trained on answers'
    )


AGREEMENTS = (
    _llama("2", "llama2", _NO_OTHER_MODEL.format(name="Llama 2")),
    _llama("3", "llama3", _built("Meta Llama 3", "Llama 3"), _NO_OTHER_MODEL.format(name="Llama 3")),
    _llama("3.1", "llama3.1", _built("Llama", "Llama")),
    _llama("3.2", "llama3.2", _built("Llama", "Llama"), _EUROPE),
    _llama("3.3", "llama3.3", _built("Llama", "Llama"), _EUROPE),
    _llama("4", "llama4", _built("Llama", "Llama"), _EUROPE, listed=False),
    Terms(
        # Of Gemma 1 to 3; Gemma 4 is under Apache-2.0.
        "gemma",
        "LicenseRef-gemma",
        3,
        "https://ai.google.dev/gemma/terms",
        (
            "pass its restrictions of use (section 3.2, with the prohibited use policy) on to every user, as a "
            "condition that binds them",
            "pass on the Gemma Terms of Use",
            'add a NOTICE file: "Gemma is provided under and subject to the Gemma Terms of Use found at '
            'ai.google.dev/gemma/terms"',
            _MARKED,
            "the same holds for a model that was trained on its answers to act like it (section 1.1)",
        ),
        binds=True,
    ),
    Terms(
        "qwen",
        "LicenseRef-qwen",
        3,
        "https://huggingface.co/Qwen/Qwen2.5-72B-Instruct/blob/main/LICENSE",
        (
            "pass on the Qwen License Agreement, with its notice of attribution",
            _MARKED,
            'show "Built with Qwen" or "Improved using Qwen", also when only trained on answers',
            "ask Alibaba Cloud for a licence above 100 million monthly users",
        ),
        binds=True,
        listed=False,
    ),
    Terms(
        "qwen-research",
        "LicenseRef-qwen-research",
        5,
        "https://huggingface.co/Qwen/Qwen2.5-3B-Instruct/blob/main/LICENSE",
        (
            f"{NOT_SOLD}: research and evaluation only",
            "pass on the Qwen Research License Agreement, with its notice of attribution",
            _MARKED,
            'show "Built with Qwen" or "Improved using Qwen", also when only trained on answers',
        ),
        binds=True,
        commercial=False,
        listed=False,
    ),
    Terms(
        # Apache-2.0's text with a threshold: no copyleft, yet what is made of the model stays under it.
        "lfm1.0",
        "LicenseRef-lfm1.0",
        3,
        "https://www.liquid.ai/lfm-license",
        (
            "pass on the LFM Open License v1.0, and keep its notices",
            _MARKED,
            "no commercial use by whoever has a revenue of 10 million USD a year or more",
        ),
        binds=True,
        listed=False,
    ),
    Terms(
        "nvidia-open-model-license",
        "LicenseRef-nvidia-open-model-license",
        3,
        "https://www.nvidia.com/en-us/agreements/enterprise-software/nvidia-open-model-license/",
        (
            "pass on the NVIDIA Open Model License Agreement",
            'add a NOTICE file: "Licensed by NVIDIA Corporation under the NVIDIA Open Model License"',
            "its guardrails may not be weakened without others in their place: the licence ends with them",
        ),
        binds=True,
        listed=False,
    ),
    Terms(
        "mrl",
        "LicenseRef-mrl",
        5,
        "https://mistral.ai/licenses/MRL-0.1.md",
        (f"{NOT_SOLD}: the model, what is made of it and its answers are for research only", "pass on the licence"),
        binds=True,
        commercial=False,
        listed=False,
    ),
    # A family and not a text: which restrictions hold is said by the model's own LICENSE file.
    Terms("openrail", "LicenseRef-openrail", 3, "https://www.licenses.ai/ai-licenses", _OPENRAIL, binds=True),
    Terms(
        "bigscience-openrail-m",
        "LicenseRef-bigscience-openrail-m",
        3,
        "https://www.licenses.ai/blog/2022/8/26/bigscience-open-rail-m-license",
        (*_OPENRAIL, NOTICE),
        binds=True,
    ),
    Terms(
        "bigcode-openrail-m",
        "LicenseRef-bigcode-openrail-m",
        3,
        "https://huggingface.co/spaces/bigcode/bigcode-model-license-agreement",
        (*_OPENRAIL, NOTICE),
        binds=True,
    ),
    Terms(
        "creativeml-openrail-m",
        "LicenseRef-creativeml-openrail-m",
        3,
        "https://huggingface.co/spaces/CompVis/stable-diffusion-license",
        (*_OPENRAIL, NOTICE),
        binds=True,
    ),
)
"""By the Hub's identifiers, or by the `license_name` that their makers' cards give them."""
