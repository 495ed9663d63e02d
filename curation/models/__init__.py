"""Models that were trained elsewhere: their files, and how they are run.

files.py finds and names them · image_model.py: settings of one that looks at images · network.py runs one
with_torch.py, with_onnx.py, with_timm.py: what runs it.
"""
