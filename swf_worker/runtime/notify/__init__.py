"""What a service manager is told of the process that it started: systemd's ``sd_notify``."""
