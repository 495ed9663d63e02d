"""A workspace kept in order: what no kept version needs, and what is damaged.

gc.py removes the one, doctor.py finds and mends the other · needed.py tells what versions need
"""
