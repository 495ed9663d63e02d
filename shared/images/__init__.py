"""Image files and their bytes: decode.py is the one decoder, picture.py what is derived of a decoded image.

header.py, turns.py, deep.py, to_rgb.py are its steps · hidden.py is what RGB does not show, so that exact means exact
image_files.py says which files are images, ids.py names them · image_table.py and table_cells.py read tables of images
torchvision_cpu.py mends torchvision beside a CPU-only torch.
"""
