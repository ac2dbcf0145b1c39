"""The shell: watches, queue, observe, decide, apply, telemetry."""
