-- What a run would trade and of how much. Grain: one row. USD.
SELECT
    (SELECT count(*) FROM lake.orders WHERE run_id = $run_id) AS orders,
    (SELECT coalesce(sum(gross_value_usd), 0) FROM lake.proposals WHERE run_id = $run_id) AS gross_usd,
    (SELECT coalesce(sum(nav_usd) FILTER (WHERE nav_usd > 0), 0) FROM lake.account_drift WHERE run_id = $run_id) AS nav_usd
