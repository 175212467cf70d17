-- What some runs made of the whole book, as it was proposed. Grain: run, model, custodian, outcome. USD, exact.
-- drift_usd, drift_after_usd: one-way drift x NAV of accounts that were measured, summed; after: if all that was proposed is traded.
SELECT
    a.run_id, a.model_id, a.custodian, a.outcome,
    count(*) AS accounts,
    count(*) FILTER (list_contains(string_split(d.triggers, '|'), 'drift')) AS out_of_band,
    CAST(coalesce(sum(d.nav_usd), 0) AS DECIMAL(38, 6)) AS nav_usd,
    CAST(coalesce(sum(CAST(d.one_way_drift * d.nav_usd AS DECIMAL(38, 6))), 0) AS DECIMAL(38, 6)) AS drift_usd,
    CAST(coalesce(sum(CAST(coalesce(t.one_way_drift_after, d.one_way_drift) * d.nav_usd AS DECIMAL(38, 6))), 0) AS DECIMAL(38, 6))
        AS drift_after_usd,
    CAST(coalesce(sum(t.gross_value_usd), 0) AS DECIMAL(38, 6)) AS traded_usd,
    CAST(coalesce(sum(t.est_tax_usd), 0) AS DECIMAL(38, 6)) AS tax_usd,
    CAST(coalesce(sum(t.est_cost_usd), 0) AS DECIMAL(38, 6)) AS cost_usd
FROM ([[account_models]]) a
LEFT JOIN (
    SELECT run_id, account_id, nav_usd, one_way_drift, triggers
    FROM lake.account_drift
    WHERE run_id BETWEEN $first AND $last AND nav_usd > 0 AND one_way_drift IS NOT NULL
) d ON d.run_id = a.run_id AND d.account_id = a.account_id
LEFT JOIN (
    SELECT run_id, account_id, one_way_drift_after, gross_value_usd, est_tax_usd, est_cost_usd
    FROM lake.proposals
    WHERE run_id BETWEEN $first AND $last
) t ON t.run_id = a.run_id AND t.account_id = a.account_id
GROUP BY a.run_id, a.model_id, a.custodian, a.outcome
