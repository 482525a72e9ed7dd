"""What operators see: metrics, probes, the page."""
