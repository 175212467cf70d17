-- A public table as every run wrote it. Grain: that of the table.
CREATE VIEW main.{table} AS
SELECT {names}
FROM lake.{table}
