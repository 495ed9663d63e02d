"""A workspace kept in order: gc.py removes what no kept version needs, doctor.py finds and mends what is damaged."""
