"""The Finance app: transactions, budgets, accounts and transfers between them."""

import re
from random import Random
from typing import NamedTuple

from zoo.environments.phone import collection, preferences
from zoo.environments.phone.app import App, Want
from zoo.environments.phone.collection import Attribute, Collection
from zoo.environments.phone.preferences import Preference, Preferences
from zoo.environments.phone.screen import Element, Screen, button, field, note, row
from zoo.environments.phone.state import Data, Place, State
from zoo.environments.phone.values import AMOUNTS, DAYS

__all__ = [
    "ACCOUNTS",
    "APP",
    "BUDGETS",
    "CATEGORIES",
    "PAGE",
    "TRANSACTIONS",
    "Budget",
    "Transaction",
    "moved",
    "spent",
]

CATEGORIES = ("Food", "Travel", "Home", "Leisure", "Health", "Clothes")
ACCOUNTS = ("Checking", "Savings", "Cash", "Card")
_AMOUNT = r"[0-9]{1,5}\.[0-9]{2}"
_MENU = (("finance", ""),)

PAGE = Preferences(
    "finance/settings",
    "Finance settings",
    (
        Preference("finance.currency", "Currency", ("Euro", "Dollar", "Pound", "Krone", "Yen")),
        Preference("finance.reminder", "Daily reminder"),
        Preference("finance.hidden", "Hide amounts"),
        Preference("finance.lock", "App lock"),
    ),
)


class Transaction(NamedTuple):
    """Money spent; amounts have two decimals."""

    name: str
    amount: str = ""
    category: str = CATEGORIES[0]
    account: str = ACCOUNTS[0]
    day: str = DAYS[0]
    flagged: bool = False


class Budget(NamedTuple):
    """What one category may cost in a month."""

    category: str
    limit: str = ""
    alert: bool = False


def _draw_transaction(rng: Random, name: str) -> Transaction:
    picked = (rng.choice(AMOUNTS), rng.choice(CATEGORIES), rng.choice(ACCOUNTS), rng.choice(DAYS))
    return Transaction(name, *picked, rng.random() < 0.3)


def _draw_budget(rng: Random, category: str) -> Budget:
    return Budget(category, f"{rng.randrange(50, 600, 10)}.00", rng.random() < 0.5)


TRANSACTIONS = Collection(
    "transactions",
    "finance/transaction",
    "transaction",
    Transaction,
    (
        Attribute("name", "Name"),
        Attribute("amount", "Amount", pattern=_AMOUNT),
        Attribute("category", "Category", "choice", CATEGORIES),
        Attribute("account", "Account", "choice", ACCOUNTS),
        Attribute("day", "Day", "fact"),
        Attribute("flagged", "Flagged", "switch"),
    ),
    _draw_transaction,
    way=lambda record: (*_MENU, ("finance/transactions", "")),
    line=lambda record: f"{record.name}: {record.amount}",
    add_way=(*_MENU, ("finance/transactions", "")),
)
BUDGETS = Collection(
    "budgets",
    "finance/budget",
    "budget",
    Budget,
    (
        Attribute("category", "Category", "fact"),
        Attribute("limit", "Limit", pattern=_AMOUNT),
        Attribute("alert", "Alert", "switch"),
    ),
    _draw_budget,
    way=lambda record: (*_MENU, ("finance/budgets", "")),
    line=lambda record: f"{record.category}: {record.limit}",
    can_delete=False,
)


def spent(data: Data, category: str) -> str:
    """The sum of a category's transactions, two decimals."""
    return f"{sum(float(one.amount) for one in data['transactions'] if one.category == category):.2f}"


def moved(accounts: tuple[tuple[str, str], ...], source: str, target: str, amount: str) -> tuple[tuple[str, str], ...]:
    """The balances after a transfer."""
    change = {source: -float(amount), target: float(amount)}
    return tuple((name, f"{float(balance) + change.get(name, 0):.2f}") for name, balance in accounts)


def _root(data: Data, place: Place) -> Screen:
    pages = ("Transactions", "Budgets", "Accounts", "Spending")
    links = tuple(row(title, "open", f"finance/{title.lower()}") for title in pages)
    return Screen("Finance", (*links, preferences.entry(PAGE)))


def _transactions(data: Data, place: Place) -> Screen:
    return Screen(
        "Transactions",
        (collection.add_button(TRANSACTIONS),),
        collection.rows(TRANSACTIONS, data["transactions"]),
    )


def _budgets(data: Data, place: Place) -> Screen:
    return Screen("Budgets", rows=collection.rows(BUDGETS, data["budgets"]))


def _accounts(data: Data, place: Place) -> Screen:
    balances = tuple(note(f"{name}: {balance}") for name, balance in data["accounts"])
    return Screen("Accounts", (*balances, button("Transfer", "open", "finance/transfer")))


def _spending(data: Data, place: Place) -> Screen:
    return Screen("Spending", rows=tuple(note(f"{name}: {spent(data, name)}") for name in CATEGORIES))


def _transfer(data: Data, place: Place) -> Screen:
    sides = tuple(
        Element(label, "Spinner", ("open", "finance/transfer/pick", name), value=place.edit(name))
        for name, label in (("source", "From"), ("target", "To"))
    )
    return Screen("Transfer", (*sides, field(place, "amount", "Amount"), button("Send", "finance.send")))


def _account_options(data: Data, place: Place) -> Screen:
    options = tuple(Element(name, "RadioButton", ("pick", place.subject, name)) for name in ACCOUNTS)
    return Screen("From" if place.subject == "source" else "To", options, kind="dialog")


def _send(state: State) -> State:
    """A transfer without two accounts and an amount is refused: the form stays."""
    place = state.stack[-1]
    source, target, amount = (place.edit(name).strip() for name in ("source", "target", "amount"))
    if not source or not target or source == target or not re.fullmatch(_AMOUNT, amount):
        return state
    return state.store(accounts=moved(state.data["accounts"], source, target, amount)).leave()


def _repair(data: Data, goal: Data) -> list[Want]:
    return [
        *collection.repair(TRANSACTIONS, data, goal),
        *collection.repair(BUDGETS, data, goal),
        *_repair_accounts(data["accounts"], goal["accounts"]),
        *preferences.repair(PAGE, data, goal),
    ]


def _repair_accounts(have: tuple[tuple[str, str], ...], need: tuple[tuple[str, str], ...]) -> list[Want]:
    """From an account that has too much to one that has too little, the smaller of the two differences."""
    surplus = {name: float(balance) - float(dict(need)[name]) for name, balance in have}
    source, target = max(surplus, key=lambda name: surplus[name]), min(surplus, key=lambda name: surplus[name])
    amount = min(surplus[source], -surplus[target])
    if amount < 0.01:
        return []
    fields = (("source", source), ("target", target), ("amount", f"{amount:.2f}"))
    return [Want((*_MENU, ("finance/accounts", ""), ("finance/transfer", "")), ("finance.send",), fields)]


APP = App(
    "Finance",
    {
        "finance": _root,
        "finance/transactions": _transactions,
        "finance/budgets": _budgets,
        "finance/accounts": _accounts,
        "finance/spending": _spending,
        "finance/transfer": _transfer,
        "finance/transfer/pick": _account_options,
        **collection.screens(TRANSACTIONS),
        **collection.screens(BUDGETS),
        **preferences.screens(PAGE),
    },
    {**collection.commands(TRANSACTIONS), **collection.commands(BUDGETS), "finance.send": _send},
    _repair,
)
