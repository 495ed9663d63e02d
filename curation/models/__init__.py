"""Models that were trained elsewhere: their files, and how they are run."""
