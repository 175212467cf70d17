-- Orders of some proposals of one run. Grain: order. `wanted`: registered table of proposal_id.
-- is_loss: the gains of the lots that the order closes sum below 0 USD; false for buys and where no gain is known.
SELECT o.order_id, o.proposal_id, o.account_id, o.security_id, o.side, o.quantity, coalesce(sum(r.gain_usd), 0) < 0 AS is_loss
FROM lake.orders o
LEFT JOIN lake.lot_relief r ON r.run_id = $run_id AND r.order_id = o.order_id
WHERE o.run_id = $run_id
  AND o.proposal_id IN (SELECT proposal_id FROM wanted)
GROUP BY ALL
