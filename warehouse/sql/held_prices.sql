-- Price of each security that an account of the run holds, and its price the night before. Grain: security.
-- $last_run: null on the first night. last_price_usd: null where there was none, or it had a broken row.
WITH held AS (
    SELECT DISTINCT security_id FROM lake.landed_lots WHERE run_id = $run_id AND quantity > 0
)
SELECT p.security_id, p.price_usd, p.price_date, l.price_usd AS last_price_usd
FROM lake.landed_prices p
JOIN held USING (security_id)
LEFT JOIN lake.landed_prices l
    ON l.run_id = $last_run
    AND l.security_id = p.security_id
    AND l.row_number NOT IN (SELECT landed_row FROM lake.quarantine WHERE run_id = $last_run AND table_name = 'prices')
WHERE p.run_id = $run_id
  AND p.row_number NOT IN (SELECT landed_row FROM lake.quarantine WHERE run_id = $run_id AND table_name = 'prices')
ORDER BY p.security_id
