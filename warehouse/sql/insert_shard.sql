-- Append the Arrow table of that name, which carries the run columns, to a lake table.
INSERT INTO lake.{table} BY NAME
SELECT * FROM incoming
