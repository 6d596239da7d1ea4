"""What code does better than the bundled model, code does: its answers to the tasks that ship, and to chats that are beyond it."""
