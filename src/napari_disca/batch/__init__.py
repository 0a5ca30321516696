"""Label maps without the graphical interface: on one machine, or on a Dask cluster."""
