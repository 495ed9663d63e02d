"""Image files and their bytes: decode.py is the one decoder, picture.py what is derived of a decoded image.

image_files.py says which file is an image by its name, foreign.py what is none · file_names.py: names are bytes
image_table.py, column_path.py and table_cells.py read tables that hold images
torchvision_cpu.py mends torchvision beside a CPU-only torch.
"""
