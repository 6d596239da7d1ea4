"""What Homeport keeps: the journal (the truth), the ledger (a view of it) and the keys."""
