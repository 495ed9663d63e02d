"""Commands that only look: explain an image; list, compare and verify datasets; draw the workspace's page.

explain.py: one image; find_image.py finds it, image_facts.py, rules.py and neighbours.py ask, image_text.py tells
datasets.py lists versions · diff.py, join_versions.py compare two · verify.py, verify_shard.py read one again
upkeep/ removes what no version needs, finds what is damaged and mends it
report.py draws the pages · workspace.py is the workspace and version that a person means.
"""
