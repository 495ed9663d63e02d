"""Image files and their bytes: decode.py is the one decoder, picture.py what is derived of a decoded image.

halves.py and lanczos.py make pictures smaller, once for all that looks at the whole
header.py, turns.py, deep.py, to_rgb.py are its steps · hidden.py is what RGB does not show, so that exact means exact
image_files.py says which file is an image by its name, foreign.py what is none · ids.py names images by their bytes
file_names.py: names are bytes · image_table.py, column_path.py and table_cells.py read tables that hold images
torchvision_cpu.py mends torchvision beside a CPU-only torch.
"""
