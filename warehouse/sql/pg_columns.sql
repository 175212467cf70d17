-- Columns of the lake's catalogue in PostgreSQL, in their order. Grain: column; its type as PostgreSQL spells it.
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = current_schema()::regnamespace
  AND c.relkind = 'r'
  AND c.relname LIKE 'ducklake\_%'
ORDER BY c.relname, a.attnum
