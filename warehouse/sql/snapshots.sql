-- Snapshots that the lake still has, oldest first; when each was made, in microseconds since 1970 UTC. Grain: snapshot.
SELECT snapshot_id AS number, epoch_us(snapshot_time) AS made_us
FROM ducklake_snapshots('lake')
ORDER BY snapshot_id
