"""`make attacks`: the same probes against stock Kamailio configurations and against ours."""
