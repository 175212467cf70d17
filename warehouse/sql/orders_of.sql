-- Orders of some proposals of one run. Grain: order. `wanted`: registered table of proposal_id.
-- is_loss: the gains of the lots that the order closes sum below 0 USD; false for buys and where no gain is known.
-- cost_usd: what these lots cost together; null for buys and where the cost of one is unknown.
SELECT
    o.order_id,
    o.proposal_id,
    o.account_id,
    o.security_id,
    o.side,
    o.quantity,
    o.amount_usd,
    coalesce(sum(r.gain_usd), 0) < 0 AS is_loss,
    CASE
        WHEN count(r.lot_id) = count(r.unit_cost_usd)
        THEN CAST(sum(CAST(r.quantity AS DECIMAL(38, 6)) * r.unit_cost_usd) AS DECIMAL(38, 6))
    END AS cost_usd
FROM lake.orders o
LEFT JOIN lake.lot_relief r ON r.run_id = $run_id AND r.order_id = o.order_id
WHERE o.run_id = $run_id
  AND o.proposal_id IN (SELECT proposal_id FROM wanted)
GROUP BY ALL
