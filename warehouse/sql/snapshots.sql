-- Snapshots that the lake still has, oldest first; when each was made, in microseconds since 1970 UTC, and the run that made it
-- (null: none of ours, or before runs were noted). Grain: snapshot.
SELECT snapshot_id AS number,
    epoch_us(snapshot_time) AS made_us,
    CASE WHEN author = 'trimtab' THEN commit_message END AS run_id
FROM ducklake_snapshots('lake')
ORDER BY snapshot_id
