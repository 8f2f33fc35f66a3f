"""What survives a restart. The only place that knows SQLAlchemy; everyone else talks to `repository`."""
