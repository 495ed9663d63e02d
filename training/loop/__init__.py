"""The training run: pretrain.py sets it up, train_loop.py goes through the steps, train_step.py is one of them.

train_step.py holds gradient accumulation and the EMA update
optimizer.py, schedules.py: rates · run_facts.py: what a request comes to · init_weights.py: weights of others
metrics.py, alarms.py, online_knn.py, data_wait.py: what is watched meanwhile · bad_steps.py: what was not finite
goes_on.py: what is not as it was when a run stopped · replay.py: a past step once more
sigterm.py: stopping when asked to · ddp.py exchanges gradients.
"""
