"""Transactions: what modules/tm of Kamailio keeps about requests that it relays or answers."""
