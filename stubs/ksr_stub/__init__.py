"""A Kamailio to test KEMI routes against, without Kamailio."""
