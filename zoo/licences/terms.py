"""The table of licences: what each asks of whoever publishes what is made of it, and where its text is."""

from dataclasses import dataclass

__all__ = ["TERMS", "Terms", "known"]


@dataclass(frozen=True)
class Terms:
    """What one licence asks of whoever publishes something made of what it covers."""

    hub: str
    """The Hub's identifier; for what the Hub calls `other`, its `license_name`."""
    spdx: str
    """SPDX identifier; `LicenseRef-...` for what SPDX does not list."""
    rank: int
    """0 public domain, 1 permissive, 2 permissive with more to do, 3 rules of use, 4 copyleft, 5 no commercial use."""
    source: str
    """Where its text is."""
    obligations: tuple[str, ...] = ()
    binds: bool = False
    """Whether what is made of it must bear the same licence."""
    commercial: bool = True
    derivatives: bool = True
    becomes: tuple[str, ...] = ()
    """Licences (Hub identifiers) that what it covers may be given instead."""
    listed: bool = True
    """Whether the Hub has an identifier of its own for it (else `license: other` and a name)."""


_ATTRIBUTION = "name the authors, link the licence and say what was changed"
_NOTICE = "keep the copyright notice and the licence's text"
_SAME = "publish under the same licence"
_NOT_SOLD = "no commercial use"
_OPENRAIL = "pass the licence's restrictions of use on to every user"
_CC, _SPDX, _META = "https://creativecommons.org", "https://spdx.org/licenses", "https://www.llama.com"


def _llama(version: str, hub: str, name_asked: bool = True) -> Terms:
    built = "Meta Llama 3" if version == "3" else "Llama"
    naming = f'let the model\'s name begin with "Llama", and show "Built with {built}"'
    return Terms(
        hub=hub,
        spdx=f"LicenseRef-{hub}",
        rank=3,
        source=f"{_META}/llama{version.replace('.', '_')}/license/",
        obligations=(
            f"pass on the Llama {version} Community License, its acceptable use policy and the notice that it asks for",
            naming if name_asked else "use neither it nor its answers to improve another large language model",
            "ask Meta for a licence above 700 million monthly users",
        ),
        binds=True,
    )


_ALL = (
    Terms("cc0-1.0", "CC0-1.0", 0, f"{_CC}/publicdomain/zero/1.0/legalcode"),
    Terms("unlicense", "Unlicense", 0, f"{_SPDX}/Unlicense.html"),
    Terms("pddl", "PDDL-1.0", 0, f"{_SPDX}/PDDL-1.0.html"),
    Terms("wtfpl", "WTFPL", 0, f"{_SPDX}/WTFPL.html"),
    Terms("mit", "MIT", 1, f"{_SPDX}/MIT.html", (_NOTICE,)),
    Terms("isc", "ISC", 1, f"{_SPDX}/ISC.html", (_NOTICE,)),
    Terms("bsd-2-clause", "BSD-2-Clause", 1, f"{_SPDX}/BSD-2-Clause.html", (_NOTICE,)),
    Terms("bsd-3-clause", "BSD-3-Clause", 1, f"{_SPDX}/BSD-3-Clause.html", (_NOTICE,)),
    Terms("zlib", "Zlib", 1, f"{_SPDX}/Zlib.html", (_NOTICE,)),
    Terms("cdla-permissive-2.0", "CDLA-Permissive-2.0", 1, f"{_SPDX}/CDLA-Permissive-2.0.html", (_NOTICE,)),
    Terms("odc-by", "ODC-By-1.0", 1, f"{_SPDX}/ODC-By-1.0.html", (_ATTRIBUTION,)),
    Terms("cc-by-4.0", "CC-BY-4.0", 1, f"{_CC}/licenses/by/4.0/legalcode", (_ATTRIBUTION,)),
    Terms(
        "apache-2.0",
        "Apache-2.0",
        2,
        "https://www.apache.org/licenses/LICENSE-2.0",
        (_NOTICE, "say which files were changed, and keep what a NOTICE file says"),
    ),
    Terms(
        "openrail",
        "LicenseRef-openrail",
        3,
        "https://www.licenses.ai/ai-licenses",
        (_OPENRAIL,),
        binds=True,
    ),
    Terms(
        "bigscience-openrail-m",
        "LicenseRef-bigscience-openrail-m",
        3,
        "https://huggingface.co/spaces/bigscience/license",
        (_OPENRAIL, _NOTICE),
        binds=True,
    ),
    Terms(
        "bigcode-openrail-m",
        "LicenseRef-bigcode-openrail-m",
        3,
        "https://huggingface.co/spaces/bigcode/bigcode-model-license-agreement",
        (_OPENRAIL, _NOTICE),
        binds=True,
    ),
    Terms(
        "creativeml-openrail-m",
        "LicenseRef-creativeml-openrail-m",
        3,
        "https://huggingface.co/spaces/CompVis/stable-diffusion-license",
        (_OPENRAIL, _NOTICE),
        binds=True,
    ),
    _llama("2", "llama2", name_asked=False),
    _llama("3", "llama3"),
    _llama("3.1", "llama3.1"),
    _llama("3.2", "llama3.2"),
    _llama("3.3", "llama3.3"),
    Terms(
        "gemma",
        "LicenseRef-gemma",
        3,
        "https://ai.google.dev/gemma/terms",
        (
            "pass on the Gemma Terms of Use and its prohibited use policy, as conditions of every further use",
            'add a NOTICE file: "Gemma is provided under and subject to the Gemma Terms of Use"',
            "say which files were changed",
        ),
        binds=True,
    ),
    Terms(
        "qwen",
        "LicenseRef-qwen",
        3,
        "https://huggingface.co/Qwen/Qwen2.5-72B-Instruct/blob/main/LICENSE",
        (
            "pass on the Qwen License Agreement, with its notice; say which files were changed",
            'show "Built with Qwen" or "Improved using Qwen"',
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
            f"{_NOT_SOLD}: research and evaluation only",
            "pass on the Qwen Research License Agreement, with its notice; say which files were changed",
            'show "Built with Qwen" or "Improved using Qwen"',
        ),
        binds=True,
        commercial=False,
        listed=False,
    ),
    Terms(
        "lfm1.0",
        "LicenseRef-lfm1.0",
        3,
        "https://www.liquid.ai/lfm-license",
        ("pass on the LFM Open License; say which files were changed", "ask Liquid AI above 10 million USD of revenue"),
        binds=True,
        listed=False,
    ),
    Terms(
        "cc-by-sa-4.0",
        "CC-BY-SA-4.0",
        4,
        f"{_CC}/licenses/by-sa/4.0/legalcode",
        (_ATTRIBUTION, _SAME),
        binds=True,
        becomes=("gpl-3.0", "agpl-3.0"),
    ),
    Terms(
        "lgpl-3.0", "LGPL-3.0-only", 4, f"{_SPDX}/LGPL-3.0-only.html", (_NOTICE, _SAME), True, True, True, ("gpl-3.0",)
    ),
    Terms(
        "gpl-3.0", "GPL-3.0-only", 4, f"{_SPDX}/GPL-3.0-only.html", (_NOTICE, _SAME), True, True, True, ("agpl-3.0",)
    ),
    Terms(
        "agpl-3.0",
        "AGPL-3.0-only",
        4,
        f"{_SPDX}/AGPL-3.0-only.html",
        (_NOTICE, _SAME, "offer the source to whoever uses it over a network"),
        binds=True,
    ),
    Terms(
        "cc-by-nc-4.0",
        "CC-BY-NC-4.0",
        5,
        f"{_CC}/licenses/by-nc/4.0/legalcode",
        (_ATTRIBUTION, _NOT_SOLD),
        commercial=False,
    ),
    Terms(
        "cc-by-nc-sa-4.0",
        "CC-BY-NC-SA-4.0",
        5,
        f"{_CC}/licenses/by-nc-sa/4.0/legalcode",
        (_ATTRIBUTION, _NOT_SOLD, _SAME),
        binds=True,
        commercial=False,
    ),
    Terms("cc-by-nd-4.0", "CC-BY-ND-4.0", 6, f"{_CC}/licenses/by-nd/4.0/legalcode", derivatives=False),
    Terms(
        "cc-by-nc-nd-4.0",
        "CC-BY-NC-ND-4.0",
        6,
        f"{_CC}/licenses/by-nc-nd/4.0/legalcode",
        commercial=False,
        derivatives=False,
    ),
)

TERMS: dict[str, Terms] = {terms.hub: terms for terms in _ALL}
"""Every licence that the algebra knows, by the Hub's identifier (https://huggingface.co/docs/hub/repositories-licenses)."""

_BY_SPDX = {terms.spdx.lower(): terms for terms in _ALL} | {
    "gpl-3.0-or-later": TERMS["gpl-3.0"],
    "agpl-3.0-or-later": TERMS["agpl-3.0"],
}


def known(identifier: str) -> Terms | None:
    """The terms of an SPDX or a Hub identifier, in any case.

    >>> known("Apache-2.0").hub, known("LicenseRef-qwen-research").hub, known("mine")
    ('apache-2.0', 'qwen-research', None)
    """
    name = identifier.lower()
    return TERMS.get(name) or _BY_SPDX.get(name) or TERMS.get(name.removeprefix("licenseref-"))
