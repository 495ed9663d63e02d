"""What a model sees, as arrays to draw: principal components of patches, attention of CLS, nearest neighbours."""
