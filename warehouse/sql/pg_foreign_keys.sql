-- Foreign keys of the ledger in PostgreSQL. Grain: key; its definition as PostgreSQL spells it.
SELECT c.relname, k.conname, pg_get_constraintdef(k.oid)
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
WHERE c.relnamespace = current_schema()::regnamespace
  AND k.contype = 'f'
ORDER BY c.relname, k.conname
