"""What several protocols compute with: logistic regression, nearest neighbours, average precision, mIoU, splits."""
