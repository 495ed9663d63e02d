"""Which images are copies of which, and which copy one of an evaluation set.

comparable_images.py, comparable_parts.py: the columns that take part · keep_order.py: which is the better one
near_search.py, ivf/: nearest by embedding · sorted_ids.py: digests in the order of their bytes, found among others
hash_candidates.py, hash_pairs.py: nearest hashes · hash_files.py: hashes on storage, exchanged where they are many
candidates.py: the pairs worth a comparison of pixels
compared_thumbnails.py: what small pictures say of pairs, by workers
verify.py, geometry/: that comparison, and pair_memo.py: what it said before · star_batches.py: who is dropped for whom
vector_index.py: nearest vectors in memory, where the cosine alone decides
dedup.py, decontaminate.py: between the tables and these algorithms.
"""
