"""The programs that can be pointed at Homeport: one file a client, and the editors of their formats."""
