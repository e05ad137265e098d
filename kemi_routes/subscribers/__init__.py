"""Who may register: the subscribers, the database they are in, and the commands for both."""
