"""The training run: pretrain.py sets it up, train_loop.py goes through the steps, train_step.py is one of them.

optimizer.py, schedules.py, resolve.py: rates and lengths · init_weights.py: starting from weights of others
metrics.py, alarms.py, online_knn.py, data_wait.py: what is watched meanwhile · sigterm.py: stopping when asked to.
"""
