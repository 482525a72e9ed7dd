"""Python values and what stands for them on the wire: reading, writing, and the words for what
doesn't fit."""
