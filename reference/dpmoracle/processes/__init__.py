"""Noising processes: `schedule.Schedule` in integer t, `process.Process` in real t."""
