"""The table of licences: what each asks of whoever publishes what is made of it, and where its text is.

Those of makers of models are in `of_models`.
"""

from zoo.licences.entry import NOT_SOLD, NOTICE, Terms
from zoo.licences.of_models import AGREEMENTS

__all__ = ["TERMS", "Terms", "known"]


_ATTRIBUTION = "name the authors, link the licence and say what was changed"
_SAME = "publish under the same licence"
_CC, _SPDX = "https://creativecommons.org", "https://spdx.org/licenses"

_ALL = (
    Terms("cc0-1.0", "CC0-1.0", 0, f"{_CC}/publicdomain/zero/1.0/legalcode"),
    Terms("unlicense", "Unlicense", 0, f"{_SPDX}/Unlicense.html"),
    Terms("pddl", "PDDL-1.0", 0, f"{_SPDX}/PDDL-1.0.html"),
    Terms("wtfpl", "WTFPL", 0, f"{_SPDX}/WTFPL.html"),
    Terms("mit", "MIT", 1, f"{_SPDX}/MIT.html", (NOTICE,)),
    Terms("isc", "ISC", 1, f"{_SPDX}/ISC.html", (NOTICE,)),
    Terms("bsd-2-clause", "BSD-2-Clause", 1, f"{_SPDX}/BSD-2-Clause.html", (NOTICE,)),
    Terms("bsd-3-clause", "BSD-3-Clause", 1, f"{_SPDX}/BSD-3-Clause.html", (NOTICE,)),
    Terms("zlib", "Zlib", 1, f"{_SPDX}/Zlib.html", ("claim no other origin for it, and mark what was changed",)),
    # Sections 2 and 3: the text goes with the data; what is computed from them ("Results") owes nothing.
    Terms(
        "cdla-permissive-2.0",
        "CDLA-Permissive-2.0",
        1,
        f"{_SPDX}/CDLA-Permissive-2.0.html",
        ("pass its text on with the data; a model that was trained on them owes nothing",),
    ),
    Terms("odc-by", "ODC-By-1.0", 1, f"{_SPDX}/ODC-By-1.0.html", (_ATTRIBUTION,)),
    Terms("cc-by-4.0", "CC-BY-4.0", 1, f"{_CC}/licenses/by/4.0/legalcode", (_ATTRIBUTION,)),
    Terms(
        "apache-2.0",
        "Apache-2.0",
        2,
        "https://www.apache.org/licenses/LICENSE-2.0",
        (NOTICE, "say which files were changed, and keep what a NOTICE file says"),
    ),
    *AGREEMENTS,
    Terms(
        "cc-by-sa-4.0",
        "CC-BY-SA-4.0",
        4,
        f"{_CC}/licenses/by-sa/4.0/legalcode",
        (_ATTRIBUTION, _SAME),
        binds=True,
        # One way, and to this one alone: https://creativecommons.org/compatible-licenses/
        becomes=("gpl-3.0",),
    ),
    Terms(
        "lgpl-3.0",
        "LGPL-3.0-only",
        4,
        f"{_SPDX}/LGPL-3.0-only.html",
        (NOTICE, _SAME),
        binds=True,
        becomes=("gpl-3.0", "agpl-3.0"),  # its section 2, and section 13 of the GPL
    ),
    Terms(
        "gpl-3.0",
        "GPL-3.0-only",
        4,
        f"{_SPDX}/GPL-3.0-only.html",
        (NOTICE, _SAME, "pass on or offer the source: for a model, whatever one would change it with"),
        binds=True,
        becomes=("agpl-3.0",),  # section 13
    ),
    Terms(
        "agpl-3.0",
        "AGPL-3.0-only",
        4,
        f"{_SPDX}/AGPL-3.0-only.html",
        (NOTICE, _SAME, "offer the source to whoever uses it over a network"),
        binds=True,
    ),
    Terms(
        "cc-by-nc-4.0",
        "CC-BY-NC-4.0",
        5,
        f"{_CC}/licenses/by-nc/4.0/legalcode",
        (_ATTRIBUTION, NOT_SOLD),
        commercial=False,
    ),
    Terms(
        "cc-by-nc-sa-4.0",
        "CC-BY-NC-SA-4.0",
        5,
        f"{_CC}/licenses/by-nc-sa/4.0/legalcode",
        (_ATTRIBUTION, NOT_SOLD, _SAME),
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
