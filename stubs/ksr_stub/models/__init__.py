"""The models: what each KSR function does, one file a Kamailio module."""
