"""`make bench`: what routing in Python costs, beside native configurations, in one run."""
