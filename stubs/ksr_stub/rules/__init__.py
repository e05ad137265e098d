"""What ksr-lint checks: a rule takes a script and yields findings."""
