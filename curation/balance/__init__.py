"""Balance: hierarchical k-means and balanced sampling (Vo et al. 2024, arXiv 2405.15613).

Nothing depends on the order of the images: chance is a seeded hash of an image's id, and sums are exact.
"""
