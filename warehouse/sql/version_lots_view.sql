-- Lots that orders close, of the newest version of each proposal. Grain: order, lot.
CREATE VIEW main.{table} AS
SELECT {names}
FROM lake.{table}
WHERE order_id NOT IN (
    SELECT o.order_id
    FROM lake.orders o
    JOIN ledger.proposals p ON p.replaces = o.proposal_id AND p.run_id = o.run_id
)
UNION ALL
SELECT p.run_id, p.as_of_date, {typed}
FROM ledger.amended_lots a
JOIN ledger.proposals p ON p.proposal_id = a.proposal_id
WHERE a.proposal_id NOT IN (SELECT replaces FROM ledger.proposals WHERE replaces IS NOT NULL)
