"""A recipe and how it is asked for: recipe.py loads and checks one, recipes/ are the shipped ones.

errors.py turns a failed check into sentences · changes.py compares two · options.py is what every command takes
settings.py reads --set, by what key_types.py says of a key · source_names.py tells sources of one name apart.
"""
