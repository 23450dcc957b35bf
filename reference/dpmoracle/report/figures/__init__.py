"""Figures: one subject per module. `plot_*` draws on Matplotlib axes, `*_figure` makes the figure of a report of it."""
