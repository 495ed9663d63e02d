"""Whether two pictures are copies, by laying one over the other: arrays in, arrays out.

Cheap vectors propose pairs; this decides them. `frame` cuts borders and makes small gray frames, `features`
describes one picture, `windows` compares small ones in parts, `canvas` and `alignments` guess maps from one frame to
the other, `agreement` judges one map, `differences` and `overlays` say what differs under it, and `compare` puts these
together.
"""
