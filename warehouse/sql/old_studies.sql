-- Studies of the policy lab that were asked for last before a day. $before: date. Grain: study.
SELECT run_id
FROM lake.lab_studies
GROUP BY run_id
HAVING max(entered_date) < $before
ORDER BY run_id
