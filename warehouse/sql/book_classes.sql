-- What some runs made of each asset class over the whole book, as it was proposed. Grain: run, asset class. USD, exact.
-- drift_usd: |weight - target| x NAV of accounts that were measured, summed; accounts: those that hold the class or have a target for it.
-- `runs`, $first and $last as in account_models.
WITH held AS (
    SELECT
        r.run_id, r.asset_class, count(*) AS accounts,
        count(*) FILTER (r.is_out_of_band) AS out_of_band,
        sum(r.value_usd) AS value_usd,
        sum(CAST(r.target_weight * n.nav_usd AS DECIMAL(38, 6))) AS target_usd,
        sum(CAST(abs(r.drift) * n.nav_usd AS DECIMAL(38, 6))) AS drift_usd
    FROM (
        SELECT run_id, account_id, asset_class, value_usd, target_weight, drift, is_out_of_band
        FROM lake.drift SEMI JOIN runs USING (run_id)
        WHERE run_id BETWEEN $first AND $last
    ) r
    JOIN (
        SELECT run_id, account_id, nav_usd
        FROM lake.account_drift
        WHERE run_id BETWEEN $first AND $last AND nav_usd > 0
    ) n ON n.run_id = r.run_id AND n.account_id = r.account_id
    GROUP BY r.run_id, r.asset_class
),
classes AS (
    SELECT run_id, security_id, any_value(asset_class) AS asset_class
    FROM lake.landed_securities SEMI JOIN runs USING (run_id)
    WHERE run_id BETWEEN $first AND $last
    GROUP BY run_id, security_id HAVING count(*) = 1
),
traded AS (
    SELECT c.run_id, c.asset_class, sum(o.value_usd) AS traded_usd, sum(o.est_tax_usd) AS tax_usd, sum(o.est_cost_usd) AS cost_usd
    FROM (
        SELECT run_id, security_id, value_usd, est_tax_usd, est_cost_usd
        FROM lake.orders
        WHERE run_id BETWEEN $first AND $last
    ) o
    JOIN classes c ON c.run_id = o.run_id AND c.security_id = o.security_id
    GROUP BY c.run_id, c.asset_class
)
SELECT
    run_id, asset_class,
    coalesce(h.accounts, 0) AS accounts, coalesce(h.out_of_band, 0) AS out_of_band,
    CAST(coalesce(h.value_usd, 0) AS DECIMAL(38, 6)) AS value_usd,
    CAST(coalesce(h.target_usd, 0) AS DECIMAL(38, 6)) AS target_usd,
    CAST(coalesce(h.drift_usd, 0) AS DECIMAL(38, 6)) AS drift_usd,
    CAST(coalesce(t.traded_usd, 0) AS DECIMAL(38, 6)) AS traded_usd,
    CAST(coalesce(t.tax_usd, 0) AS DECIMAL(38, 6)) AS tax_usd,
    CAST(coalesce(t.cost_usd, 0) AS DECIMAL(38, 6)) AS cost_usd
FROM held h FULL JOIN traded t USING (run_id, asset_class)
