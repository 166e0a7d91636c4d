"""The ledger: per key a chain of records from which every process knows what was asked, and whether it was paid for."""
