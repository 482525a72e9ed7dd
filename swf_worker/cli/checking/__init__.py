"""What ``swf-worker check`` knows: ``asking`` asks SWF; the other files judge what it said, and
what the code says, and call nothing."""
