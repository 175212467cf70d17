"""What is known of a shard's accounts: typed frames, shards, calendars, cells."""
