-- What each run has in the lake. Grain: run; accounts and orders are counts of rows.
SELECT run_id, sum(accounts)::BIGINT AS accounts, sum(orders)::BIGINT AS orders
FROM (
    SELECT run_id, count(*) AS accounts, 0 AS orders FROM lake.account_outcomes GROUP BY run_id
    UNION ALL
    SELECT run_id, 0, count(*) FROM lake.orders GROUP BY run_id
)
GROUP BY run_id
