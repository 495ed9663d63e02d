"""Commands that only look: explain an image; list, compare and verify datasets; draw the workspace's page."""
