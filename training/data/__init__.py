"""From a published dataset to batches: index.py (where each image lies), shuffle.py (the order), sampler.py (the turn).

dataset.py makes a sample (damage.py: of another image where one is damaged), decode.py its pixels
multi_crop.py its global and local crops, masking.py its iBOT masks
color_params.py, color_cpu.py, color_gpu.py: photometric augmentation, drawn once and done in either place
batch.py collates, loader.py runs the workers (loader_workers.py), preview.py draws what they make.
"""
