"""Kamailio routing in Python, called through app_python3."""
