-- Keys of the lake's catalogue in PostgreSQL. Grain: key; its definition as PostgreSQL spells it.
SELECT c.relname, pg_get_constraintdef(k.oid)
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
WHERE c.relnamespace = current_schema()::regnamespace
  AND c.relname LIKE 'ducklake\_%'
  AND k.contype IN ('p', 'u')
ORDER BY c.relname, k.conname
