import pytest

from schemas.enums import Role
from schemas.errors import DecisionRefused, WrongUsage
from tests.support.ledger_book import NOW
from warehouse.ledger import Ledger


def test_users_have_roles(ledger: Ledger) -> None:
    ledger.users.add_user("dan", [Role.REVIEWER, Role.RELEASER, Role.REVIEWER], actor="ann", now=NOW)
    ledger.users.add_user("eve", [], actor="ann", now=NOW)

    roles = {user.name: user.roles for user in ledger.users.list_users()}
    assert list(roles) == ["ann", "bob", "cat", "dan", "eve", "rex", "vic"]
    assert roles["dan"] == {Role.REVIEWER, Role.RELEASER}
    assert roles["eve"] == ledger.users.roles_of("eve") == ledger.users.roles_of("stranger") == frozenset()


def test_setting_roles_replaces_them_and_is_audited(ledger: Ledger) -> None:
    ledger.users.set_roles("bob", [Role.VIEWER], actor="ann", now=NOW)

    assert ledger.users.roles_of("bob") == {Role.VIEWER}
    last = ledger.audit.audit_rows(limit=1)[0]
    assert (last.actor, last.event) == ("ann", "roles_set")
    assert last.detail == '{"before":["reviewer"],"roles":["viewer"],"user":"bob"}'


def test_only_an_admin_changes_users(ledger: Ledger) -> None:
    with pytest.raises(DecisionRefused, match="bob has the role reviewer; needed is admin"):
        ledger.users.add_user("dan", [Role.ADMIN], actor="bob", now=NOW)
    with pytest.raises(DecisionRefused, match="stranger has no role in the ledger"):
        ledger.users.set_roles("bob", [Role.ADMIN], actor="stranger", now=NOW)


def test_the_last_admin_stays(ledger: Ledger) -> None:
    with pytest.raises(DecisionRefused, match="last admin"):
        ledger.users.set_roles("ann", [Role.VIEWER], actor="ann", now=NOW)
    assert ledger.users.roles_of("ann") == {Role.ADMIN}

    ledger.users.set_roles("bob", [Role.ADMIN], actor="ann", now=NOW)
    ledger.users.set_roles("ann", [Role.VIEWER], actor="ann", now=NOW)
    assert ledger.users.roles_of("ann") == {Role.VIEWER}


@pytest.mark.parametrize(("name", "problem"), [("bob", "already a user"), (" ", "needs a name")])
def test_a_name_must_be_new_and_given(ledger: Ledger, name: str, problem: str) -> None:
    with pytest.raises(WrongUsage, match=problem):
        ledger.users.add_user(name, [], actor="ann", now=NOW)


def test_roles_of_nobody_cannot_be_set(ledger: Ledger) -> None:
    with pytest.raises(WrongUsage, match="stranger is not a user"):
        ledger.users.set_roles("stranger", [], actor="ann", now=NOW)
