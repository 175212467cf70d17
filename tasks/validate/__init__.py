"""The gate and the guards of a run."""
