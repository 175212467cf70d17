from tasks.core.reconcile import renamed_securities
from tests.tasks.core.gate.test_corporate_actions import actions


def test_what_was_renamed_is_followed_to_all_that_it_became() -> None:
    known = actions(
        """
        A | 2026-01-02 | identifier_change | | B
        B | 2026-01-03 | identifier_change | | C
        C | 2026-01-04 | identifier_change | | A
        D | 2026-01-02 | identifier_change | 0.5 | E
        F | 2026-01-02 | merger | 1 | G
        H | 2026-02-02 | identifier_change | | I
        """
    )
    found = [(former, now, day.day) for former, now, day in renamed_securities(known.effective).rows()]
    assert found == [("A", "A", 4), ("A", "B", 2), ("A", "C", 3), ("B", "A", 4), ("B", "C", 3), ("C", "A", 4)]
    assert renamed_securities(actions("").effective).is_empty()
