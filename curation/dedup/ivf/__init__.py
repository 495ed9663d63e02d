"""An inverted file over storage: nearest neighbours of a corpus as map → exchange on bucket → map.

Vectors are put into the buckets of pinned centroids; each is stored in its nearest bucket and visits a few more, in
which it is compared exactly. Vectors and centroids lie on a grid on which inner products are exact in float32
(grid.py), so no machine, library, block size or number of threads changes a bit of the result: products.py has a GPU
compare them where there is one.

Who takes part is held in 17 bytes each (members.py). What a search found is remembered (lists.py), and the next one
searches the difference (difference.py): new images among all, and all among new images. Where those are few, their rows
travel to all others (few.py), which are only read.
"""
