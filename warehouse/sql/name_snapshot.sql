-- Note in the lake's own record whose writes the snapshot is that this transaction makes; one that changes nothing makes none.
CALL lake.set_commit_message('trimtab', $run_id)
