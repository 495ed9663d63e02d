"""Models that were trained elsewhere: their files, and how they are run.

image_model.py are the settings, files.py the files · with_torch.py, with_onnx.py, with_timm.py open them
network.py runs them, so that one input's result depends on that input alone.
"""
