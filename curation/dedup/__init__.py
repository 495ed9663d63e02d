"""Which images are copies of which, and which copy one of an evaluation set.

comparable.py: the columns that take part · knn_pairs.py, vector_index.py: nearest neighbours by embedding
candidates.py: the pairs worth a comparison of pixels · verify.py, geometry/: that comparison
hash_index.py, resemblance.py: what may resemble what · star_rule.py, duplicates.py: who is dropped for whom
dedup.py, decontaminate.py: between the tables and these algorithms.
"""
