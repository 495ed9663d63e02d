"""What several protocols compute with.

logistic_regression.py (L-BFGS) · nearest.py (by cosine) · average_precision.py · miou.py · splits.py (draws).
"""
