"""What a step costs: step_flops.py, step_memory.py, and peak_flops.py, what a device could do at most."""
