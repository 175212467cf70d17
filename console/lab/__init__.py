"""Pages of the policy lab, apart from those of nights: all that they show is hypothetical."""
