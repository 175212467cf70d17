-- Studies of the policy lab: what each is and how far it has come. Grain: study.
SELECT
    s.run_id AS study_id,
    s.as_of_date,
    s.study_name,
    s.study,
    s.shard_count,
    (SELECT count(DISTINCT p.shard) FROM lake.lab_parts p WHERE p.run_id = s.run_id) AS finished_count,
    EXISTS (SELECT 1 FROM lake.lab_policies r WHERE r.run_id = s.run_id) AS is_done
FROM lake.lab_studies s
ORDER BY study_name, study_id
