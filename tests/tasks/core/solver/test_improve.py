"""Whole-unit orders that no one or two moves improve, and a chain of them does."""

import numpy as np
import pytest

from tasks.core.solver.arrays import no_limits
from tasks.core.solver.entry import rebalance
from tests.support.trades import one


def test_a_holding_gives_up_the_room_for_losses_that_a_dearer_share_takes() -> None:
    book = one(
        nav=[79_012.37],
        tracking_penalty=[4.94],
        cash=[3_095.88],
        cash_target=[2_692.80],
        class_value=[75_916.49],
        class_target=[724.28],
        buy_cap=[0.0],
        lot_start=[0, 2],
        lot_quantity=[51.0, 163.0],
        lot_price=[201.37, 402.74],
        lot_cost=[-0.00005, 0.1286],
        lot_cap=[51 * 201.37, 163 * 402.74],
    )
    limits = no_limits(book)._replace(
        lot_gain=np.array([-0.297, -0.194]), loss_room=np.array([22_557.66]), long_rate=np.array([0.209])
    )
    answer = rebalance(book, limits)
    assert answer.sold.tolist() == [50_000_000, 31_000_000], (
        "51 and 30 leave 205 usd of the room, no 31st share of 402.74"
    )


def test_a_lot_of_less_gain_leaves_room_in_the_budget_for_one_more_share() -> None:
    """52 shares of the lot that costs least realize 7,669 usd; 51 of them and one of the other 7,664."""
    book = one(
        nav=[153_323.35],
        tracking_penalty=[2.06],
        cash=[6_281.12],
        cash_target=[1_095.32],
        class_value=[12_796.36, 89_889.68, 44_356.19],
        class_target=[54_150.58, 16_564.07, 69_871.24],
        buy_price=[13.73, 340.73, 236.41],
        buy_cost=[0.00001, 0.0019, 0.0007],
        lot_start=[0, 0, 2, 2],
        lot_quantity=[111.0, 152.0],
        lot_price=[340.73, 340.73],
        lot_cost=[0.159, 0.246],
        lot_cap=[111 * 340.73, 152 * 340.73],
        lot_security=[2, 2],
    )
    limits = no_limits(book)._replace(lot_gain=np.array([0.43285, 0.41538]), gain=np.array([7_666.17]))
    answer = rebalance(book, limits)
    assert answer.sold.tolist() == [51_000_000, 1_000_000]
    assert 1e4 * (answer.objective - answer.lower_bound)[0] / book.nav[0] == pytest.approx(2, abs=2)
