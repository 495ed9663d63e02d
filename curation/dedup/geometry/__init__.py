"""Whether two pictures are copies, by laying one over the other: arrays in, arrays out.

Cheap vectors propose pairs; this decides them. `frame` cuts borders and makes small gray frames, `features`
describes one picture, `alignments` guesses maps from one frame to the other, `agreement` judges one map, and
`compare` puts these together.
"""
