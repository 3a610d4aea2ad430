"""Tasks in Finance: transactions, budgets, transfers, and what was spent."""

from zoo.environments.phone.apps.finance import (
    ACCOUNTS,
    BUDGETS,
    CATEGORIES,
    PAGE,
    TRANSACTIONS,
    moved,
    spent,
)
from zoo.environments.phone.state import Data
from zoo.environments.phone.tasks.records import gone, look_at, made, preference_templates, there, unlike
from zoo.environments.phone.tasks.template import Changes, Look, Pool, Template, Values, pool
from zoo.environments.phone.values import AMOUNTS
from zoo.environments.phone.values import TRANSACTIONS as NAMES

__all__ = ["TEMPLATES", "look_at_balance", "with_balance"]

_NAME, _AMOUNT = pool("name", NAMES), pool("amount", AMOUNTS)
_CATEGORY, _ACCOUNT = pool("category", CATEGORIES), pool("account", ACCOUNTS)
_PURCHASE = Pool(
    ("amount", "category", "account"),
    tuple((one, CATEGORIES[at % len(CATEGORIES)], ACCOUNTS[at % len(ACCOUNTS)]) for at, one in enumerate(AMOUNTS)),
)
_SIDES = Pool(
    ("source", "target"), tuple((source, target) for source in ACCOUNTS for target in ACCOUNTS if source != target)
)
_LIMIT = pool("limit", tuple(f"{euros}.00" for euros in range(55, 600, 25)))


def _transferred(data: Data, values: Values) -> Changes:
    return {"accounts": moved(data["accounts"], values["source"], values["target"], values["amount"])}


def with_balance(data: Data, values: Values) -> Changes:
    """The account of the task holds what the task says."""
    return {
        "accounts": tuple(
            (name, values["amount"] if name == values["account"] else one) for name, one in data["accounts"]
        )
    }


def look_at_balance(data: Data, values: Values) -> Look:
    """Its line."""
    places = (("finance", ""), ("finance/accounts", ""))
    return Look(places, f"{values['account']}: {values['amount']}", values["amount"])


def _look_at_spending(data: Data, values: Values) -> Look:
    total = spent(data, values["category"])
    return Look((("finance", ""), ("finance/spending", "")), f"{values['category']}: {total}", total)


TEMPLATES = (
    Template(
        "finance.add",
        "operation",
        ("Add the transaction {name} of {amount}.", "I spent {amount} on {name}: add it to the transactions."),
        (_NAME, _AMOUNT),
        prepare=gone(TRANSACTIONS),
        change=made(TRANSACTIONS, amount="{amount}"),
    ),
    Template(
        "finance.add_whole",
        "operation",
        (
            "Add the transaction {name} of {amount} in the category {category}, paid from {account}.",
            "I paid {amount} for {name} from {account}: add the transaction under {category}.",
        ),
        (_NAME, _PURCHASE),
        prepare=gone(TRANSACTIONS),
        change=made(TRANSACTIONS, amount="{amount}", category="{category}", account="{account}"),
    ),
    Template(
        "finance.add_in_category",
        "operation",
        ("Add {name}, {amount}, to the transactions under {category}.", "Record {name} for {amount} as {category}."),
        (_NAME, Pool(("amount", "category"), tuple(one[:2] for one in _PURCHASE.values))),
        prepare=gone(TRANSACTIONS),
        change=made(TRANSACTIONS, amount="{amount}", category="{category}"),
        held_out=True,
    ),
    Template(
        "finance.delete",
        "operation",
        ("Delete the transaction {name}.", "Remove {name} from the transactions."),
        (_NAME,),
        prepare=there(TRANSACTIONS),
        change=gone(TRANSACTIONS),
    ),
    Template(
        "finance.change_amount",
        "operation",
        ("Change the amount of {name} to {amount}.", "The transaction {name} was {amount}: correct it."),
        (_NAME, _AMOUNT),
        prepare=there(TRANSACTIONS, amount="99.99"),
        change=there(TRANSACTIONS, amount="{amount}"),
    ),
    Template(
        "finance.change_category",
        "operation",
        ("Move the transaction {name} to the category {category}.", "Change the category of {name} to {category}."),
        (_NAME, _CATEGORY),
        prepare=there(TRANSACTIONS, category=unlike(CATEGORIES, "category")),
        change=there(TRANSACTIONS, category="{category}"),
    ),
    Template(
        "finance.change_account",
        "operation",
        ("Change the account of the transaction {name} to {account}.", "{name} was paid from {account}: correct it."),
        (_NAME, _ACCOUNT),
        prepare=there(TRANSACTIONS, account=unlike(ACCOUNTS, "account")),
        change=there(TRANSACTIONS, account="{account}"),
    ),
    Template(
        "finance.flag",
        "operation",
        ("Flag the transaction {name}.", "Mark the transaction {name} as flagged."),
        (_NAME,),
        prepare=there(TRANSACTIONS, flagged=False),
        change=there(TRANSACTIONS, flagged=True),
    ),
    Template(
        "finance.unflag",
        "operation",
        ("Remove the flag of the transaction {name}.", "The transaction {name} is not flagged any more: change it."),
        (_NAME,),
        prepare=there(TRANSACTIONS, flagged=True),
        change=there(TRANSACTIONS, flagged=False),
        held_out=True,
    ),
    Template(
        "finance.amount",
        "query",
        ("How much was {name}?", "What is the amount of the transaction {name}?"),
        (_NAME, _AMOUNT),
        prepare=there(TRANSACTIONS, amount="{amount}"),
        look=look_at(TRANSACTIONS, "amount"),
    ),
    Template(
        "finance.category",
        "query",
        ("In which category is the transaction {name}?", "What is the category of {name}?"),
        (_NAME, _CATEGORY),
        prepare=there(TRANSACTIONS, category="{category}"),
        look=look_at(TRANSACTIONS, "category"),
    ),
    Template(
        "finance.set_budget",
        "operation",
        ("Set the budget for {category} to {limit}.", "Change the limit of the {category} budget to {limit}."),
        (_CATEGORY, _LIMIT),
        prepare=there(BUDGETS, limit="45.00"),
        change=there(BUDGETS, limit="{limit}"),
    ),
    Template(
        "finance.budget",
        "query",
        ("What is the budget for {category}?", "What limit does the {category} budget have?"),
        (_CATEGORY, _LIMIT),
        prepare=there(BUDGETS, limit="{limit}"),
        look=look_at(BUDGETS, "limit"),
    ),
    Template(
        "finance.budget_alert",
        "operation",
        ("Turn on the alert of the {category} budget.", "Warn me when the {category} budget is used up: turn it on."),
        (_CATEGORY,),
        prepare=there(BUDGETS, alert=False),
        change=there(BUDGETS, alert=True),
    ),
    Template(
        "finance.transfer",
        "operation",
        ("Transfer {amount} from {source} to {target}.", "Send {amount} from the account {source} to {target}."),
        (_SIDES, _AMOUNT),
        change=_transferred,
    ),
    Template(
        "finance.balance",
        "query",
        ("What is the balance of {account}?", "How much money is in {account}?"),
        (_ACCOUNT, pool("amount", tuple(f"{euros}.{euros % 89 + 10}" for euros in range(204, 3900, 77)))),
        prepare=with_balance,
        look=look_at_balance,
    ),
    Template(
        "finance.spent",
        "query",
        ("How much was spent on {category}?", "What does the spending on {category} come to?"),
        (_CATEGORY, _NAME),
        prepare=there(TRANSACTIONS, category="{category}"),
        look=_look_at_spending,
    ),
    *preference_templates(PAGE, "Finance"),
)
