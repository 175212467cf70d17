"""Who works on the shards of a step: this process, or the workers of a Dask cluster."""
