-- Orders that a run proposed, behind `after`, by account and order; those that a person changed since as they were. Grain: order. USD.
SELECT
    order_id, proposal_id, account_id, side, security_id, symbol, quantity, price_usd, value_usd, amount_usd,
    est_cost_usd, est_tax_usd, reason
FROM lake.orders
WHERE run_id = $run_id
  AND (account_id, order_id) > ($after_account, $after_order)
  AND ($account_id IS NULL OR account_id = $account_id)
ORDER BY account_id, order_id
LIMIT $most
