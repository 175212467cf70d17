-- Every flow that counts in the performance of some accounts, of nights before $night. Grain: account, night and date of the flow.
-- A night that was computed again counts as the newest run has it, which has a row of 0 USD where there is no flow.
-- `wanted`: registered table of account_id. `runs`: registered table of run_id, place: the runs to look into, the newest last.
SELECT account_id, night_date, flow_date, flow_usd
FROM lake.performance_flows
JOIN runs USING (run_id)
JOIN wanted USING (account_id)
WHERE night_date < $night
QUALIFY place = max(place) OVER (PARTITION BY account_id, night_date)
