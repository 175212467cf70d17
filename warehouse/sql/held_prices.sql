-- Price of each security that an account of the run holds. Grain: security.
WITH held AS (
    SELECT DISTINCT security_id FROM lake.landed_lots WHERE run_id = $run_id AND quantity > 0
)
SELECT p.security_id, p.price_usd, p.price_date
FROM lake.landed_prices p
JOIN held USING (security_id)
WHERE p.run_id = $run_id
  AND p.row_number NOT IN (SELECT landed_row FROM lake.quarantine WHERE run_id = $run_id AND table_name = 'prices')
ORDER BY p.security_id
