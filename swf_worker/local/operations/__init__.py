"""The operations of SWF's API, each from the members of its request to those of its answer."""
