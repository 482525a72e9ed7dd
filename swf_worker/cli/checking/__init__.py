"""What ``swf-worker check`` knows: ``facts`` asks SWF, the other files judge what it said, and what
the code says, and call nothing."""
