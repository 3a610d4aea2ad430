import re

import pytest

from zoo.licences import TERMS, Refused, Source, combine, identifiers, known, licence_for


def source(*licences: str, role: str = "base", name: str = "maker/model@0123abc") -> Source:
    return Source(name, role, licences)  # type: ignore[arg-type]


def test_every_licence_says_where_its_text_is_and_is_found_by_both_of_its_names() -> None:
    assert len(TERMS) > 25
    for name, terms in TERMS.items():
        assert terms.source.startswith("https://")
        assert known(name) == known(terms.spdx.upper()) == terms
        assert set(terms.becomes) <= set(TERMS)
        assert terms.obligations or terms.rank == 0 or not terms.derivatives


def test_a_card_names_its_licence_and_other_gives_way_to_the_name() -> None:
    assert identifiers("---\nlicense: Apache-2.0\n---\ntext") == ("apache-2.0",)
    assert identifiers("---\nlicense: other\nlicense_name: qwen-research\n---\n") == ("qwen-research",)
    assert identifiers("---\nlicense: [mit, cc-by-4.0]\n---\n") == ("mit", "cc-by-4.0")
    assert identifiers("---\nlicense: other\n---\n") == ("other",)


@pytest.mark.parametrize(
    "card", ["# no head", "---\ntags: [a]\n---\n", "---\n- a list\n---\n", "---\n{broken\n---\n", ""]
)
def test_a_card_without_a_licence_names_none(card: str) -> None:
    assert identifiers(card) == ()


@pytest.mark.parametrize(
    ("licences", "result"),
    [
        (("mit", "apache-2.0"), "Apache-2.0"),
        (("cc0-1.0", "mit"), "MIT"),
        (("apache-2.0", "cc-by-nc-4.0"), "CC-BY-NC-4.0"),
        (("apache-2.0", "llama3.1", "mit"), "LicenseRef-llama3.1"),
        (("gemma", "cc-by-4.0"), "LicenseRef-gemma"),
        (("qwen-research", "cc-by-nc-4.0"), "LicenseRef-qwen-research"),
        (("cc-by-sa-4.0", "gpl-3.0"), "GPL-3.0-only"),
        (("gpl-3.0", "agpl-3.0", "apache-2.0"), "AGPL-3.0-only"),
        (("lgpl-3.0", "agpl-3.0"), "AGPL-3.0-only"),
    ],
)
def test_the_most_restrictive_licence_wins_whatever_the_order(licences: tuple[str, ...], result: str) -> None:
    for order in (licences, licences[::-1]):
        terms = combine([source(name, name=f"maker/{name}@1") for name in order])
        assert terms is not None
        assert terms.spdx == result


@pytest.mark.parametrize(
    ("licences", "said"),
    [
        (("llama3.1", "gemma"), "LicenseRef-llama3.1 .*LicenseRef-gemma|LicenseRef-gemma .*LicenseRef-llama3.1"),
        (("llama3.1", "cc-by-nc-4.0"), "cannot both hold"),
        (("cc-by-sa-4.0", "cc-by-nc-sa-4.0"), "cannot both hold"),
        (("cc-by-sa-4.0", "agpl-3.0"), "cannot both hold"),
        (("llama3", "llama3.1"), "cannot both hold"),
        (("gpl-3.0", "cc-by-nc-4.0"), "cannot both hold"),
        (("apache-2.0", "cc-by-nd-4.0"), "forbids what is made of it"),
        (("apache-2.0", "my-own-licence"), "'my-own-licence', whose terms are not known"),
    ],
)
def test_what_contradicts_itself_or_is_unknown_is_refused_by_name(licences: tuple[str, ...], said: str) -> None:
    for order in (licences, licences[::-1]):
        with pytest.raises(Refused) as refused:
            combine([source(name, name=f"maker/{name}@1") for name in order])
        assert re.search(said, str(refused.value))


def test_a_source_that_names_no_licence_is_refused() -> None:
    with pytest.raises(Refused, match=r"maker/rows@1 \(dataset\) names no licence"):
        combine([source("apache-2.0"), source(role="dataset", name="maker/rows@1")])


def test_a_recipe_may_be_stricter_than_it_must_and_not_laxer() -> None:
    assert licence_for([source("mit")], "cc-by-nc-4.0", None).spdx == "CC-BY-NC-4.0"
    with pytest.raises(Refused, match=r"asks for CC-BY-NC-4.0 \(maker/model@0123abc \(base\): cc-by-nc-4.0\)"):
        licence_for([source("cc-by-nc-4.0")], "apache-2.0", None)
    with pytest.raises(Refused, match="asks for LicenseRef-gemma"):
        licence_for([source("gemma")], "cc-by-nc-4.0", None)
    with pytest.raises(Refused, match=r"asks for Apache-2\.0"):
        licence_for([source("apache-2.0")], "something-of-mine", None)


def test_the_obligations_of_every_source_are_listed_with_its_name() -> None:
    licence = licence_for([source("apache-2.0"), source("gemma", name="google/gemma@1", role="teacher")], "gemma", None)
    assert licence.spdx == "LicenseRef-gemma"
    assert any(duty.startswith("Apache-2.0 (maker/model): ") for duty in licence.obligations)
    assert any("(google/gemma): add a NOTICE file" in duty for duty in licence.obligations)


def test_with_a_reason_the_recipe_is_taken_at_its_word_and_the_reason_is_kept() -> None:
    licence = licence_for([source()], "mit", "its author wrote so in a mail")
    assert (licence.spdx, licence.reason) == ("mit", "its author wrote so in a mail")


def test_what_is_made_of_nothing_bears_what_its_maker_says() -> None:
    assert combine([]) is None
    assert licence_for([], "Apache-2.0", None).spdx == "Apache-2.0"


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("llama2", "Llama 2 is licensed under the Llama 2 Community License"),
        ("llama3", 'name begin with "Llama 3"'),
        ("llama3", "improve another large language model than a Llama 3 one"),
        ("llama3.1", 'name begin with "Llama"'),
        ("llama3.2", "European Union"),
        ("llama4", "700 million"),
        ("gemma", "section 3.2"),
        ("gemma", "trained on its answers"),
        ("qwen", '"Built with Qwen"'),
        ("qwen-research", "research and evaluation only"),
        ("lfm1.0", "10 million USD"),
        ("mrl", "for research only"),
        ("agpl-3.0", "over a network"),
    ],
)
def test_what_the_text_of_a_licence_asks_for_is_listed(name: str, asked: str) -> None:
    assert any(asked in duty for duty in TERMS[name].obligations), TERMS[name].obligations


def test_only_the_older_llamas_forbid_teaching_other_models() -> None:
    forbids = {name for name, terms in TERMS.items() if any("improve another" in duty for duty in terms.obligations)}
    assert forbids == {"llama2", "llama3"}


def test_what_its_maker_keeps_for_research_is_not_sold() -> None:
    assert {name for name, terms in TERMS.items() if not terms.commercial} == {
        "qwen-research",
        "mrl",
        "cc-by-nc-4.0",
        "cc-by-nc-sa-4.0",
        "cc-by-nc-nd-4.0",
    }
