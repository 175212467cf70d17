-- Proposals or orders, the newest version of each proposal in the place of those that a person changed. Grain: that of the table.
CREATE VIEW main.{table} AS
SELECT {names}
FROM lake.{table}
WHERE proposal_id NOT IN (SELECT replaces FROM ledger.proposals WHERE replaces IS NOT NULL)
UNION ALL
SELECT p.run_id, p.as_of_date, {typed}
FROM ledger.amended_{table} a
JOIN ledger.proposals p ON p.proposal_id = a.proposal_id
WHERE a.proposal_id NOT IN (SELECT replaces FROM ledger.proposals WHERE replaces IS NOT NULL)
